"""What tests ask of a collection, in one line each."""

from collections.abc import Mapping, Sequence

import numpy as np

from twopass.index.base.collection import Collection
from twopass.index.base.retrieval import Retrieval
from twopass.index.documents import DocumentFields, IndexedDocument, OnConflict
from twopass.index.filters import Filter, IdCondition
from twopass.index.ranked_list import RankedList
from twopass.index.retrieved import NearestList, WordList
from twopass.index.stopping import NEVER, Stop
from twopass.index.word_query import WordClauses
from twopass.index.writes import UpsertResult

EVERYTHING = Filter()
NO_CLAUSES = WordClauses()
NOTHING = DocumentFields(text=False, metadata=False)
WHOLE = DocumentFields(vector=True)


def of_ids(*ids: str) -> Filter:
    """Passes the documents of some ids."""
    return Filter(must=(IdCondition(ids),))


async def write(
    collection: Collection,
    *documents: IndexedDocument,
    on_conflict: OnConflict = OnConflict.REPLACE,
) -> UpsertResult:
    """Writes documents, and waits until they are durable."""
    return await (await collection.submit_upsert(documents, on_conflict))


async def ids_of(retrieval: Retrieval, ranked: RankedList) -> list[str]:
    """Ids of what was found, in its order."""
    return list((await retrieval.load(ranked.keys)).ids)


async def scored(retrieval: Retrieval, found: NearestList | WordList) -> dict[str, float]:
    """Scores by id, in the order of the list."""
    names = await ids_of(retrieval, found.ranked)
    return dict(zip(names, found.ranked.scores.tolist(), strict=True))


async def nearest(
    collection: Collection,
    query: Sequence[float],
    k: int,
    wanted: Filter | None = None,
    stop: Stop = NEVER,
) -> dict[str, float]:
    """Similarities of the nearest documents by id, best first."""
    members = None if wanted is None else await collection.members(wanted, stop)
    retrieval = collection.retrieval()
    found = await retrieval.nearest(np.array(query, np.float32), k, members, stop=stop)
    return await scored(retrieval, found)


async def with_words(
    collection: Collection,
    text: str,
    k: int,
    wanted: Filter | None = None,
    clauses: WordClauses = NO_CLAUSES,
) -> dict[str, float]:
    """BM25 of the documents that hold words, by id, best first."""
    members = None if wanted is None else await collection.members(wanted)
    retrieval = collection.retrieval()
    return await scored(retrieval, await retrieval.with_words(text, k, members, clauses))


async def listed(
    collection: Collection, wanted: Filter = EVERYTHING, page_size: int = 7
) -> list[str]:
    """Ids of all documents of a listing, page by page."""
    found: list[str] = []
    token = ""
    while True:
        page = await collection.list_page(page_size, token, NOTHING, wanted)
        assert len(page.documents) <= page_size
        found += [document.id for document in page.documents]
        token = page.next_page_token
        if not token:
            return found


async def metadata_of(collection: Collection, *ids: str) -> list[Mapping[str, object] | None]:
    """Metadata of documents, in the order of the ids."""
    return [document.metadata for document in await collection.get(ids)]


async def texts_of(collection: Collection, *ids: str) -> list[str | None]:
    """Texts of documents, in the order of the ids."""
    return [document.text for document in await collection.get(ids)]
