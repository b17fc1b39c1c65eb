"""SearchService: a query in, documents of a collection out."""

from twopass.engines.base import Float32s
from twopass.server.errors import InvalidRequestError
from twopass.server.passages import Limits, check_text
from twopass.server.pipeline import SearchPipeline
from twopass.server.rpc import Call
from twopass.server.search import (
    DEFAULT_TOP_N,
    RerankSettings,
    RerankStatus,
    RetrieveStatus,
    SearchHit,
    SearchQuery,
    SearchResult,
)
from twopass.server.servicers.documents import add_extras, read_fields, read_vector
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.filters import read_filter
from twopass.server.servicers.options import (
    read_blend,
    read_count,
    read_min_score,
    read_truncation,
)
from twopass.server.servicers.retrieving import RetrieveDefaults, read_retrieve
from twopass.server.servicers.timings import timings_message
from twopass.v1 import search_pb2

_RETRIEVE_STATUS = {
    RetrieveStatus.COMPLETE: search_pb2.RETRIEVE_STATUS_COMPLETE,
    RetrieveStatus.LEXICAL_DEADLINE: search_pb2.RETRIEVE_STATUS_LEXICAL_DEADLINE,
    RetrieveStatus.LEXICAL_OVERLOAD: search_pb2.RETRIEVE_STATUS_LEXICAL_OVERLOAD,
    RetrieveStatus.LEXICAL_FAILED: search_pb2.RETRIEVE_STATUS_LEXICAL_FAILED,
}
_RERANK_STATUS = {
    RerankStatus.COMPLETE: search_pb2.RERANK_STATUS_COMPLETE,
    RerankStatus.PARTIAL: search_pb2.RERANK_STATUS_PARTIAL,
    RerankStatus.DISABLED: search_pb2.RERANK_STATUS_DISABLED,
    RerankStatus.SKIPPED_DEADLINE: search_pb2.RERANK_STATUS_SKIPPED_DEADLINE,
    RerankStatus.SKIPPED_OVERLOAD: search_pb2.RERANK_STATUS_SKIPPED_OVERLOAD,
    RerankStatus.FAILED: search_pb2.RERANK_STATUS_FAILED,
}
_ALLOWS_FALLBACK = EnumMapping(
    search_pb2.Fallback,
    {search_pb2.FALLBACK_ALLOW: True, search_pb2.FALLBACK_FORBID: False},
    default=True,
)


class SearchServicer:
    """Translates; `SearchPipeline` does the work."""

    def __init__(
        self, pipeline: SearchPipeline, limits: Limits, defaults: RetrieveDefaults
    ) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._defaults = defaults

    async def search(
        self, request: search_pb2.SearchRequest, call: Call
    ) -> search_pb2.SearchResponse:
        """Answers one query."""
        query = _read_query(request, self._limits, self._defaults, call)
        return _response(await self._pipeline.search(query))


def _read_query(
    request: search_pb2.SearchRequest, limits: Limits, defaults: RetrieveDefaults, call: Call
) -> SearchQuery:
    check_text("query", request.query, limits.max_query_bytes)
    vector: Float32s | None = None
    if request.HasField("vector"):
        vector = read_vector("vector", request.vector)
    elif not request.query.strip():
        raise InvalidRequestError("query: empty, and there is no vector; at least one is needed")
    top_n = read_count("top_n", request.top_n) or DEFAULT_TOP_N
    return SearchQuery(
        collection=request.collection,
        text=request.query,
        vector=vector,
        top_n=top_n,
        retrieve=read_retrieve(request, top_n, defaults),
        rerank=_read_rerank(request.rerank),
        filter=read_filter(request.filter) if request.HasField("filter") else None,
        allow_fallback=_ALLOWS_FALLBACK.read("fallback", request.fallback),
        deadline=call.deadline,
        budget_end=_budget_end(request, call),
        min_sequence=request.min_sequence,
        fields=read_fields(request.fields),
    )


def _read_rerank(options: search_pb2.RerankOptions) -> RerankSettings:
    return RerankSettings(
        enabled=options.enabled if options.HasField("enabled") else True,
        depth=read_count("rerank.depth", options.depth),
        model=options.model,
        blend=read_blend(options),
        truncation=read_truncation("rerank.truncation", options.truncation),
        min_score=read_min_score(options),
    )


def _budget_end(request: search_pb2.SearchRequest, call: Call) -> float | None:
    if not request.HasField("time_budget"):
        return None
    seconds = request.time_budget.ToNanoseconds() / 1e9
    if seconds <= 0:
        raise InvalidRequestError(f"time_budget: {seconds:g} s given, more than 0 is needed")
    return call.received + seconds


def _response(result: SearchResult) -> search_pb2.SearchResponse:
    return search_pb2.SearchResponse(
        hits=[_hit(hit) for hit in result.hits],
        retrieve_status=_RETRIEVE_STATUS[result.retrieve_status],
        rerank_status=_RERANK_STATUS[result.rerank_status],
        num_reranked=result.num_reranked,
        num_candidates=result.num_candidates,
        num_below_min_score=result.num_below_min_score,
        blend=result.blend,
        encoder=result.encoder,
        reranker=result.reranker,
        sequence=result.sequence,
        timings=timings_message(result.timings),
    )


def _hit(hit: SearchHit) -> search_pb2.SearchHit:
    document = hit.document
    message = search_pb2.SearchHit(
        id=document.id,
        score=hit.score,
        logit=hit.logit,
        fused_score=hit.fused_score,
        first_pass_rank=hit.first_pass_rank,
        truncated=hit.truncated,
        title=document.title or "",
        text=document.text or "",
    )
    if hit.dense is not None:
        message.dense_score, message.dense_rank = hit.dense.score, hit.dense.rank
    if hit.lexical is not None:
        message.lexical_score, message.lexical_rank = hit.lexical.score, hit.lexical.rank
    if hit.span is not None:
        message.span.start, message.span.end = hit.span
    add_extras(document, message)
    return message
