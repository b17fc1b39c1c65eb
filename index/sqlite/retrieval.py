"""One search of a collection of the data folder: each step in the lane of its kind."""

import asyncio
from dataclasses import dataclass

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.base.retrieval import Members
from twopass.index.collection.collection import Collection
from twopass.index.collection.windows import NearestDocuments
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.kinds import Breadth
from twopass.index.lanes import Lanes
from twopass.index.passages import StoredPassages
from twopass.index.ranked_list import RankedList
from twopass.index.retrieved import NearestList, WordList
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, Stop
from twopass.index.word_query import WordClauses

_DEFAULT_FIELDS = DocumentFields()
_DEFAULT_BREADTH = Breadth()
_NO_CLAUSES = WordClauses()


@dataclass(frozen=True, slots=True, eq=False)
class SqliteMembers:
    """The documents that may be found.

    Attributes:
        keys: Their keys, int64 `[num_keys]`, ascending.
    """

    keys: Int64s


def keys_of(members: Members | None) -> Int64s | None:
    """The keys of the documents that may be found; None for all."""
    if members is None:
        return None
    assert isinstance(members, SqliteMembers)
    return members.keys


class SqliteRetrieval:
    """Searches a collection; keys are those of the documents' rows."""

    def __init__(self, collection: Collection, lanes: Lanes) -> None:
        self._collection = collection
        self._lanes = lanes

    async def nearest(
        self,
        vector: Float32s,
        k: int,
        members: Members | None = None,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> NearestList:
        """Finds the nearest documents; searches that wait for faiss at once share a call of it."""
        keys = keys_of(members)
        if self._collection.num_split:
            return await self._by_window(vector, k, keys, breadth, stop)
        neighbours = await asyncio.wrap_future(
            self._collection.search(vector[None, :], k, keys, breadth=breadth, stop=stop)
        )
        return NearestList(
            ranked=RankedList(neighbours.keys[0], neighbours.scores[0]),
            sequence=neighbours.sequence,
            exact=bool(neighbours.exact[0]),
        )

    async def _by_window(
        self, vector: Float32s, k: int, keys: Int64s | None, breadth: Breadth, stop: Stop
    ) -> NearestList:
        sequence = self._collection.sequence
        found = await self._lanes.scans.run(
            self._collection.nearest_by_window, vector, k, keys, breadth, stop, stop=stop
        )
        return _nearest_list(found, sequence)

    async def with_words(
        self,
        text: str,
        k: int,
        members: Members | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        stop: Stop = NEVER,
    ) -> WordList:
        """Finds the documents whose words fit best."""
        sequence = self._collection.sequence
        matches = await self._lanes.scans.run(
            self._collection.search_words, text, k, keys_of(members), stop, clauses, stop=stop
        )
        return WordList(ranked=matches, sequence=sequence)

    async def similar(self, vector: Float32s, keys: Int64s, stop: Stop = NEVER) -> NearestList:
        """Orders given documents by their similarity."""
        if not len(keys):
            nothing = RankedList(keys, np.zeros(0, np.float32))
            return NearestList(ranked=nothing, sequence=self._collection.sequence)
        return await self.nearest(vector, len(keys), SqliteMembers(np.sort(keys)), stop=stop)

    async def num_split_among(self, keys: Int64s, stop: Stop = NEVER) -> int:
        """Counts those of some documents that are split."""
        return await self._lanes.scans.run(self._collection.num_split_among, keys, stop, stop=stop)

    async def load(self, keys: Int64s, stop: Stop = NEVER) -> StoredPassages:
        """Loads ids and token ids."""
        return await self._lanes.reads.run(self._collection.load, keys, stop, stop=stop)

    async def fetch(
        self, keys: Int64s, fields: DocumentFields = _DEFAULT_FIELDS, stop: Stop = NEVER
    ) -> dict[int, StoredDocument]:
        """Reads documents by key."""
        return await self._lanes.reads.run(self._collection.fetch, keys, fields, stop, stop=stop)

    async def fetch_first(
        self, keys: Int64s, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Reads documents by key, as many with their fields as fit."""
        return await self._lanes.reads.run(
            self._collection.fetch_first, keys, fields, max_bytes, stop, stop=stop
        )


def _nearest_list(found: NearestDocuments, sequence: SequenceToken) -> NearestList:
    return NearestList(
        ranked=found.ranked, sequence=sequence, windows=found.windows, exact=found.exact
    )
