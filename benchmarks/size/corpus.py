"""Documents of any number: made up, each distinct, the same again for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.benchmarks.words import COMMON_WORDS
from twopass.client import Document
from twopass.engines.base import Float32s

_BLOCK = 10_000
_QUERIES = -1
_TEXT_CHARS = 400

# Embeddings of texts fill a few dozen dimensions of their hundreds, some much more than others, and
# crowd around topics. With independent components instead, everything would be as far from
# everything, and no approximate index could find anything.
_LATENT_DIMENSION = 64
_NUM_TOPICS = 2_000
_SPREAD_IN_TOPIC = 0.6
_NOISE = 0.02


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents with vectors, by number.

    Attributes:
        size: How many documents there are.
        dimension: Components of a vector.
        seed: Another one makes other documents.
    """

    size: int
    dimension: int
    seed: int = 0

    def documents(self) -> Iterator[Document]:
        """All documents in order, their texts 400 characters or some more."""
        for start, vectors in self.vector_blocks():
            texts = self._texts(start, len(vectors))
            for row, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
                yield Document(id=f"d{start + row}", text=text, vector=vector)

    def vector_blocks(self) -> Iterator[tuple[int, Float32s]]:
        """The first document's number and vectors, float32 `[n, dimension]`, block by block."""
        for start in range(0, self.size, _BLOCK):
            yield start, self._vectors(start // _BLOCK, min(_BLOCK, self.size - start))

    def queries(self, count: int) -> Float32s:
        """Vectors like those of the documents, but of none, float32 `[count, dimension]`."""
        return self._vectors(_QUERIES, count)

    def texts(self, count: int) -> list[str]:
        """The texts of the first so many documents, 10,000 at most."""
        return self._texts(0, min(count, self.size, _BLOCK))

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

    def _texts(self, start: int, count: int) -> list[str]:
        drawn = np.random.default_rng([self.seed, start, 1])
        words = np.array(COMMON_WORDS)
        longest = -(-_TEXT_CHARS // 2)  # no word and its space are shorter
        chosen = drawn.integers(0, len(words), (count, longest))
        lengths = np.cumsum(np.char.str_len(words)[chosen] + 1, axis=1)
        needed = (lengths < _TEXT_CHARS + 1).sum(axis=1) + 1
        return [" ".join(words[row[:n]]) for row, n in zip(chosen, needed, strict=True)]


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
