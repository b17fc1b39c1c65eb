"""What the first pass hands on, and what is done for it beforehand."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.base.collection import Collection
from twopass.index.base.retrieval import Members, Retrieval
from twopass.index.fusion import Chosen
from twopass.index.ranked_list import RankedList
from twopass.server.search.types import RetrieveStatus


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """The collection of one search, and the search's use of it."""

    collection: Collection
    retrieval: Retrieval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What the first pass found.

    Attributes:
        best: The candidates in first-pass order, with the scores that decided it.
        sequence: A state of the collection that the search has seen.
        dense: The documents nearest by embedding; None where not searched, or not found in time.
        lexical: The documents with the words; None where not searched, or not found in time.
        beyond: Similarities of documents that the lexical list alone holds; None where they were
            not looked up.
        fused: Whether `best` is both lists, fused.
        status: Whether a list is missing, and why.
        vector: The query's embedding, float32 `[dimension]`; None where it was not needed.
        encoder: Id of the encoder that embedded the query; "" where none did.
        windows: The window nearest to `vector` of split documents, by key: its first token in the
            passage and one past its last.
        num_words_dropped: Words of the query that were not searched.
        exact: Whether every vector that might be found was compared; None without a dense list.
    """

    best: RankedList
    sequence: str
    dense: RankedList | None = None
    lexical: RankedList | None = None
    beyond: RankedList | None = None
    fused: bool = False
    status: RetrieveStatus = RetrieveStatus.COMPLETE
    vector: Float32s | None = None
    encoder: str = ""
    windows: Mapping[int, Sequence[int]] = field(default_factory=dict)
    num_words_dropped: int = 0
    exact: bool | None = None

    @property
    def reading_order(self) -> Int32s:
        """Positions of the candidates in the order in which the second pass reads them."""
        if isinstance(self.best, Chosen):
            return self.best.reading_order
        return np.arange(len(self.best.keys), dtype=np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What is done for several searches together, before or beside the first pass of each.

    Attributes:
        vector: The query's embedding, float32 `[dimension]`; None where it is still to be made.
        matching: The documents that pass the query's filter; None where they are still to be
            looked up.
    """

    vector: Float32s | None = None
    matching: "asyncio.Task[Members] | None" = None
