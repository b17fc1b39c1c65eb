"""Documents by id, however many and however large they are together.

`Client.get` is one call: at most 1,000 ids, and an answer of at most `max_message_bytes`. What
these functions read they read in as many calls as it takes, so documents that are written meanwhile
may be seen by one call and not by another. A search leaves out the content of hits that its answer
has no room for (`SearchHit.content_omitted`); `with_contents` reads it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from twopass.client._asyncio import AsyncClient
from twopass.client._documents import Document, Fields
from twopass.client._search_results import SearchHit, SearchResult
from twopass.client._sync import Client
from twopass.client.errors import OverloadedError

# The contract's limit of ids in one call.
_MAX_IDS = 1_000


def documents_by_id(
    client: Client, collection: str, ids: Sequence[str], *, fields: Fields | None = None
) -> list[Document]:
    """Reads documents, in the order of the ids; unknown ids are left out.

    Args:
        client: Reads them.
        collection: The collection's name or alias.
        ids: Any number; of those that are equal the first counts.
        fields: What the documents carry. None: text and metadata.

    Raises:
        NotFoundError: No such collection.
        OverloadedError: The server has no room for a call, or one document alone is too large.
    """
    found: list[Document] = []
    left = _parts(ids)
    while left:
        part = left.popleft()
        try:
            found += client.get(collection, part, fields=fields, allow_missing=True)
        except OverloadedError as error:
            left.extendleft(reversed(_halves(part, error)))
    return found


async def documents_by_id_async(
    client: AsyncClient, collection: str, ids: Sequence[str], *, fields: Fields | None = None
) -> list[Document]:
    """Reads documents, as `documents_by_id` does."""
    found: list[Document] = []
    left = _parts(ids)
    while left:
        part = left.popleft()
        try:
            found += await client.get(collection, part, fields=fields, allow_missing=True)
        except OverloadedError as error:
            left.extendleft(reversed(_halves(part, error)))
    return found


def with_contents(
    client: Client, collection: str, result: SearchResult, *, fields: Fields | None = None
) -> SearchResult:
    """The answer of a search with the content that it left out for its size.

    A hit whose document was deleted meanwhile stays as it is, its content omitted.

    Args:
        client: Reads it.
        collection: The collection that was searched.
        result: The answer.
        fields: What the search was asked for. None: text and metadata.
    """
    omitted = _omitted(result)
    if not omitted:
        return result
    return _filled(result, documents_by_id(client, collection, omitted, fields=fields))


async def with_contents_async(
    client: AsyncClient, collection: str, result: SearchResult, *, fields: Fields | None = None
) -> SearchResult:
    """The answer of a search with the content that it left out, as `with_contents` reads it."""
    omitted = _omitted(result)
    if not omitted:
        return result
    return _filled(result, await documents_by_id_async(client, collection, omitted, fields=fields))


def _parts(ids: Sequence[str]) -> deque[list[str]]:
    distinct = list(dict.fromkeys(ids))
    starts = range(0, len(distinct), _MAX_IDS)
    return deque(distinct[start : start + _MAX_IDS] for start in starts)


def _halves(ids: list[str], error: OverloadedError) -> tuple[list[str], list[str]]:
    """Fewer ids, where the documents of these are too large for one answer.

    Raises:
        OverloadedError: There is no room for the call now, or one document alone is too large.
    """
    if error.retry_after is not None or len(ids) == 1:
        raise error
    middle = len(ids) // 2
    return ids[:middle], ids[middle:]


def _omitted(result: SearchResult) -> list[str]:
    return [hit.id for hit in result.hits if hit.content_omitted]


def _filled(result: SearchResult, found: Sequence[Document]) -> SearchResult:
    by_id = {document.id: document for document in found}

    def filled(hit: SearchHit) -> SearchHit:
        document = by_id.get(hit.id) if hit.content_omitted else None
        if document is None:
            return hit
        return replace(
            hit,
            title=document.title,
            text=document.text,
            metadata=document.metadata,
            vector=None if document.vector is None else tuple(document.vector),
            content_omitted=False,
        )

    return replace(result, hits=tuple(map(filled, result.hits)))
