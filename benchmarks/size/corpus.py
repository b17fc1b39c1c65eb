"""Documents of any number, made beforehand: making them up is no part of what is measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from twopass.benchmarks.size.texts import Question, Texts
from twopass.client import Document
from twopass.engines.base.sequences import Float32s

_BLOCK = 10_000
_QUERIES = -1
_VECTORS = "vectors.npy"
_TEXTS = "texts.txt"

# Embeddings of texts fill a few dozen dimensions of their hundreds, some much more than others, and
# crowd around topics. With independent components instead, everything would be as far from
# everything, and no approximate index could find anything.
_LATENT_DIMENSION = 64
_NUM_TOPICS = 2_000
_SPREAD_IN_TOPIC = 0.6
_NOISE = 0.02


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents with vectors, by number, in a folder.

    Attributes:
        folder: Holds the vectors and, a line each, the texts.
        size: How many documents there are.
        dimension: Components of a vector.
        questions: In words; their answers are documents.
        seed: Another one makes other documents.
    """

    folder: Path
    size: int
    dimension: int
    questions: tuple[Question, ...]
    seed: int = 0

    @classmethod
    def make(cls, folder: Path, size: int, dimension: int, texts: Texts, seed: int = 0) -> "Corpus":
        """Makes the documents: at most half of them whole passages, which come last."""
        folder.mkdir(parents=True)
        passages = texts.passages[: size // 2]
        num_joined = size - len(passages)
        questions = tuple(
            Question(q.text, {num_joined + number: grade for number, grade in q.answers.items()})
            for q in texts.questions
        )
        corpus = cls(folder, size, dimension, questions, seed)
        vectors = np.lib.format.open_memmap(
            folder / _VECTORS, "w+", np.dtype(np.float32), (size, dimension)
        )
        starts = range(0, size, _BLOCK)
        shown = track(starts, "making documents", console=Console(stderr=True))
        with (folder / _TEXTS).open("w", encoding="utf-8") as lines:
            for start in shown:
                count = min(_BLOCK, size - start)
                vectors[start : start + count] = corpus._vectors(start // _BLOCK, count)
                joined = texts.joined(start, max(0, min(count, num_joined - start)))
                lines.writelines(f"{text}\n" for text in joined)
            lines.writelines(f"{passage}\n" for passage in passages)
        vectors.flush()
        return corpus

    def documents(self) -> Iterator[Document]:
        """All documents in order, their texts 400 characters or some more."""
        with (self.folder / _TEXTS).open(encoding="utf-8") as lines:
            for start, vectors in self.vector_blocks():
                for row, (vector, line) in enumerate(zip(vectors, lines, strict=False)):
                    yield Document(id=f"d{start + row}", text=line.rstrip("\n"), vector=vector)

    def texts(self) -> Iterator[str]:
        """The documents' texts, in order."""
        with (self.folder / _TEXTS).open(encoding="utf-8") as lines:
            for line in lines:
                yield line.rstrip("\n")

    def vector_blocks(self) -> Iterator[tuple[int, Float32s]]:
        """The first document's number and vectors, float32 `[n, dimension]`, block by block."""
        vectors = np.load(self.folder / _VECTORS, mmap_mode="r")
        for start in range(0, self.size, _BLOCK):
            yield start, np.array(vectors[start : start + _BLOCK])

    def queries(self, count: int) -> Float32s:
        """Vectors like those of the documents, but of none, float32 `[count, dimension]`."""
        return self._vectors(_QUERIES, count)

    def _vectors(self, block: int, count: int) -> Float32s:
        shape = np.random.default_rng(self.seed)
        latent = min(_LATENT_DIMENSION, self.dimension)
        directions, _ = np.linalg.qr(shape.standard_normal((self.dimension, latent)))
        scale = (1 + np.arange(latent)) ** -0.5
        topics = shape.standard_normal((_NUM_TOPICS, latent)) * scale
        drawn = np.random.default_rng([self.seed, block + 1])
        place = topics[drawn.integers(0, _NUM_TOPICS, count)]
        place += _SPREAD_IN_TOPIC * scale * drawn.standard_normal((count, latent))
        vectors = place @ directions.T + _NOISE * drawn.standard_normal((count, self.dimension))
        unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit.astype(np.float32)


def nearest(corpus: Corpus, queries: Float32s, k: int) -> list[set[str]]:
    """Ids of the `k` truly nearest documents of each query, by brute force."""
    scores = np.empty((len(queries), 0), np.float32)
    numbers = np.empty((len(queries), 0), np.int64)
    for start, vectors in corpus.vector_blocks():
        all_scores = np.concatenate([scores, queries @ vectors.T], axis=1)
        new = np.broadcast_to(np.arange(start, start + len(vectors)), (len(queries), len(vectors)))
        all_numbers = np.concatenate([numbers, new], axis=1)
        best = np.argpartition(-all_scores, min(k, all_scores.shape[1] - 1), axis=1)[:, :k]
        scores = np.take_along_axis(all_scores, best, axis=1)
        numbers = np.take_along_axis(all_numbers, best, axis=1)
    return [{f"d{number}" for number in row} for row in numbers.tolist()]
