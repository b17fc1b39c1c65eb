"""What the server answers as LangChain's documents, and what their metadata says of the search."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from langchain_core.documents import Document

from twopass import client
from twopass.client import SearchHit, SearchResult, Span, Timings

Content: TypeAlias = Literal["document", "span"]
"""What `page_content` is: the whole text, or the part that matched best where there is one."""

RELEVANCE = "relevance_score"
"""The key that LangChain's rerankers put their score under."""


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
            "num_below_min_score": result.num_below_min_score,
            "encoder": result.encoder,
            "reranker": result.reranker,
            "blend": result.blend,
            "exact": result.exact,
            "query_truncated": result.query_truncated,
            "num_words_dropped": result.num_words_dropped,
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
            Document(id=hit.id, page_content=content_of(hit, shape.content), metadata=metadata)
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


def batches(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    """Cuts a sequence into parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


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


def content_of(hit: SearchHit, content: Content) -> str:
    """The whole text of a hit, or the part of it that matched best where there is one."""
    if content == "document" or hit.span is None:
        return hit.text
    # A span counts characters of the passage, which is title and text.
    passage = f"{hit.title} {hit.text}" if hit.title and hit.text else hit.title or hit.text
    return passage[hit.span.start : hit.span.end]
