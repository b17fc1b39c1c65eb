"""The first pass's options from messages."""

from dataclasses import dataclass

from twopass.index.fusion import ConvexFusion, Fusion, ReciprocalRankFusion
from twopass.index.kinds import Breadth
from twopass.index.word_query import WordClauses
from twopass.server.config import RetrieveMode
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits
from twopass.server.search.types import DEFAULT_K, MAX_K, RetrieveSettings
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.options import read_count, read_instruction
from twopass.server.servicers.word_clauses import read_word_clauses
from twopass.v1 import search_pb2

_MODES: "EnumMapping[search_pb2.RetrieveMode.ValueType, RetrieveMode | None]" = EnumMapping(
    search_pb2.RetrieveMode,
    {
        search_pb2.RETRIEVE_MODE_DENSE: RetrieveMode.DENSE,
        search_pb2.RETRIEVE_MODE_LEXICAL: RetrieveMode.LEXICAL,
        search_pb2.RETRIEVE_MODE_HYBRID: RetrieveMode.HYBRID,
    },
    default=None,
)


@dataclass(frozen=True, slots=True)
class RetrieveDefaults:
    """The defaults of a request's options, from settings of `ServerConfig`.

    Attributes:
        mode: How candidates are found.
        fusion: How the dense and the lexical list are fused.
        convex: The convex fusion of requests that ask for it without an alpha.
    """

    mode: RetrieveMode
    fusion: Fusion
    convex: ConvexFusion


def read_retrieve(
    message: search_pb2.SearchRequest, last: int, defaults: RetrieveDefaults, limits: Limits
) -> RetrieveSettings:
    """Reads how candidates are found.

    Args:
        message: The request.
        last: The place of the last hit that is asked for, from 1.
        defaults: What counts where the request says nothing.
        limits: Bounds of the server.

    Raises:
        InvalidRequestError: An option is out of range, or does not go with the others.
    """
    options = message.retrieve
    k = read_count("retrieve.k", options.k) or max(DEFAULT_K, last)
    if k > MAX_K:
        field = "retrieve.k" if options.k else "top_n"
        raise InvalidRequestError(f"{field}: {k:,} given, at most {MAX_K:,}", limit=MAX_K, value=k)
    words = read_word_clauses(options.words)
    mode = _read_mode(message, words, defaults)
    fusion = _read_fusion(options, mode, defaults)
    return RetrieveSettings(
        mode=mode,
        k=k,
        fusion=fusion,
        breadth=_read_breadth(options),
        words=words,
        instruction=_read_instruction(message, mode, limits),
    )


def _read_instruction(message: search_pb2.SearchRequest, mode: RetrieveMode, limits: Limits) -> str:
    field = "retrieve.instruction"
    instruction = read_instruction(field, message.retrieve.instruction, limits)
    if instruction and (mode is RetrieveMode.LEXICAL or message.HasField("vector")):
        why = "there is a vector" if message.HasField("vector") else "retrieval is LEXICAL"
        raise InvalidRequestError(
            f"{field}: given, but {why}, so that nothing embeds the query; leave it empty"
        )
    return instruction


def _read_breadth(options: search_pb2.RetrieveOptions) -> Breadth:
    return Breadth(
        ef_search=options.ef_search if options.HasField("ef_search") else None,
        nprobe=options.nprobe if options.HasField("nprobe") else None,
    )


def _read_mode(
    message: search_pb2.SearchRequest, words: WordClauses, defaults: RetrieveDefaults
) -> RetrieveMode:
    """Reads how candidates are found, and checks that there is what it looks for."""
    mode = _MODES.read("retrieve.mode", message.retrieve.mode)
    has_query = bool(message.query.strip())
    has_meaning = has_query or message.HasField("vector")
    has_words = has_query or bool(words.required or words.optional)
    if not has_meaning and not has_words:
        raise InvalidRequestError(
            "query: empty, and there is no vector and no required or optional clause in "
            "retrieve.words; at least one is needed"
        )
    if mode is None:
        if has_query:
            mode = defaults.mode
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


def _read_fusion(
    options: search_pb2.RetrieveOptions, mode: RetrieveMode, defaults: RetrieveDefaults
) -> Fusion:
    given = options.WhichOneof("fusion")
    if given is None:
        return defaults.fusion
    if mode is not RetrieveMode.HYBRID:
        raise InvalidRequestError(
            f"retrieve.{given}: given, but {mode.upper()} retrieval has one list only, nothing to "
            "fuse; leave it unset, or retrieve by RETRIEVE_MODE_HYBRID"
        )
    if given == "rrf":
        k = read_count("retrieve.rrf.k", options.rrf.k)
        return ReciprocalRankFusion(k) if k else ReciprocalRankFusion()
    if not options.convex.HasField("alpha"):
        return defaults.convex
    if not 0 <= options.convex.alpha <= 1:
        raise InvalidRequestError(
            f"retrieve.convex.alpha: {options.convex.alpha:g} given, 0 to 1 is needed",
            limit=1,
            value=options.convex.alpha,
        )
    return ConvexFusion(options.convex.alpha)
