"""The spans of a search's hits."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from twopass.index.base.retrieval import Retrieval
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import StoppedError
from twopass.server.models.passages import passage_of
from twopass.server.request import Request
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.ends import late
from twopass.server.search.spans.scoring import (
    NOT_ASKED,
    SKIPPED,
    FoundSpans,
    SpanQuery,
    SpanScoring,
)
from twopass.server.search.spans.settings import SpansStatus
from twopass.server.search.spans.units import SpanText
from twopass.server.search.types import SearchHit

_LOG = logging.getLogger("twopass.server")

_TEXT = DocumentFields(text=True, metadata=False)
# Most bytes of texts that are read for their spans alone.
_MAX_READ_BYTES = 64 * 1024 * 1024


async def with_spans(
    hits: list[SearchHit],
    asked: SpanQuery | None,
    scoring: SpanScoring,
    retrieval: Retrieval,
    request: Request,
) -> tuple[list[SearchHit], FoundSpans]:
    """Hits with the spans that a query asks for.

    Args:
        hits: The hits, best first.
        asked: What is asked for; None for nothing.
        scoring: Finds them.
        retrieval: The search's use of its collection, for texts that the hits do not carry.
        request: The request of the search.

    Raises:
        RequestError: There is no room or no time, and spans are required.
        EngineError: The engine failed, and spans are required.
        CollectionError: The texts can't be read, and spans are required; or the collection is gone.
    """
    if asked is None or not hits:
        return hits, NOT_ASKED
    best = hits[: asked.settings.hits]
    missed: SpansStatus | None = None
    try:
        documents = await _documents(best, retrieval, request)
    except Exception as error:
        cause = cause_of(error)
        if cause is None or asked.required or request.is_past_deadline():
            if isinstance(error, StoppedError):
                raise late(request, "the texts of hits were not read for their spans") from None
            raise
        if cause is Cause.FAILED:
            _LOG.warning(
                "hits come without spans, since their texts could not be read: %s",
                error,
                extra={"call": request.id},
            )
        documents, missed = _carried(best), SKIPPED[cause]  # those have their spans all the same
    placed = [
        (place, documents[hit.document.key])
        for place, hit in enumerate(best)
        if hit.document.key in documents
    ]
    texts = [
        SpanText.of(document.title, passage_of(document.title, document.text), best[place].span)
        for place, document in placed
    ]
    found = await scoring.find(asked, texts, request)
    if len(texts) < len(best) and found.status in (SpansStatus.NONE, SpansStatus.COMPLETE):
        status = SpansStatus.PARTIAL if texts else missed or SpansStatus.SKIPPED_DEADLINE
        found = replace(found, status=status)
    with_spans = list(hits)
    for (place, _), spans in zip(placed, found.hits, strict=False):
        with_spans[place] = replace(hits[place], spans=spans)
    return with_spans, found


async def _documents(
    hits: Sequence[SearchHit], retrieval: Retrieval, request: Request
) -> dict[int, StoredDocument]:
    """The texts of hits, by key: those that they carry, and those that the answer does without.

    Nobody has asked for the latter, or they are too large for it.
    """
    carried = _carried(hits)
    missing = [hit.document.key for hit in hits if hit.document.key not in carried]
    if missing:
        with request.stop_by(request.end) as stop:
            read, bare = await retrieval.fetch_first(
                np.array(missing, np.int64), _TEXT, _MAX_READ_BYTES, stop
            )
        carried |= {key: document for key, document in read.items() if key not in bare}
    return carried


def _carried(hits: Sequence[SearchHit]) -> dict[int, StoredDocument]:
    """The texts that hits carry, by key."""
    return {hit.document.key: hit.document for hit in hits if hit.document.text is not None}
