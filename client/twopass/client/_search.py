"""Search: both passes in one call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from twopass.client import _rpcs
from twopass.client._arranging import (
    Collapse,
    Diversity,
    collapse_message,
    diversity_message,
)
from twopass.client._call import Call
from twopass.client._documents import Fields, fields_message
from twopass.client._enums import (
    QueryTruncation,
    RetrieveMode,
    Truncation,
    number_of,
)
from twopass.client._filters import Condition, filter_message
from twopass.client._fusions import ConvexFusion, ReciprocalRankFusion
from twopass.client._search_results import (
    SearchOutcome,
    SearchResult,
    outcomes_of,
    result_of,
)
from twopass.client._spans import Spans, spans_message
from twopass.client._values import duration, int32, real, text, vector
from twopass.v1 import rerank_pb2, search_pb2
from twopass.v1.filter_pb2 import Filter


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand next to each other in this order; one word is a phrase too.

    Attributes:
        text: The words, whatever their case and accents; punctuation is never syntax.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Words that begin so, as `Prefix("err")` is matched by "error".

    Attributes:
        text: The beginning of one word, without white space.
    """

    text: str


Clause: TypeAlias = str | Phrase | Prefix
"""A clause over words; a text is a phrase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordClauses:
    """Clauses over the words of documents' titles and texts, at most 64 in all.

    Attributes:
        required: Only documents that match all of these are found, in every mode.
        excluded: No document that matches any of these is found, in any mode.
        optional: Each adds its BM25 to the lexical score of documents that match it; not with
            "dense".
    """

    required: Sequence[Clause] = ()
    excluded: Sequence[Clause] = ()
    optional: Sequence[Clause] = ()


@dataclass(frozen=True, slots=True)
class Retrieve:
    """The first pass: how candidates are found.

    Where something is None, the collection's default counts, if it has one: see `SearchDefaults`.

    Attributes:
        mode: "dense", "lexical" or "hybrid". None: the server's default.
        k: How many candidates to find, 1 to 2,048. None: 50, or `top_n` if that is larger.
        fusion: How "hybrid" joins its two lists. None: the server's default.
        ef_search: HNSW's search breadth. None: the index's default.
        nprobe: How many IVF lists are searched. None: the index's default.
        words: What the words of documents must, must not and should be. None: nothing more than
            the query says.
        instruction: What the query is embedded for, in words, for an encoder that is told so. None:
            the model's own.
    """

    mode: RetrieveMode | None = None
    k: int | None = None
    fusion: ReciprocalRankFusion | ConvexFusion | None = None
    ef_search: int | None = None
    nprobe: int | None = None
    words: WordClauses | None = None
    instruction: str | None = None


@dataclass(frozen=True, slots=True)
class Rerank:
    """The second pass of a search: how candidates are reranked.

    Where something is None, the collection's default counts, if it has one: see `SearchDefaults`.

    Attributes:
        depth: How many candidates are reranked, from the first; the rest follow in first-pass
            order. None: all.
        model: The reranker's id, as in `models()`. None: the server's default.
        blend: Weight w in [0, 1] of the first pass in the order of the reranked:
            w * z(first-pass score) + (1 - w) * z(logit). None: the model's own default.
        truncation: What happens to a passage that is too long for the model: "truncate",
            "max_window" or "reject". None: the collection's default, else "truncate".
        min_score: Leaves out reranked hits whose `score` is lower. None: no hit is left out.
        instruction: What makes a passage relevant, in words, for a model that is told so, as
            decoders are: "Given a claim, find passages that refute it". None: the model's own.
        enabled: Whether there is a second pass. None: the collection's default, else True.
        answer_threshold: The `score` from which on a hit is taken for an answer, as `answerable` of
            the result tells; it leaves out no hit. None: the collection's default, else the model's
            own, if it has one.
    """

    depth: int | None = None
    model: str | None = None
    blend: float | None = None
    truncation: Truncation | None = None
    min_score: float | None = None
    instruction: str | None = None
    enabled: bool | None = None
    answer_threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search of `batch_search`; the options are those of `search`.

    Attributes:
        collection: The collection's name or alias.
        query: The question; for one that is too long see `query_truncation`.
        vector: The query's embedding. None: the server embeds `query`.
        top_n: How many documents to return.
        retrieve: The first pass; its mode alone is enough. None: all defaults.
        rerank: The second pass. True: all defaults; False: no second pass.
        filter: Which documents are considered. None: all.
        fields: What hits carry. None: text and metadata.
        allow_fallback: Whether the answer may lack the second pass or one list where it has to.
        min_sequence: A `sequence` of a write that the search sees. Empty: what is visible.
        offset: How many of the first hits to skip.
        query_truncation: What happens to a query with more tokens than a model reads: "truncate" or
            "reject". None: the collection's default, else "truncate", which the result tells by
            `query_truncated`.
        spans: Whether the best hits tell which of their sentences answer, and how. True: all
            defaults.
        query_id: Your own key of the query, under which feedback on the answer is kept.
        diversity: How far hits are to differ from those before them; a number is its
            `relevance_weight`. None: by relevance alone.
        collapse: Which hits give way to better ones that they are like. None: none.
    """

    collection: str
    query: str = ""
    vector: Iterable[float] | None = None
    top_n: int = 10
    retrieve: Retrieve | RetrieveMode | None = None
    rerank: Rerank | bool = True
    filter: Condition | Filter | None = None
    fields: Fields | None = None
    allow_fallback: bool = True
    min_sequence: str = ""
    offset: int = 0
    query_truncation: QueryTruncation | None = None
    spans: Spans | bool = False
    query_id: str = ""
    diversity: Diversity | float | None = None
    collapse: Collapse | None = None


def search(
    collection: str,
    query: str = "",
    *,
    vector: Iterable[float] | None = None,
    top_n: int = 10,
    retrieve: Retrieve | RetrieveMode | None = None,
    rerank: Rerank | bool = True,
    filter: Condition | Filter | None = None,  # noqa: A002  # the contract's word
    fields: Fields | None = None,
    time_budget: float | None = None,
    allow_fallback: bool = True,
    min_sequence: str = "",
    offset: int = 0,
    query_truncation: QueryTruncation | None = None,
    spans: Spans | bool = False,
    query_id: str = "",
    diversity: Diversity | float | None = None,
    collapse: Collapse | None = None,
    timeout: float | None = None,
    request_id: str | None = None,
) -> Call[SearchResult]:
    """Finds the documents of a collection that answer a query, best first.

    Args:
        collection: The collection's name or alias.
        query: The question; for one that is too long see `query_truncation`. May be empty where
            there is no second pass: with `vector`, or in "lexical" with required or optional
            `words` of `retrieve`.
        vector: The query's embedding, any flat sequence of numbers. None: the server embeds
            `query`.
        top_n: How many documents to return.
        retrieve: The first pass; its mode alone is enough, as in `retrieve="hybrid"`. None: all
            defaults.
        rerank: The second pass. True: all defaults; False: no second pass.
        filter: Which documents are considered, as in `field("year").between(gte=1990)`. None: all.
        fields: What hits carry. None: text and metadata.
        time_budget: Seconds for the filter, both passes and reading the hits. It is soft: at its
            end the search answers what it has found, if `allow_fallback`. None: only `timeout`
            counts, which is a hard limit either way.
        allow_fallback: Whether the search may answer in first-pass order when the second pass is
            late, overloaded or failing, and with one list of "hybrid" when the other is;
            `rerank_status` and `retrieve_status` tell. False: the cause is raised instead.
        min_sequence: A `sequence` from an earlier write: the search sees that write and all writes
            before it. Empty: the search sees what is visible when it runs.
        offset: How many of the first hits to skip. For pages that are cuts of one order, give the
            same `k` for all of them, large enough for the last: `k` unset grows with the page.
        query_truncation: What happens to a query with more tokens than a model reads: "truncate" or
            "reject". None: the collection's default, else "truncate", which the result tells by
            `query_truncated`.
        spans: Whether the best hits tell which of their sentences answer, and how, also where there
            is no second pass. True: all defaults. Where there is no time or room for them, hits
            come without, as `spans_status` tells, if `allow_fallback`.
        query_id: Your own key of the query, under which feedback on the answer is kept: equal for
            searches that ask the same. Any text but the query itself. Empty: each search is a query
            of its own to `record_feedback`.
        diversity: How far hits are to differ from those before them; a number is its
            `relevance_weight`. Where there is no time to compare hits, they stand as both passes
            ordered them, as `arrange_status` tells, if `allow_fallback`. None: by relevance alone.
        collapse: Which hits give way to better ones that they are like, as near duplicates or by a
            field of the metadata; each hit tells what collapsed into it. None: none.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.
        request_id: What the server's log and traces call this request by: 1 to 64 of a-z, A-Z, 0-9,
            '.', '_' and '-', such as a UUID. None: the server makes one up.

    Raises:
        InvalidArgumentError: Among others, a query that is too long and not to be cut.
        NotFoundError: No such collection or model.
        OverloadedError: The queue is full, and no fallback is possible or allowed.
        DeadlineExceededError: Nothing was found within `time_budget` or `timeout`.
        FailedPreconditionError: `min_sequence` belongs to a collection that was recreated since.
    """
    wanted = Search(
        collection=collection,
        query=query,
        vector=vector,
        top_n=top_n,
        retrieve=retrieve,
        rerank=rerank,
        filter=filter,
        fields=fields,
        allow_fallback=allow_fallback,
        min_sequence=min_sequence,
        offset=offset,
        query_truncation=query_truncation,
        spans=spans,
        query_id=query_id,
        diversity=diversity,
        collapse=collapse,
    )
    return Call(
        _rpcs.SEARCH, _request(wanted, time_budget), result_of, timeout, request_id=request_id
    )


def batch_search(
    searches: Iterable[Search],
    *,
    time_budget: float | None = None,
    timeout: float | None = None,
    request_id: str | None = None,
) -> Call[tuple[SearchOutcome, ...]]:
    """Answers many searches in one call; one that fails does not harm the others.

    The server embeds their queries together, and looks up equal filters once.

    Args:
        searches: 1 to 256 searches, of any collections.
        time_budget: Seconds for all of them, soft as that of `search`. None: only `timeout` counts.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.
        request_id: What the server's log and traces call this request by: 1 to 64 of a-z, A-Z, 0-9,
            '.', '_' and '-', such as a UUID. None: the server makes one up.

    Returns:
        What became of each search, in their order.

    Raises:
        InvalidArgumentError: There are no searches or too many.
        PermissionDeniedError: The key may not use one of the collections.
        DeadlineExceededError: `timeout` ran out.
    """
    request = search_pb2.BatchSearchRequest(
        searches=map(_request, searches), time_budget=duration(time_budget, "time_budget")
    )
    return Call(_rpcs.BATCH_SEARCH, request, outcomes_of, timeout, request_id=request_id)


def _request(wanted: Search, time_budget: float | None = None) -> search_pb2.SearchRequest:
    return search_pb2.SearchRequest(
        collection=text(wanted.collection, "collection"),
        query=text(wanted.query, "query"),
        vector=_vector(wanted.vector),
        top_n=int32(wanted.top_n, "top_n"),
        retrieve=_retrieve_message(wanted.retrieve),
        rerank=_rerank_message(wanted.rerank),
        filter=filter_message(wanted.filter),
        fallback=(
            search_pb2.FALLBACK_ALLOW if wanted.allow_fallback else search_pb2.FALLBACK_FORBID
        ),
        min_sequence=text(wanted.min_sequence, "min_sequence"),
        fields=fields_message(wanted.fields),
        time_budget=duration(time_budget, "time_budget"),
        offset=int32(wanted.offset, "offset"),
        query_truncation=number_of(
            rerank_pb2.QueryTruncation, wanted.query_truncation, "query_truncation"
        ),
        spans=spans_message(wanted.spans),
        query_id=text(wanted.query_id, "query_id"),
        diversity=diversity_message(wanted.diversity),
        collapse=collapse_message(wanted.collapse),
    )


def _vector(values: Iterable[float] | None) -> Any:
    return vector(values, "vector")


def _retrieve_message(
    retrieve: Retrieve | RetrieveMode | None,
) -> search_pb2.RetrieveOptions | None:
    if retrieve is None:
        return None
    if isinstance(retrieve, str):
        retrieve = Retrieve(retrieve)
    message = search_pb2.RetrieveOptions(
        mode=number_of(search_pb2.RetrieveMode, retrieve.mode, "retrieve.mode"),
        k=int32(retrieve.k, "retrieve.k"),
        ef_search=_optional_int32(retrieve.ef_search, "retrieve.ef_search"),
        nprobe=_optional_int32(retrieve.nprobe, "retrieve.nprobe"),
        words=_word_clauses(retrieve.words),
        instruction=text(retrieve.instruction or "", "retrieve.instruction"),
    )
    match retrieve.fusion:
        case ReciprocalRankFusion(k):
            message.rrf.CopyFrom(search_pb2.ReciprocalRankFusion(k=int32(k, "retrieve.fusion.k")))
        case ConvexFusion(alpha):
            message.convex.CopyFrom(
                search_pb2.ConvexFusion(alpha=real(alpha, "retrieve.fusion.alpha"))
            )
    return message


def _word_clauses(words: WordClauses | None) -> search_pb2.WordClauses | None:
    if words is None:
        return None
    return search_pb2.WordClauses(
        required=_clauses(words.required, "required"),
        excluded=_clauses(words.excluded, "excluded"),
        optional=_clauses(words.optional, "optional"),
    )


def _clauses(clauses: Sequence[Clause], of: str) -> list[search_pb2.WordClause]:
    field = f"retrieve.words.{of}"
    if isinstance(clauses, str):  # a sequence too, of its characters
        raise TypeError(f"{field}: {clauses!r} given, a list of clauses is needed")
    return [
        search_pb2.WordClause(prefix=text(clause.text, f"{field}[{i}]"))
        if isinstance(clause, Prefix)
        else search_pb2.WordClause(
            phrase=text(clause.text if isinstance(clause, Phrase) else clause, f"{field}[{i}]")
        )
        for i, clause in enumerate(clauses)
    ]


def _optional_int32(value: int | None, field: str) -> int | None:
    return None if value is None else int32(value, field)


def _rerank_message(rerank: Rerank | bool) -> search_pb2.RerankOptions | None:
    if rerank is True:
        return None
    if rerank is False:
        return search_pb2.RerankOptions(enabled=False)
    return search_pb2.RerankOptions(
        enabled=rerank.enabled,
        depth=int32(rerank.depth, "rerank.depth"),
        model=text(rerank.model or "", "rerank.model"),
        blend=real(rerank.blend, "rerank.blend"),
        truncation=number_of(rerank_pb2.Truncation, rerank.truncation, "rerank.truncation"),
        min_score=real(rerank.min_score, "rerank.min_score"),
        answer_threshold=real(rerank.answer_threshold, "rerank.answer_threshold"),
        instruction=text(rerank.instruction or "", "rerank.instruction"),
    )
