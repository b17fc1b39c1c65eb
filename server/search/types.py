"""What a search asks for and what it answers, free of gRPC."""

from dataclasses import dataclass, field
from enum import Enum

from twopass.engines.base.sequences import Float32s
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.filters import Filter
from twopass.index.fusion import Fusion
from twopass.index.kinds import Breadth
from twopass.index.word_query import WordClauses
from twopass.server.config_values import RetrieveMode
from twopass.server.models.passages import Cutting, Overlong, Truncation
from twopass.server.search.arrangement import (
    UNARRANGED,
    Arrangement,
    ArrangeSettings,
    ArrangeStatus,
)
from twopass.server.search.spans.settings import NO_SPANS, HitSpans, SpanSettings, SpansStatus
from twopass.server.telemetry.stopwatch import StageTimings

DEFAULT_TOP_N = 10
DEFAULT_K = 50
MAX_K = 2_048


class RetrieveStatus(Enum):
    """What became of the first pass."""

    COMPLETE = "complete"
    LEXICAL_DEADLINE = "lexical_deadline"
    LEXICAL_OVERLOAD = "lexical_overload"
    LEXICAL_FAILED = "lexical_failed"
    DENSE_DEADLINE = "dense_deadline"
    DENSE_OVERLOAD = "dense_overload"
    DENSE_FAILED = "dense_failed"
    FUSED_DEADLINE = "fused_deadline"
    FUSED_OVERLOAD = "fused_overload"
    FUSED_FAILED = "fused_failed"
    NO_WINDOWS_DEADLINE = "no_windows_deadline"
    NO_WINDOWS_OVERLOAD = "no_windows_overload"
    NO_WINDOWS_FAILED = "no_windows_failed"


class RerankStatus(Enum):
    """What became of the second pass."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    DISABLED = "disabled"
    SKIPPED_DEADLINE = "skipped_deadline"
    SKIPPED_OVERLOAD = "skipped_overload"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveSettings:
    """How candidates are found. None and 0 stand for a default until they are `resolved`.

    Attributes:
        mode: By nearest embeddings, by words, or by both.
        k: How many candidates, 1 to `MAX_K`; `HYBRID` takes as many from either side.
        fusion: How `HYBRID` joins its two lists.
        breadth: How far an approximate index is searched.
        words: What the words of documents must, must not and should be, beside the query.
        instruction: What the query is embedded for, for an encoder that takes an instruction; ""
            for the model's own.
    """

    mode: RetrieveMode | None = None
    k: int = 0
    fusion: Fusion | None = None
    breadth: Breadth = field(default_factory=Breadth)
    words: WordClauses = field(default_factory=WordClauses)
    instruction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankSettings:
    """How candidates are reranked.

    Attributes:
        enabled: Whether there is a second pass; None for the default, until it is `resolved`.
        depth: How many candidates are reranked, from the first; 0 for all.
        model: The reranker's id; "" for the default.
        blend: Weight of the first pass in the order; None for the model's own.
        truncation: What happens to a passage that is too long; None for the default, until it is
            `resolved`.
        min_score: Reranked hits below this are left out; None leaves out none.
        instruction: What makes a passage relevant, for a reranker that takes an instruction; "" for
            the model's own.
        answer_threshold: The score from which on a hit is taken for an answer; None for the
            model's own.
    """

    enabled: bool | None = None
    depth: int = 0
    model: str = ""
    blend: float | None = None
    truncation: Truncation | None = None
    min_score: float | None = None
    instruction: str = ""
    answer_threshold: float | None = None

    @property
    def long_passages(self) -> Truncation:
        """What happens to a passage that is too long, whether or not anybody has said it."""
        return self.truncation or Truncation.TRUNCATE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchQuery:
    """A query against a collection, checked; `resolved` fills in what it leaves unset.

    Attributes:
        collection: Its name.
        text: The question; may be "" where there is a vector and nothing that reads it.
        vector: Its embedding, float32 `[dimension]`; None to have `text` embedded.
        top_n: How many documents to return, at least 1.
        offset: How many of the best to skip.
        retrieve: Settings of the first pass.
        rerank: Settings of the second pass.
        filter: Which documents are considered; None for all.
        allow_fallback: Whether first-pass order may replace the second pass, and one list both.
        min_sequence: A write that the search must see; "" for none.
        fields: Which content hits carry.
        max_answer_bytes: Most bytes of content to read, the best hits first; None for any number.
        overlong: What becomes of a text that has more tokens than a model reads; None for the
            default, until it is `resolved`.
        to_cut: How a request says that it is to be cut, for messages; "" where it can't.
        spans: Which sentences of hits are looked for; None for none.
        query_id: The caller's key of the query, for feedback; "" for none.
        arrange: How hits are compared with each other after both passes; None for not at all.
    """

    collection: str
    text: str
    vector: Float32s | None = None
    top_n: int = DEFAULT_TOP_N
    offset: int = 0
    retrieve: RetrieveSettings
    rerank: RerankSettings = field(default_factory=RerankSettings)
    filter: Filter | None = None
    allow_fallback: bool = True
    min_sequence: str = ""
    fields: DocumentFields = field(default_factory=DocumentFields)
    max_answer_bytes: int | None = None
    overlong: Overlong | None = None
    to_cut: str = ""
    spans: SpanSettings | None = None
    query_id: str = ""
    arrange: ArrangeSettings | None = None

    @property
    def needs_embedding(self) -> bool:
        """Whether an encoder has to embed the text."""
        return self.vector is None and self.retrieve.mode is not RetrieveMode.LEXICAL

    @property
    def cutting(self) -> Cutting:
        """What becomes of a text that has more tokens than a model reads, and how."""
        return Cutting(overlong=self.overlong or Overlong.CUT, to_cut=self.to_cut)


@dataclass(frozen=True, slots=True)
class PlacedScore:
    """A score by one of the first pass's retrievers, and the rank in its list, from 1.

    The rank is None for a document that the list does not hold.
    """

    score: float
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchHit:
    """A document found; None stands for a score that was not computed.

    Attributes:
        document: The fields that were read of the document.
        first_pass_rank: Its rank before the second pass, from 1.
        dense: Its similarity, and its rank among the nearest.
        lexical: Its score and rank among those with the words.
        fused_score: The joined score of both.
        logit: The reranker's output.
        score: The logit calibrated, in [0, 1].
        blended_score: What decides the order of reranked hits.
        truncated: Whether the reranker did not read the passage's end.
        span: The first character of the best window in the passage, and one past its last; None
            where no window was chosen, or the time budget ended before its place was found.
        content_omitted: Whether only the document's id was read, for lack of room or time.
        spans: Its sentences that answer.
        arrangement: What collapsed into it, and what it was chosen by.
    """

    document: StoredDocument
    first_pass_rank: int
    dense: PlacedScore | None
    lexical: PlacedScore | None
    fused_score: float | None
    logit: float | None = None
    score: float | None = None
    blended_score: float | None = None
    truncated: bool = False
    span: tuple[int, int] | None = None
    content_omitted: bool = False
    spans: HitSpans = NO_SPANS
    arrangement: Arrangement = UNARRANGED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """The documents found, best first, and how the answer came about.

    Attributes:
        hits: At most `top_n`.
        retrieve_status: What became of the first pass.
        rerank_status: What became of the second pass.
        num_candidates: Documents that the first pass found.
        num_reranked: Candidates that the second pass scored.
        num_cached: Those of them whose scores had been computed before.
        num_below_min_score: Reranked hits left out for their score.
        num_words_dropped: Words of the query that were too many to be searched.
        exact: Whether every vector that might be found was compared; None without a dense list.
        query_truncated: Whether a model that read the query did not read its end.
        answerable: Whether any hit's score is `answer_threshold` or more; None where that is not
            known.
        answer_threshold: What decides it; None where there is no threshold or no second pass.
        blend: Weight of the first pass in the order of reranked hits.
        encoder: Id of the encoder that embedded the query; "" where none did.
        reranker: Id of the reranker that scored; "" where none did.
        sequence: The state of the collection that was searched.
        timings: Seconds of each stage.
        spans_status: What became of the spans asked for.
        search_id: Names the answer to those who send feedback; "" for none.
        num_collapsed: Candidates that collapsed into better ones.
        arrange_status: What became of that, and of diversity.
    """

    hits: list[SearchHit]
    retrieve_status: RetrieveStatus
    rerank_status: RerankStatus
    num_candidates: int
    num_reranked: int
    num_cached: int
    num_below_min_score: int
    num_words_dropped: int
    exact: bool | None
    query_truncated: bool
    answerable: bool | None
    answer_threshold: float | None
    blend: float
    encoder: str
    reranker: str
    sequence: str
    timings: StageTimings
    spans_status: SpansStatus = SpansStatus.NONE
    search_id: str = ""
    num_collapsed: int = 0
    arrange_status: ArrangeStatus = ArrangeStatus.NONE
