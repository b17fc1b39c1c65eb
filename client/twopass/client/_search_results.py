"""What a search answers: the documents found, or why there are none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twopass.client._arranging import (
    NOTHING_COLLAPSED,
    CollapsedDocuments,
    arrange_status,
    collapsed_of,
)
from twopass.client._documents import Span, components, span
from twopass.client._enums import ArrangeStatus, RerankStatus, RetrieveStatus, SpansStatus, word_of
from twopass.client._errors import status_error
from twopass.client._metadata import read_metadata
from twopass.client._spans import ScoredSpan, scored_spans, spans_status
from twopass.client._timings import Timings, timings
from twopass.client.errors import TwopassError
from twopass.v1 import search_pb2


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A document found. Fields that were not computed or not asked for are None or empty.

    Attributes:
        id: The document's id.
        score: Relevance in [0, 1] by the reranker, calibrated.
        logit: The reranker's raw output.
        dense_score: Similarity of the embeddings, by the collection's metric; higher is nearer. In
            "hybrid" also of documents found by words alone, which have no `dense_rank`.
        lexical_score: BM25; higher is better.
        fused_score: The dense and the lexical list's joined score.
        dense_rank: Rank in the dense list, from 1.
        lexical_rank: Rank in the lexical list, from 1.
        first_pass_rank: Rank among the candidates before the second pass, from 1.
        truncated: Whether the reranker did not read the passage's end.
        span: The part that matched best, where the document was split or read in windows.
        title: The document's title.
        text: The document's text.
        metadata: The document's metadata.
        vector: The document's embedding.
        content_omitted: Whether title, text, metadata and vector are left out, though asked for,
            since the answer would be larger than the client receives or the server sends. The hits
            after this one are without them too; `get` returns them.
        blended_score: What reranked hits are ordered by, higher first: the logit where the
            result's `blend` is 0, else logit and first-pass score blended, comparable only within
            one result.
        spans: The sentences that answer the query, best first, if `spans` were asked for.
        pruned_text: The text without what does not answer, if asked for: the parts that are left,
            with " … " between two that are apart.
        highlighted_text: The text with tags around `spans`, if asked for.
        collapsed: What collapsed into it, with `collapse`.
        diversity_score: What it was chosen by, with `diversity`: relevance less similarity.
    """

    id: str
    score: float | None
    logit: float | None
    dense_score: float | None
    lexical_score: float | None
    fused_score: float | None
    dense_rank: int | None
    lexical_rank: int | None
    first_pass_rank: int
    truncated: bool
    span: Span | None
    title: str
    text: str
    metadata: Mapping[str, Any]
    vector: tuple[float, ...] | None
    content_omitted: bool = False
    blended_score: float | None = None
    spans: tuple[ScoredSpan, ...] = ()
    pruned_text: str = ""
    highlighted_text: str = ""
    collapsed: CollapsedDocuments = NOTHING_COLLAPSED
    diversity_score: float | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The documents found.

    Attributes:
        hits: At most `top_n`, best first: those that were reranked by falling `blended_score`, then
            all others by rising `first_pass_rank`.
        retrieve_status: What became of the first pass.
        rerank_status: What became of the second pass, and so whether this is its order.
        num_reranked: How many candidates the second pass scored.
        num_candidates: How many candidates the first pass found.
        num_below_min_score: Reranked hits left out because their score is below `min_score`.
        blend: The weight of the first pass in the order of the reranked.
        encoder: The encoder that embedded the query; empty where none did.
        reranker: The reranker that scored; empty where none did.
        sequence: The state of the collection that was searched.
        timings: Where the time went.
        num_words_dropped: Distinct words of the query that the lexical search ignored, since they
            are beyond the 512 rarest that occur; 0 for any question.
        exact: Whether every vector that might be found was compared with the query's; False where a
            graph or lists chose which to compare. None without a dense list.
        query_truncated: Whether a model that read the query for this result, the encoder or the
            reranker, did not read its end. The search by words read all of it.
        answerable: Whether anything here answers: whether the score of any hit, on whatever page,
            is `answer_threshold` or more. None where no threshold is known or no second pass ran,
            and where time sufficed for a part of it and nothing in that part is.
        answer_threshold: What `answerable` was decided by; None where there is none.
        spans_status: What became of the spans asked for; None where none were.
        search_id: Names this result in `record_feedback`, for as long as the server remembers it;
            empty where it keeps no feedback.
        num_collapsed: Candidates that collapsed into better ones, on whatever page those are.
        arrange_status: What became of `collapse` and `diversity`; None where neither was asked for.
        num_cached: Of the `num_reranked`, those whose scores the server had computed before.
    """

    hits: tuple[SearchHit, ...]
    retrieve_status: RetrieveStatus
    rerank_status: RerankStatus
    num_reranked: int
    num_candidates: int
    num_below_min_score: int
    blend: float
    encoder: str
    reranker: str
    sequence: str
    timings: Timings
    num_words_dropped: int = 0
    exact: bool | None = None
    query_truncated: bool = False
    answerable: bool | None = None
    answer_threshold: float | None = None
    spans_status: SpansStatus | None = None
    search_id: str = ""
    num_cached: int = 0
    num_collapsed: int = 0
    arrange_status: ArrangeStatus | None = None


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """What became of one search of `batch_search`.

    Attributes:
        outcome: The documents found, or why there are none.
    """

    outcome: SearchResult | TwopassError

    @property
    def error(self) -> TwopassError | None:
        """Why there is no result; None when there is one."""
        return self.outcome if isinstance(self.outcome, TwopassError) else None

    def result(self) -> SearchResult:
        """The documents found.

        Raises:
            TwopassError: The search failed; the class is the one that `search` would have raised.
        """
        if isinstance(self.outcome, TwopassError):
            raise self.outcome
        return self.outcome


def outcomes_of(response: search_pb2.BatchSearchResponse) -> tuple[SearchOutcome, ...]:
    return tuple(
        SearchOutcome(
            result_of(found.response)
            if found.WhichOneof("outcome") == "response"
            else status_error(found.error)
        )
        for found in response.results
    )


def result_of(response: search_pb2.SearchResponse) -> SearchResult:
    return SearchResult(
        hits=tuple(map(_hit, response.hits)),
        retrieve_status=word_of(
            RetrieveStatus, search_pb2.RetrieveStatus, response.retrieve_status
        ),
        rerank_status=word_of(RerankStatus, search_pb2.RerankStatus, response.rerank_status),
        num_reranked=response.num_reranked,
        num_candidates=response.num_candidates,
        num_below_min_score=response.num_below_min_score,
        num_words_dropped=response.num_words_dropped,
        exact=response.exact if response.HasField("exact") else None,
        blend=response.blend,
        encoder=response.encoder,
        reranker=response.reranker,
        sequence=response.sequence,
        timings=timings(response.timings),
        query_truncated=response.query_truncated,
        answerable=response.answerable if response.HasField("answerable") else None,
        answer_threshold=(
            response.answer_threshold if response.HasField("answer_threshold") else None
        ),
        spans_status=spans_status(response),
        search_id=response.search_id,
        num_cached=response.num_cached,
        num_collapsed=response.num_collapsed,
        arrange_status=arrange_status(response),
    )


def _hit(message: search_pb2.SearchHit) -> SearchHit:
    return SearchHit(
        id=message.id,
        score=message.score if message.HasField("score") else None,
        logit=message.logit if message.HasField("logit") else None,
        dense_score=message.dense_score if message.HasField("dense_score") else None,
        lexical_score=message.lexical_score if message.HasField("lexical_score") else None,
        fused_score=message.fused_score if message.HasField("fused_score") else None,
        dense_rank=message.dense_rank if message.HasField("dense_rank") else None,
        lexical_rank=message.lexical_rank if message.HasField("lexical_rank") else None,
        first_pass_rank=message.first_pass_rank,
        truncated=message.truncated,
        span=span(message.span) if message.HasField("span") else None,
        title=message.title,
        text=message.text,
        metadata=read_metadata(message),
        vector=components(message.vector) if message.HasField("vector") else None,
        content_omitted=message.content_omitted,
        blended_score=message.blended_score if message.HasField("blended_score") else None,
        spans=scored_spans(message.spans),
        pruned_text=message.pruned_text,
        highlighted_text=message.highlighted_text,
        collapsed=collapsed_of(message),
        diversity_score=message.diversity_score if message.HasField("diversity_score") else None,
    )
