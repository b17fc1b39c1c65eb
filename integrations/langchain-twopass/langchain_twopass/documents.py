"""What the server answers as LangChain's documents, and what their metadata says of the search."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from langchain_core.documents import Document

from twopass import client
from twopass.client import (
    AsyncClient,
    Client,
    OverloadedError,
    SearchHit,
    SearchResult,
    Span,
    Timings,
)

Content: TypeAlias = Literal["document", "span"]
"""What `page_content` is: the whole text, or the part that matched best where there is one."""

RELEVANCE = "relevance_score"
"""The key that LangChain's rerankers put their score under."""

# The server's limit of ids in one call.
_MAX_IDS = 1_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How a hit becomes a document.

    Attributes:
        details_key: The key of what the search says of a hit. None: metadata is left as stored.
        title_key: The key of a title that metadata does not have itself. None: titles are left out.
        content: What `page_content` is.
    """

    details_key: str | None = None
    title_key: str | None = "title"
    content: Content = "document"


def documents_of(result: SearchResult, shape: Shape, request_id: str | None) -> list[Document]:
    """The hits of a search, best first.

    Args:
        result: The search's answer.
        shape: How a hit becomes a document.
        request_id: What the search was called by.
    """
    shared: dict[str, Any] = {}
    if shape.details_key is not None:
        shared = {
            "retrieve_status": str(result.retrieve_status),
            "rerank_status": str(result.rerank_status),
            "num_candidates": result.num_candidates,
            "num_reranked": result.num_reranked,
            "num_below_threshold": result.num_below_min_score,
            "encoder": result.encoder,
            "reranker": result.reranker,
            "blend": result.blend,
            "exact": result.exact,
            "query_truncated": result.query_truncated,
            "sequence": result.sequence,
            "request_id": request_id,
        }
    documents = []
    for rank, hit in enumerate(result.hits, start=1):
        metadata = dict(hit.metadata)
        if shape.title_key is not None and hit.title:
            metadata.setdefault(shape.title_key, hit.title)
        if shape.details_key is not None:
            if hit.score is not None:
                metadata[RELEVANCE] = hit.score
            metadata[shape.details_key] = (
                _of_hit(hit, rank) | shared | {"timings": timings_of(result.timings)}
            )
        documents.append(
            Document(id=hit.id, page_content=_content(hit, shape.content), metadata=metadata)
        )
    return documents


def stored_document(stored: client.Document, title_key: str | None) -> Document:
    """A document as it is stored."""
    metadata = dict(stored.metadata)
    if title_key is not None and stored.title:
        metadata.setdefault(title_key, stored.title)
    return Document(id=stored.id, page_content=stored.text, metadata=metadata)


def timings_of(timings: Timings) -> dict[str, float]:
    """The milliseconds of each stage that ran."""
    return {stage: spent for stage, spent in asdict(timings).items() if spent is not None}


def span_of(span: Span | None) -> list[int] | None:
    """A span as JSON has it."""
    return None if span is None else [span.start, span.end]


def completed(connected: Client, collection: str, result: SearchResult) -> SearchResult:
    """The answer with what it left out for its size, read by id."""
    omitted = [hit.id for hit in result.hits if hit.content_omitted]
    return _with(result, read(connected, collection, omitted)) if omitted else result


async def completed_async(
    connected: AsyncClient, collection: str, result: SearchResult
) -> SearchResult:
    """The answer with what it left out for its size, read by id."""
    omitted = [hit.id for hit in result.hits if hit.content_omitted]
    return _with(result, await read_async(connected, collection, omitted)) if omitted else result


def read(connected: Client, collection: str, ids: Sequence[str]) -> list[client.Document]:
    """The documents of these ids, however large they are together; unknown ids are left out."""
    found: list[client.Document] = []
    left = _batches_to_read(ids)
    while left:
        part = left.popleft()
        try:
            found += connected.get(collection, part, allow_missing=True)
        except OverloadedError as error:
            left.extendleft(reversed(_halves(part, error)))
    return found


async def read_async(
    connected: AsyncClient, collection: str, ids: Sequence[str]
) -> list[client.Document]:
    """As `read`, by the client for asyncio."""
    found: list[client.Document] = []
    left = _batches_to_read(ids)
    while left:
        part = left.popleft()
        try:
            found += await connected.get(collection, part, allow_missing=True)
        except OverloadedError as error:
            left.extendleft(reversed(_halves(part, error)))
    return found


def _batches_to_read(ids: Sequence[str]) -> deque[Sequence[str]]:
    return deque(batches(list(dict.fromkeys(ids)), _MAX_IDS))


def _halves(ids: Sequence[str], error: OverloadedError) -> tuple[Sequence[str], Sequence[str]]:
    """Fewer ids, where the documents of these are too large for one answer.

    Raises:
        OverloadedError: There is no room for the call now, or one document alone is too large.
    """
    if error.retry_after is not None or len(ids) == 1:
        raise error
    middle = len(ids) // 2
    return ids[:middle], ids[middle:]


def batches(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    """Cuts a sequence into parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _with(result: SearchResult, found: Sequence[client.Document]) -> SearchResult:
    by_id = {document.id: document for document in found}
    hits = tuple(
        replace(
            hit,
            title=by_id[hit.id].title,
            text=by_id[hit.id].text,
            metadata=by_id[hit.id].metadata,
            content_omitted=False,
        )
        if hit.content_omitted and hit.id in by_id
        else hit
        for hit in result.hits
    )
    return replace(result, hits=hits)


def _of_hit(hit: SearchHit, rank: int) -> dict[str, Any]:
    return {
        "rank": rank,
        "score": hit.score,
        "logit": hit.logit,
        "blended_score": hit.blended_score,
        "dense_score": hit.dense_score,
        "lexical_score": hit.lexical_score,
        "fused_score": hit.fused_score,
        "first_pass_rank": hit.first_pass_rank,
        "dense_rank": hit.dense_rank,
        "lexical_rank": hit.lexical_rank,
        "truncated": hit.truncated,
        "span": span_of(hit.span),
        "content_omitted": hit.content_omitted,
    }


def _content(hit: SearchHit, content: Content) -> str:
    if content == "document" or hit.span is None:
        return hit.text
    # A span counts characters of the passage, which is title and text.
    passage = f"{hit.title} {hit.text}" if hit.title and hit.text else hit.title or hit.text
    return passage[hit.span.start : hit.span.end]
