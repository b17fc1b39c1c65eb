"""The first pass's options from messages."""

from twopass.index.fusion import ConvexFusion, ReciprocalRankFusion
from twopass.index.kinds import Breadth
from twopass.index.word_query import WordClauses
from twopass.server.config_values import RetrieveMode
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits
from twopass.server.search.types import MAX_K, RetrieveSettings
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.options import read_count, read_instruction
from twopass.server.servicers.word_clauses import read_word_clauses
from twopass.v1 import collection_pb2, search_pb2

RETRIEVE_MODES: "EnumMapping[search_pb2.RetrieveMode.ValueType, RetrieveMode | None]" = EnumMapping(
    search_pb2.RetrieveMode,
    {
        search_pb2.RETRIEVE_MODE_DENSE: RetrieveMode.DENSE,
        search_pb2.RETRIEVE_MODE_LEXICAL: RetrieveMode.LEXICAL,
        search_pb2.RETRIEVE_MODE_HYBRID: RetrieveMode.HYBRID,
    },
    default=None,
)
"""How candidates are found; None where a message does not say."""


def read_retrieve(
    message: search_pb2.SearchRequest, last: int, convex: ConvexFusion, limits: Limits
) -> RetrieveSettings:
    """Reads what a request says of how candidates are found.

    Args:
        message: The request.
        last: The place of the last hit that is asked for, from 1.
        convex: The convex fusion of requests that ask for it without an alpha.
        limits: Bounds of the server.

    Raises:
        InvalidRequestError: An option is out of range, or there is nothing to look for.
    """
    options = message.retrieve
    k = read_count("retrieve.k", options.k)
    if (most := k or last) > MAX_K:
        field = "retrieve.k" if k else "top_n"
        raise InvalidRequestError(
            f"{field}: {most:,} given, at most {MAX_K:,}", limit=MAX_K, value=most
        )
    words = read_word_clauses(options.words)
    _ensure_looks_for_something(message, words)
    return RetrieveSettings(
        mode=RETRIEVE_MODES.read("retrieve.mode", options.mode),
        k=k,
        fusion=read_fusion("retrieve.", options, convex),
        breadth=_read_breadth(options),
        words=words,
        instruction=read_instruction("retrieve.instruction", options.instruction, limits),
    )


def _read_breadth(options: search_pb2.RetrieveOptions) -> Breadth:
    return Breadth(
        ef_search=options.ef_search if options.HasField("ef_search") else None,
        nprobe=options.nprobe if options.HasField("nprobe") else None,
    )


def _ensure_looks_for_something(message: search_pb2.SearchRequest, words: WordClauses) -> None:
    if message.query.strip() or message.HasField("vector") or words.required or words.optional:
        return
    raise InvalidRequestError(
        "query: empty, and there is no vector and no required or optional clause in "
        "retrieve.words; at least one is needed"
    )


def read_fusion(
    prefix: str,
    options: "search_pb2.RetrieveOptions | collection_pb2.SearchDefaults",
    convex: ConvexFusion,
) -> ReciprocalRankFusion | ConvexFusion | None:
    """Reads how two lists are joined; None where it is unset.

    Args:
        prefix: What stands before the fields' names in messages: "retrieve.".
        options: The message that holds `rrf` or `convex`.
        convex: The convex fusion of messages that ask for it without an alpha.

    Raises:
        InvalidRequestError: A number is out of range.
    """
    given = options.WhichOneof("fusion")
    if given is None:
        return None
    if given == "rrf":
        k = read_count(f"{prefix}rrf.k", options.rrf.k)
        return ReciprocalRankFusion(k) if k else ReciprocalRankFusion()
    if not options.convex.HasField("alpha"):
        return convex
    if not 0 <= options.convex.alpha <= 1:
        raise InvalidRequestError(
            f"{prefix}convex.alpha: {options.convex.alpha:g} given, 0 to 1 is needed",
            limit=1,
            value=options.convex.alpha,
        )
    return ConvexFusion(options.convex.alpha)
