"""What a search uses where its request says nothing.

A request's own value always wins, then the collection's default, then the server's or the model's:
`resolved` is the one place where they are joined. What belongs to one reranker, as a threshold on
its scores does, is applied to searches by the reranker of that revision alone.
"""

from dataclasses import dataclass, replace

from twopass.engines.base.model import LoadedReranker
from twopass.index.fusion import ConvexFusion, Fusion, ReciprocalRankFusion
from twopass.server.config_values import RetrieveMode
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Overlong, Truncation
from twopass.server.models.registry import Models
from twopass.server.search.types import DEFAULT_K, RerankSettings, RetrieveSettings, SearchQuery

_DIGITS = 12


@dataclass(frozen=True, slots=True)
class RetrieveDefaults:
    """The server's defaults of the first pass, from settings of `ServerConfig`.

    Attributes:
        mode: How candidates are found.
        fusion: How the dense and the lexical list are fused.
        convex: The convex fusion of requests that ask for it without an alpha.
    """

    mode: RetrieveMode
    fusion: Fusion
    convex: ConvexFusion


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchDefaults:
    """A collection's defaults; None, 0 and "" stand for those of the server or the model.

    Attributes:
        mode: How candidates are found.
        k: How many candidates.
        fusion: How `HYBRID` joins its two lists.
        rerank: Whether there is a second pass.
        depth: How many candidates are reranked.
        reranker: The reranker's id.
        reranker_revision: Of the reranker that was chosen; "" where nothing depends on it.
        calibration: The a and b by which that reranker's logits became scores when these were set.
        blend: Weight of the first pass in the order.
        min_score: Reranked hits below this are left out.
        answer_threshold: The score from which on a hit is taken for an answer.
        truncation: What happens to a passage that is too long.
        query_truncation: What happens to a query that is too long.
        chosen_by: Who or what chose these, in words.
        set_time_us: When they were set, microseconds since the epoch.
    """

    mode: RetrieveMode | None = None
    k: int = 0
    fusion: ReciprocalRankFusion | ConvexFusion | None = None
    rerank: bool | None = None
    depth: int = 0
    reranker: str = ""
    reranker_revision: str = ""
    calibration: tuple[float, float] | None = None
    blend: float | None = None
    min_score: float | None = None
    answer_threshold: float | None = None
    truncation: Truncation | None = None
    query_truncation: Overlong | None = None
    chosen_by: str = ""
    set_time_us: int = 0

    @property
    def belongs_to_reranker(self) -> bool:
        """Whether any of them means something for one reranker alone."""
        bound = (self.blend, self.min_score, self.answer_threshold)
        return bool(self.reranker) or any(value is not None for value in bound)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set by them."""
        return replace(self, chosen_by="", set_time_us=0) == NO_DEFAULTS

    def of_scores(self, reranker: LoadedReranker) -> "SearchDefaults":
        """Those that a reranker's scores and logits mean something for; the others unset."""
        calibration = reranker.spec.calibration
        if self.reranker_revision != reranker.spec.revision:
            return replace(self, blend=None, min_score=None, answer_threshold=None)
        if self.calibration != (calibration.a, calibration.b):
            return replace(self, min_score=None, answer_threshold=None)
        return self

    def problem(self, models: Models) -> str:
        """Why some of them are not applied, and the ways out; "" where all are."""
        if not self.reranker_revision:
            return ""
        named = self.reranker or "the default reranker"
        chosen = f"they were chosen for {named} of revision {self.reranker_revision[:_DIGITS]}"
        unused = "reranker, blend, min_score and answer_threshold are not applied"
        reranker = models.reranker_of(self.reranker_revision)
        if reranker is None:
            return (
                f"{chosen}, which this server does not hold: {unused}; start it with that "
                "reranker, or set the defaults anew"
            )
        if not self.reranker and models.reranker().spec.revision != self.reranker_revision:
            return (
                f"{chosen}, the default reranker is {models.reranker().spec.id} here: {unused} to "
                f"searches that name none; name {reranker.spec.id} in the defaults, or set them "
                "anew"
            )
        calibration = reranker.spec.calibration
        is_of_scores = self.min_score is not None or self.answer_threshold is not None
        if is_of_scores and self.calibration != (calibration.a, calibration.b):
            return (
                f"{chosen}, whose scores are calibrated otherwise since: min_score and "
                "answer_threshold are not applied; set the defaults anew"
            )
        return ""


NO_DEFAULTS = SearchDefaults()
"""Those of a collection that has none."""


def resolved(
    query: SearchQuery, defaults: SearchDefaults, server: RetrieveDefaults, models: Models
) -> SearchQuery:
    """Fills in what a query leaves unset, and checks what goes together.

    Args:
        query: As it was asked.
        defaults: Its collection's.
        server: The server's.
        models: Which rerankers there are.

    Raises:
        InvalidRequestError: An option does not go with the others.
        UnknownModelError: The request names a reranker that the server does not hold.
    """
    return replace(
        query,
        retrieve=_retrieve(query, defaults, server),
        rerank=_rerank(query, defaults, models),
        overlong=query.overlong or defaults.query_truncation or Overlong.CUT,
    )


def _retrieve(
    query: SearchQuery, defaults: SearchDefaults, server: RetrieveDefaults
) -> RetrieveSettings:
    asked = query.retrieve
    mode = _mode(query, defaults.mode or server.mode)
    if asked.fusion is not None and mode is not RetrieveMode.HYBRID:
        given = "rrf" if isinstance(asked.fusion, ReciprocalRankFusion) else "convex"
        raise InvalidRequestError(
            f"retrieve.{given}: given, but {mode.upper()} retrieval has one list only, nothing to "
            "fuse; leave it unset, or retrieve by RETRIEVE_MODE_HYBRID"
        )
    if asked.instruction and (mode is RetrieveMode.LEXICAL or query.vector is not None):
        why = "there is a vector" if query.vector is not None else "retrieval is LEXICAL"
        raise InvalidRequestError(
            f"retrieve.instruction: given, but {why}, so that nothing embeds the query; leave it "
            "empty"
        )
    return replace(
        asked,
        mode=mode,
        k=asked.k or max(defaults.k or DEFAULT_K, query.offset + query.top_n),
        fusion=asked.fusion or defaults.fusion or server.fusion,
    )


def _mode(query: SearchQuery, default: RetrieveMode) -> RetrieveMode:
    """How candidates are found; checks that there is what is looked for."""
    mode, words = query.retrieve.mode, query.retrieve.words
    has_query = bool(query.text.strip())
    has_meaning = has_query or query.vector is not None
    has_words = has_query or bool(words.required or words.optional)
    if mode is None:
        if has_query:
            mode = default
        elif not has_meaning:
            mode = RetrieveMode.LEXICAL
        else:
            mode = RetrieveMode.HYBRID if words.optional else RetrieveMode.DENSE
    if mode is not RetrieveMode.DENSE and not has_words:
        raise InvalidRequestError(
            f"query: empty, but {mode.upper()} retrieval reads its words; give one, or a required "
            "or optional clause in retrieve.words, or retrieve by RETRIEVE_MODE_DENSE"
        )
    if mode is not RetrieveMode.LEXICAL and not has_meaning:
        raise InvalidRequestError(
            f"query: empty, and there is no vector, but {mode.upper()} retrieval needs one of "
            "them; give one, or retrieve by RETRIEVE_MODE_LEXICAL"
        )
    if mode is RetrieveMode.DENSE and words.optional:
        raise InvalidRequestError(
            "retrieve.words.optional: given, but DENSE retrieval has no score of words that they "
            "add to; give required ones, or retrieve by RETRIEVE_MODE_HYBRID"
        )
    return mode


def _rerank(query: SearchQuery, defaults: SearchDefaults, models: Models) -> RerankSettings:
    asked, enabled = query.rerank, query.rerank.enabled
    truncation = asked.truncation or defaults.truncation or Truncation.TRUNCATE
    asked = replace(asked, truncation=truncation)
    if enabled is None:
        enabled = True if defaults.rerank is None else defaults.rerank
    depth = asked.depth or defaults.depth
    # Spans are read by the same reranker, whether or not there is a second pass.
    is_read = enabled or query.spans is not None
    if not is_read or not defaults.belongs_to_reranker:
        return replace(asked, enabled=enabled, depth=depth)
    model = asked.model
    if not model and defaults.reranker:
        held = models.reranker_of(defaults.reranker_revision)
        model = held.spec.id if held else ""
    reranker = models.reranker(model, "rerank.model")
    of_scores = defaults.of_scores(reranker)
    return replace(
        asked,
        enabled=enabled,
        depth=depth,
        model=model,
        blend=_first(asked.blend, of_scores.blend),
        min_score=_first(asked.min_score, of_scores.min_score),
        answer_threshold=_first(asked.answer_threshold, of_scores.answer_threshold),
    )


def _first(asked: float | None, default: float | None) -> float | None:
    return default if asked is None else asked
