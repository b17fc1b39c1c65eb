"""SearchService: a query in, documents of a collection out."""

from twopass.engines.base import Float32s
from twopass.server.errors import InvalidRequestError, NotSupportedError
from twopass.server.passages import Limits, check_text
from twopass.server.pipeline import SearchPipeline
from twopass.server.rpc import Call
from twopass.server.search import (
    DEFAULT_K,
    DEFAULT_TOP_N,
    MAX_K,
    RerankSettings,
    RerankStatus,
    SearchHit,
    SearchQuery,
    SearchResult,
)
from twopass.server.servicers.documents import add_extras, read_fields, read_vector
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.options import (
    read_blend,
    read_count,
    read_min_score,
    read_truncation,
)
from twopass.server.servicers.timings import timings_message
from twopass.v1 import search_pb2

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
_MODES = (search_pb2.RETRIEVE_MODE_UNSPECIFIED, search_pb2.RETRIEVE_MODE_DENSE)


class SearchServicer:
    """Translates; `SearchPipeline` does the work."""

    def __init__(self, pipeline: SearchPipeline, limits: Limits) -> None:
        self._pipeline = pipeline
        self._limits = limits

    async def search(
        self, request: search_pb2.SearchRequest, call: Call
    ) -> search_pb2.SearchResponse:
        """Answers one query."""
        return _response(await self._pipeline.search(_read_query(request, self._limits, call)))


def _read_query(request: search_pb2.SearchRequest, limits: Limits, call: Call) -> SearchQuery:
    if request.HasField("filter"):
        raise NotSupportedError("filter: filters are not supported yet; leave it unset")
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
        k=_read_k(request.retrieve, top_n),
        rerank=_read_rerank(request.rerank),
        allow_fallback=_ALLOWS_FALLBACK.read("fallback", request.fallback),
        deadline=call.deadline,
        budget_end=_budget_end(request, call),
        min_sequence=request.min_sequence,
        fields=read_fields(request.fields),
    )


def _read_k(retrieve: search_pb2.RetrieveOptions, top_n: int) -> int:
    if retrieve.mode not in _MODES:
        raise NotSupportedError(
            "retrieve.mode: only RETRIEVE_MODE_DENSE is supported yet; leave it unspecified"
        )
    if fusion := retrieve.WhichOneof("fusion"):
        raise NotSupportedError(f"retrieve.{fusion}: there is one list only, nothing to fuse yet")
    k = read_count("retrieve.k", retrieve.k) or max(DEFAULT_K, top_n)
    if k > MAX_K:
        field = "retrieve.k" if retrieve.k else "top_n"
        raise InvalidRequestError(f"{field}: {k:,} given, at most {MAX_K:,}")
    return k


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
        retrieve_status=search_pb2.RETRIEVE_STATUS_COMPLETE,
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
        dense_score=hit.dense_score,
        dense_rank=hit.first_pass_rank,
        first_pass_rank=hit.first_pass_rank,
        truncated=hit.truncated,
        title=document.title or "",
        text=document.text or "",
    )
    add_extras(document, message)
    return message
