"""Vectors in topics, queries near them, and filters that pass what lies near a query or far off."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s

NUM_TOPICS = 200
# Embeddings of texts vary in about as many directions, however many components they have.
_NUM_DIRECTIONS = 24
# How far the vectors of a topic lie from its centre, and any two vectors apart from that.
_SPREAD, _NOISE = 0.6, 0.1
# Queries that lie near no topic.
_STRANGE_SHARE = 0.2


class Where(StrEnum):
    """Where the members of a filter lie."""

    ANYWHERE = "random"
    NEAR = "near"
    FAR = "far"


@dataclass(frozen=True, slots=True, eq=False)
class Topics:
    """Vectors and queries.

    Attributes:
        vectors: Of length 1, float32 `[num_vectors, dimension]`.
        topics: The topic of each vector, int64 `[num_vectors]`.
        centres: Of the topics, float32 `[NUM_TOPICS, dimension]`.
        queries: Of length 1, float32 `[num_queries, dimension]`.
    """

    vectors: Float32s
    topics: NDArray[np.int64]
    centres: Float32s
    queries: Float32s

    @classmethod
    def draw(cls, num_vectors: int, dimension: int, num_queries: int, seed: int) -> "Topics":
        """Draws vectors; the same seed draws the same."""
        drawn = np.random.default_rng(seed)
        places = drawn.standard_normal((NUM_TOPICS, _NUM_DIRECTIONS))
        directions = drawn.standard_normal((_NUM_DIRECTIONS, dimension))

        def near(some: NDArray[np.float64]) -> Float32s:
            vectors = some @ directions
            vectors += _NOISE * np.sqrt(_NUM_DIRECTIONS) * drawn.standard_normal(vectors.shape)
            unit: Float32s = (vectors / np.linalg.norm(vectors, axis=1)[:, None]).astype(np.float32)
            return unit

        topics = drawn.integers(0, NUM_TOPICS, num_vectors)
        blocks = [
            near(places[some] + _SPREAD * drawn.standard_normal((len(some), _NUM_DIRECTIONS)))
            for some in np.array_split(topics, -(-num_vectors // 10_000))
        ]
        asked = places[drawn.integers(0, NUM_TOPICS, num_queries)]
        asked = asked + _SPREAD * drawn.standard_normal(asked.shape)
        strange = drawn.random(num_queries) < _STRANGE_SHARE
        asked[strange] = drawn.standard_normal((int(strange.sum()), _NUM_DIRECTIONS))
        return cls(np.concatenate(blocks), topics, near(places), near(asked))

    def members(self, where: Where, counts: list[int], query: int) -> Iterator[NDArray[np.int64]]:
        """The members of filters for a query, as so many row numbers each, ascending."""
        if where is Where.ANYWHERE:
            order = np.random.default_rng(query).permutation(len(self.topics))
        else:
            nearness = self.centres @ self.queries[query]
            of_topics = np.argsort(np.argsort(-nearness if where is Where.NEAR else nearness))
            order = np.argsort(of_topics[self.topics], kind="stable")
        for count in counts:
            yield np.sort(order[:count])
