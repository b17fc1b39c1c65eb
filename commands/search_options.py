"""What `twopass search` can be told beyond the commonest: each option of a search, by the pass."""

from typing import Annotated, TypeAlias

import typer

from twopass.client import ConvexFusion, Fields, ReciprocalRankFusion, Truncation
from twopass.commands.terminal.failures import USAGE, exit_with

FIRST = "First pass"
SECOND = "Second pass"
ANSWER = "Answer"

LONG_PASSAGES = (
    "What happens to a passage that is longer than the reranker reads: truncate reads its "
    "beginning, max_window all of it in windows, of which the best counts, reject fails"
)
LONG_QUESTIONS = (
    "What happens to a question that is longer than a model reads: truncate reads its beginning "
    "and says so, reject fails"
)

# --- the first pass -------------------------------------------------------------------------------

RrfKOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--rrf-k",
        min=1,
        rich_help_panel=FIRST,
        help="Fuse both lists by reciprocal ranks, with this k: the larger, the less the first "
        "ranks lead.",
    ),
]
AlphaOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        rich_help_panel=FIRST,
        help="Fuse both lists by their scores; the weight of the dense one.",
    ),
]
EfSearchOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--ef-search",
        min=1,
        rich_help_panel=FIRST,
        help="How broadly an HNSW index is searched: more finds more, in more time.",
    ),
]
NprobeOption: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=FIRST, help="How many lists of an IVF index are searched."),
]
EncoderInstructionOption: TypeAlias = Annotated[
    str,
    typer.Option(
        rich_help_panel=FIRST,
        help="What the question is embedded for, for encoders that are told so; unset: the "
        "model's own.",
    ),
]

# --- the second pass ------------------------------------------------------------------------------

DepthOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=SECOND,
        help="How many candidates are reranked; the others follow in the first pass's order. "
        "Unset: the collection's default, or all.",
    ),
]
RerankerOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=SECOND,
        help="The reranker, as `twopass models` lists them; unset: the default of the collection "
        "or the server.",
    ),
]
TruncationOption: TypeAlias = Annotated[
    Truncation | None,
    typer.Option(
        rich_help_panel=SECOND,
        help=f"{LONG_PASSAGES}. Unset: the collection's default, or truncate.",
    ),
]
MinScoreOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        rich_help_panel=SECOND,
        help="Leave out reranked hits whose score is lower, and say how many. `twopass calibrate` "
        "finds the score for a wanted precision. Unset: the collection's default, or none.",
    ),
]
AnswerThresholdOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        rich_help_panel=SECOND,
        help="The score from which on a hit is taken for an answer: whether any is, is said below "
        "the hits, and `answerable` in --json. It leaves out none. Unset: the default of the "
        "collection or the reranker.",
    ),
]

# --- the answer -----------------------------------------------------------------------------------

TimeBudgetOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--time-budget",
        min=0.1,
        metavar="<milliseconds>",
        rich_help_panel=ANSWER,
        help="How long the server may take: at its end it answers what it has found, and says "
        "what is missing.",
    ),
]
FallbackOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--fallback/--no-fallback",
        rich_help_panel=ANSWER,
        help="Whether an answer may lack the second pass, or one of two lists, where time or room "
        "is short; else the search fails instead.",
    ),
]
MinSequenceOption: TypeAlias = Annotated[
    str,
    typer.Option(
        rich_help_panel=ANSWER,
        help="The `sequence` of a write that the search must see, from that write's answer.",
    ),
]
VectorsOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--vectors", rich_help_panel=ANSWER, help="Hits in --json carry their embeddings too."
    ),
]


def fusion_for(
    rrf_k: int | None, alpha: float | None
) -> ReciprocalRankFusion | ConvexFusion | None:
    """How both lists are joined, by a command's flags. Exits where both are given."""
    if rrf_k is not None and alpha is not None:
        exit_with("--rrf-k, --alpha: two ways to fuse; give one of them", USAGE)
    if rrf_k is not None:
        return ReciprocalRankFusion(rrf_k)
    return None if alpha is None else ConvexFusion(alpha)


def fields_for(*, vectors: bool, as_json: bool) -> Fields | None:
    """What hits carry, by a command's flags. Exits where a table is to show embeddings."""
    if vectors and not as_json:
        exit_with("--vectors: a table shows no embeddings; give --json too", USAGE)
    return Fields(vector=True) if vectors else None
