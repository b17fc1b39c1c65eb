"""How `twopass search` has hits compared with each other, by its flags."""

from typing import Annotated, TypeAlias

import typer

from twopass.client import Collapse, Diversity
from twopass.commands.terminal.failures import USAGE, exit_with

_PANEL = "Hits that are alike"

DiversityOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        rich_help_panel=_PANEL,
        help="Weight of relevance against difference from the hits before: 1 keeps the order, 0.7 "
        "is a beginning; unset: by relevance alone.",
    ),
]
CollapseOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        rich_help_panel=_PANEL,
        help="Let near duplicates and equal texts give way to the best of them: those whose "
        "vectors have at least this cosine; 0.95 is a beginning.",
    ),
]
CollapseByOption: TypeAlias = Annotated[
    str,
    typer.Option(
        rich_help_panel=_PANEL,
        help="Show one hit, the best, for each value of this field of the metadata.",
    ),
]
MaxPerValueOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-per-value",
        min=1,
        max=100,
        rich_help_panel=_PANEL,
        help="With --collapse-by: how many hits a value may have; unset: 1.",
    ),
]
MaxListedOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-listed",
        min=1,
        max=100,
        rich_help_panel=_PANEL,
        help="How many of the documents within it a hit lists; it counts all. Unset: 10.",
    ),
]
DiversityDepthOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--diversity-depth",
        min=1,
        max=1000,
        rich_help_panel=_PANEL,
        help="With --diversity: how many of the first hits are put into another order; unset: 100.",
    ),
]


def collapse_for(
    similarity: float | None,
    field: str,
    max_per_value: int | None = None,
    max_listed: int | None = None,
) -> Collapse | None:
    """What collapses, by a command's flags. Exits where flags tell more of what does not."""
    if max_per_value is not None and not field:
        exit_with("--max-per-value: of the values of --collapse-by; give both", USAGE)
    if similarity is None and not field:
        if max_listed is not None:
            exit_with("--max-listed: of what collapses; give --collapse or --collapse-by", USAGE)
        return None
    return Collapse(
        similarity=similarity,
        equal_text=similarity is not None,
        field=field,
        max_per_value=max_per_value,
        max_listed=max_listed,
    )


def diversity_for(relevance_weight: float | None, depth: int | None) -> Diversity | None:
    """How far hits are to differ, by a command's flags. Exits where flags tell more of nothing."""
    if relevance_weight is None:
        if depth is not None:
            exit_with("--diversity-depth: of what --diversity reorders; give both", USAGE)
        return None
    return Diversity(relevance_weight=relevance_weight, depth=depth)
