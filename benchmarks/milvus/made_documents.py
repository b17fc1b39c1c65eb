"""Documents and queries that are drawn, the same for the same numbers, and never all in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from twopass.benchmarks.words import COMMON_WORDS
from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.documents import IndexedDocument

_WORDS = 60
_TOKENS = 80
_CENTRES = 1_000
_SPREAD = 0.6  # of a vector around its centre, relative to the distance of two centres
_RARE_WORDS = 50_000


@dataclass(frozen=True, slots=True)
class MadeDocuments:
    """So many documents of clustered vectors and of texts with frequent and rare words.

    Attributes:
        number: How many.
        dimension: Components of a vector.
    """

    number: int
    dimension: int

    def blocks(self, size: int) -> Iterator[list[IndexedDocument]]:
        """All documents in order, some at a time."""
        for start in range(0, self.number, size):
            vectors = self.vectors(start, min(start + size, self.number))
            yield [self._document(start + i, vector) for i, vector in enumerate(vectors)]

    def vectors(self, start: int, end: int) -> Float32s:
        """The vectors of some documents, L2-normalised, float32 `[end - start, dimension]`."""
        centres = self._centres()
        drawn = np.random.default_rng([1, start]).standard_normal(
            (end - start, self.dimension), np.float32
        )
        mixed = centres[np.arange(start, end) % _CENTRES] + _SPREAD * drawn
        normed: Float32s = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        return normed

    def queries(self, number: int) -> Float32s:
        """Vectors to ask by, each beside a centre, float32 `[number, dimension]`."""
        generator = np.random.default_rng(2)
        chosen = self._centres()[generator.integers(_CENTRES, size=number)]
        drawn = generator.standard_normal((number, self.dimension), np.float32)
        mixed = chosen + _SPREAD * drawn
        normed: Float32s = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        return normed

    def texts_to_ask(self, number: int) -> list[str]:
        """Questions of four frequent words and a rare one."""
        generator = np.random.default_rng(3)
        return [
            f"{self._words(generator, 4)} rare{generator.integers(_RARE_WORDS)}"
            for _ in range(number)
        ]

    def nearest(self, queries: Float32s, k: int, block: int, share: float = 1.0) -> list[Int64s]:
        """The numbers of the documents nearest to each query, by comparing with every vector.

        Args:
            queries: float32 `[num_queries, dimension]`.
            k: How many.
            block: The size that `blocks` is called with: it decides what is drawn.
            share: Only documents whose `permille` is below this share of 1,000.
        """
        best = np.full((len(queries), 0), 0, np.int64)
        scores = np.full((len(queries), 0), 0, np.float32)
        for start in range(0, self.number, block):
            end = min(start + block, self.number)
            numbers = np.arange(start, end)
            allowed = numbers % 1_000 < 1_000 * share
            found = queries @ self.vectors(start, end)[allowed].T
            scores = np.concatenate([scores, found], axis=1)
            best = np.concatenate([best, np.broadcast_to(numbers[allowed], found.shape)], axis=1)
            order = np.argsort(-scores, axis=1)[:, :k]
            scores = np.take_along_axis(scores, order, axis=1)
            best = np.take_along_axis(best, order, axis=1)
        return list(best)

    def _document(self, number: int, vector: Float32s) -> IndexedDocument:
        generator = np.random.default_rng([4, number])
        return IndexedDocument(
            id=f"document-{number}",
            title=self._words(generator, 5),
            text=f"{self._words(generator, _WORDS)} rare{number % _RARE_WORDS}",
            metadata={"permille": number % 1_000, "tags": [f"t{number % 7}", f"u{number % 11}"]},
            vector=vector,
            token_ids=generator.integers(1_000, 30_000, _TOKENS).astype(np.int32),
        )

    def _words(self, generator: np.random.Generator, number: int) -> str:
        ranks = np.minimum(generator.zipf(1.3, number), len(COMMON_WORDS)) - 1
        return " ".join(COMMON_WORDS[rank] for rank in ranks)

    def _centres(self) -> Float32s:
        shape = (_CENTRES, self.dimension)
        centres: Float32s = np.random.default_rng(0).standard_normal(shape, np.float32)
        return centres
