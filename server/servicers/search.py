"""SearchService: a query in, documents of a collection out."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import grpc

from twopass.engines.base.sequences import Float32s
from twopass.index.errors import CollectionError
from twopass.index.fusion import ConvexFusion
from twopass.index.stopping import Stop
from twopass.server.edge.statuses import status_code, status_of
from twopass.server.errors import InvalidRequestError, RequestError, ResponseTooLargeError
from twopass.server.models.passages import Limits, check_count, check_text
from twopass.server.request import Request
from twopass.server.search.batch import BatchSearching, Outcome
from twopass.server.search.pipeline import SearchPipeline
from twopass.server.search.types import (
    DEFAULT_TOP_N,
    MAX_K,
    RerankSettings,
    RerankStatus,
    RetrieveStatus,
    SearchHit,
    SearchQuery,
    SearchResult,
)
from twopass.server.servicers.answers import read_max_answer_bytes
from twopass.server.servicers.arranging import (
    add_arrangement,
    arrange_status,
    arrangement_bytes,
    read_arrange,
)
from twopass.server.servicers.documents import add_extras, read_fields, read_vector
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.filters import read_filter
from twopass.server.servicers.options import (
    QUERY_TRUNCATIONS,
    TO_CUT_QUERY,
    TRUNCATIONS,
    read_blend,
    read_count,
    read_instruction,
    read_min_score,
    read_query_id,
    read_threshold,
)
from twopass.server.servicers.retrieving import read_retrieve
from twopass.server.servicers.spans import (
    add_spans,
    add_texts,
    read_spans,
    spans_bytes,
    spans_status,
)
from twopass.server.servicers.timings import timings_message
from twopass.server.servicers.translating import Translating
from twopass.v1 import search_pb2

_LOG = logging.getLogger("twopass.server")

MAX_SEARCHES = 256
"""Most searches of one batch."""

_RETRIEVE_STATUS = {
    RetrieveStatus.COMPLETE: search_pb2.RETRIEVE_STATUS_COMPLETE,
    RetrieveStatus.LEXICAL_DEADLINE: search_pb2.RETRIEVE_STATUS_LEXICAL_DEADLINE,
    RetrieveStatus.LEXICAL_OVERLOAD: search_pb2.RETRIEVE_STATUS_LEXICAL_OVERLOAD,
    RetrieveStatus.LEXICAL_FAILED: search_pb2.RETRIEVE_STATUS_LEXICAL_FAILED,
    RetrieveStatus.DENSE_DEADLINE: search_pb2.RETRIEVE_STATUS_DENSE_DEADLINE,
    RetrieveStatus.DENSE_OVERLOAD: search_pb2.RETRIEVE_STATUS_DENSE_OVERLOAD,
    RetrieveStatus.DENSE_FAILED: search_pb2.RETRIEVE_STATUS_DENSE_FAILED,
    RetrieveStatus.FUSED_DEADLINE: search_pb2.RETRIEVE_STATUS_FUSED_DEADLINE,
    RetrieveStatus.FUSED_OVERLOAD: search_pb2.RETRIEVE_STATUS_FUSED_OVERLOAD,
    RetrieveStatus.FUSED_FAILED: search_pb2.RETRIEVE_STATUS_FUSED_FAILED,
    RetrieveStatus.NO_WINDOWS_DEADLINE: search_pb2.RETRIEVE_STATUS_NO_WINDOWS_DEADLINE,
    RetrieveStatus.NO_WINDOWS_OVERLOAD: search_pb2.RETRIEVE_STATUS_NO_WINDOWS_OVERLOAD,
    RetrieveStatus.NO_WINDOWS_FAILED: search_pb2.RETRIEVE_STATUS_NO_WINDOWS_FAILED,
}
_RERANK_STATUS = {
    RerankStatus.COMPLETE: search_pb2.RERANK_STATUS_COMPLETE,
    RerankStatus.PARTIAL: search_pb2.RERANK_STATUS_PARTIAL,
    RerankStatus.DISABLED: search_pb2.RERANK_STATUS_DISABLED,
    RerankStatus.SKIPPED_DEADLINE: search_pb2.RERANK_STATUS_SKIPPED_DEADLINE,
    RerankStatus.SKIPPED_OVERLOAD: search_pb2.RERANK_STATUS_SKIPPED_OVERLOAD,
    RerankStatus.FAILED: search_pb2.RERANK_STATUS_FAILED,
}
# Bytes of a hit without its content; and the bytes added beside content or its omission: a longer
# length of the hit, and `content_omitted`.
_HIT_BYTES = 100
# Bytes of a batch's answer, and of each result in it, beside the results' own.
_BATCH_BYTES = 64
_RESULT_BYTES = 16
_GROWTH_BYTES = 7
_ALLOWS_FALLBACK = EnumMapping(
    search_pb2.Fallback,
    {search_pb2.FALLBACK_ALLOW: True, search_pb2.FALLBACK_FORBID: False},
    default=True,
)


class SearchServicer:
    """Translates; `SearchPipeline` and `BatchSearching` do the work."""

    def __init__(
        self,
        pipeline: SearchPipeline,
        batches: BatchSearching,
        limits: Limits,
        convex: ConvexFusion,
        translating: Translating,
    ) -> None:
        self._pipeline = pipeline
        self._batches = batches
        self._limits = limits
        self._convex = convex
        self._translating = translating

    async def search(
        self, message: search_pb2.SearchRequest, request: Request
    ) -> search_pb2.SearchResponse:
        """Answers one query."""
        request.budget_end = _budget_end(message, request)
        query = await self._translating.run(
            request.message_bytes,
            _read_query,
            message,
            self._limits,
            self._convex,
            request=request,
        )
        result = await self._pipeline.search(query, request)
        max_bytes = read_max_answer_bytes(message, self._limits)
        return await self._translating.run(
            _content_bytes(result), _response, result, max_bytes, request.stop, request=request
        )

    async def batch_search(
        self, message: search_pb2.BatchSearchRequest, request: Request
    ) -> search_pb2.BatchSearchResponse:
        """Answers many queries, each with its result or error."""
        check_count("searches", len(message.searches), MAX_SEARCHES, "send several batches")
        request.budget_end = _budget_end(message, request)
        max_bytes = read_max_answer_bytes(message, self._limits)
        share = (max_bytes - _BATCH_BYTES) // len(message.searches) - _RESULT_BYTES
        queries = await self._translating.run(
            request.message_bytes,
            _read_queries,
            message,
            share,
            self._limits,
            self._convex,
            request=request,
        )
        outcomes = await self._batches.search(queries, request)
        return await self._translating.run(
            sum(_content_bytes(found) for found in outcomes if isinstance(found, SearchResult)),
            _batch_response,
            queries,
            outcomes,
            request.id,
            request.stop,
            request=request,
        )


def _read_queries(
    message: search_pb2.BatchSearchRequest,
    share: int,
    limits: Limits,
    convex: ConvexFusion,
) -> list[SearchQuery | Exception]:
    """Reads the queries of a batch, each with what is wrong with it in its place.

    Args:
        message: The batch.
        share: Most bytes of the answer to each.
        limits: Bounds of the server.
        convex: The convex fusion of searches that ask for it without an alpha.
    """
    queries: list[SearchQuery | Exception] = []
    for search in message.searches:
        try:
            if search.HasField("time_budget"):
                raise InvalidRequestError(
                    "time_budget: set in one search of a batch; set that of the batch"
                )
            query = _read_query(search, limits, convex)
        except (RequestError, CollectionError) as error:
            queries.append(error)
        else:
            queries.append(
                replace(query, max_answer_bytes=min(query.max_answer_bytes or share, share))
            )
    return queries


def _batch_response(
    queries: Sequence[SearchQuery | Exception],
    outcomes: Sequence[Outcome],
    call_id: str,
    stop: Stop,
) -> search_pb2.BatchSearchResponse:
    response = search_pb2.BatchSearchResponse()
    for query, outcome in zip(queries, outcomes, strict=True):
        try:
            if isinstance(outcome, Exception):
                raise outcome
            assert isinstance(query, SearchQuery)
            assert query.max_answer_bytes is not None
            found = _response(outcome, query.max_answer_bytes, stop)
            response.results.add(response=found)
        except Exception as error:
            stop.check()  # else nobody waits for the answer
            response.results.add(error=status_of(error, call_id))
            if status_code(error) is grpc.StatusCode.INTERNAL:
                _LOG.error("a search of a batch failed", exc_info=error, extra={"call": call_id})
    return response


def _read_query(
    message: search_pb2.SearchRequest, limits: Limits, convex: ConvexFusion
) -> SearchQuery:
    check_text("query", message.query, limits.max_query_bytes)
    vector: Float32s | None = None
    if message.HasField("vector"):
        vector = read_vector("vector", message.vector)
    top_n = read_count("top_n", message.top_n) or DEFAULT_TOP_N
    offset = _read_offset(message, top_n)
    return SearchQuery(
        collection=message.collection,
        text=message.query,
        vector=vector,
        top_n=top_n,
        offset=offset,
        retrieve=read_retrieve(message, offset + top_n, convex, limits),
        rerank=_read_rerank(message.rerank, limits),
        filter=read_filter(message.filter) if message.HasField("filter") else None,
        allow_fallback=_ALLOWS_FALLBACK.read("fallback", message.fallback),
        min_sequence=message.min_sequence,
        fields=read_fields(message.fields),
        max_answer_bytes=read_max_answer_bytes(message, limits),
        overlong=QUERY_TRUNCATIONS.read("query_truncation", message.query_truncation),
        to_cut=TO_CUT_QUERY,
        spans=read_spans(message),
        arrange=read_arrange(message),
        query_id=read_query_id("query_id", message.query_id),
    )


def _read_offset(message: search_pb2.SearchRequest, top_n: int) -> int:
    offset = read_count("offset", message.offset)
    if offset and offset + top_n > MAX_K:
        raise InvalidRequestError(
            f"offset: {offset:,} given, and top_n is {top_n:,}; together at most {MAX_K:,}",
            limit=MAX_K,
            value=offset,
        )
    k = message.retrieve.k
    if offset and 0 < k <= offset:
        raise InvalidRequestError(
            f"offset: {offset:,} given, but only {k:,} candidates are looked for; give a "
            "retrieve.k that covers the last page, or none",
            value=offset,
        )
    return offset


def _read_rerank(options: search_pb2.RerankOptions, limits: Limits) -> RerankSettings:
    return RerankSettings(
        enabled=options.enabled if options.HasField("enabled") else None,
        depth=read_count("rerank.depth", options.depth),
        model=options.model,
        blend=read_blend("rerank.blend", options),
        truncation=TRUNCATIONS.read("rerank.truncation", options.truncation),
        min_score=read_min_score("rerank.min_score", options),
        answer_threshold=read_threshold("rerank.answer_threshold", options, "answer_threshold"),
        instruction=read_instruction("rerank.instruction", options.instruction, limits),
    )


def _budget_end(
    message: search_pb2.SearchRequest | search_pb2.BatchSearchRequest, request: Request
) -> float | None:
    if not message.HasField("time_budget"):
        return None
    seconds = message.time_budget.ToNanoseconds() / 1e9
    if seconds <= 0:
        raise InvalidRequestError(
            f"time_budget: {seconds:g} s given, more than 0 is needed", value=seconds
        )
    return request.received + seconds


def _content_bytes(result: SearchResult) -> int:
    """Estimated size of the answer."""
    num_bytes = 0
    for hit in result.hits:
        document = hit.document
        num_bytes += _HIT_BYTES + len(document.title or "") + len(document.text or "")
        num_bytes += spans_bytes(hit.spans) + arrangement_bytes(hit.arrangement)
        if document.vector is not None:
            num_bytes += document.vector.nbytes
    return num_bytes


def _response(result: SearchResult, max_bytes: int, stop: Stop) -> search_pb2.SearchResponse:
    response = search_pb2.SearchResponse(
        hits=map(_bare_hit, result.hits),
        retrieve_status=_RETRIEVE_STATUS[result.retrieve_status],
        rerank_status=_RERANK_STATUS[result.rerank_status],
        num_reranked=result.num_reranked,
        num_candidates=result.num_candidates,
        num_below_min_score=result.num_below_min_score,
        num_words_dropped=result.num_words_dropped,
        exact=result.exact,
        query_truncated=result.query_truncated,
        answerable=result.answerable,
        answer_threshold=result.answer_threshold,
        blend=result.blend,
        encoder=result.encoder,
        reranker=result.reranker,
        sequence=result.sequence,
        timings=timings_message(result.timings),
        spans_status=spans_status(result.spans_status),
        num_collapsed=result.num_collapsed,
        arrange_status=arrange_status(result.arrange_status),
        search_id=result.search_id,
        num_cached=result.num_cached,
    )
    bytes_left = max_bytes - response.ByteSize() - _GROWTH_BYTES * len(response.hits)
    if bytes_left < 0:
        raise ResponseTooLargeError(
            f"top_n: {len(response.hits):,} hits take more than {max_bytes:,} bytes without what "
            f"they carry (max_answer_bytes); ask for fewer{_or_less_of(result)}",
            limit_name="max_answer_bytes",
            limit=max_bytes,
        )
    for i, (hit, message) in enumerate(zip(result.hits, response.hits, strict=True)):
        stop.check()
        bytes_left -= 0 if hit.content_omitted else _add_content(hit, message)
        if hit.content_omitted or bytes_left < 0:
            for without in response.hits[i:]:
                _omit_content(without)
            break
    return response


def _or_less_of(result: SearchResult) -> str:
    """What else takes room in hits without their content, for a message."""
    ways = []
    if any(hit.spans.spans for hit in result.hits):
        ways.append("fewer spans (spans.max_spans, spans.hits)")
    if any(hit.arrangement.collapsed for hit in result.hits):
        ways.append("fewer documents within hits (collapse.max_listed)")
    return "".join(f", or for {way}" for way in ways)


def _add_content(hit: SearchHit, message: search_pb2.SearchHit) -> int:
    """Adds a hit's texts and metadata to its message; returns the bytes that this grows by."""
    before, document = message.ByteSize(), hit.document
    message.title, message.text = document.title or "", document.text or ""
    add_extras(document, message)
    add_texts(hit.spans, message)
    return message.ByteSize() - before


def _omit_content(message: search_pb2.SearchHit) -> None:
    for field in ("title", "text", "metadata", "metadata_json", "vector"):
        message.ClearField(field)
    message.ClearField("pruned_text")
    message.ClearField("highlighted_text")
    message.content_omitted = True


def _bare_hit(hit: SearchHit) -> search_pb2.SearchHit:
    """A hit without the content of its document."""
    message = search_pb2.SearchHit(
        id=hit.document.id,
        score=hit.score,
        logit=hit.logit,
        blended_score=hit.blended_score,
        fused_score=hit.fused_score,
        first_pass_rank=hit.first_pass_rank,
        truncated=hit.truncated,
    )
    if hit.dense is not None:
        message.dense_score = hit.dense.score
        if hit.dense.rank is not None:
            message.dense_rank = hit.dense.rank
    if hit.lexical is not None:
        message.lexical_score = hit.lexical.score
        if hit.lexical.rank is not None:
            message.lexical_rank = hit.lexical.rank
    if hit.span is not None:
        message.span.start, message.span.end = hit.span
    add_spans(hit.spans, message)
    add_arrangement(hit.arrangement, message)
    return message
