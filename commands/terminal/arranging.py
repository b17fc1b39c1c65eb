"""How hits are compared with each other, as commands are told and as they tell it."""

from typing import Annotated, TypeAlias

import typer

from twopass.client import ArrangeStatus, Collapse, CollapsedDocuments, SearchResult

_LEFT = {
    ArrangeStatus.SKIPPED_DEADLINE: "Hits were not compared with each other: time did not suffice.",
    ArrangeStatus.SKIPPED_OVERLOAD: "Hits were not compared with each other: too much else waited.",
    ArrangeStatus.FAILED: "Hits were not compared with each other: they could not be read.",
}
_REASONS = {"equal_text": "equal text", "near_duplicate": "near duplicate", "same_value": "same"}

DiversityOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Weight of relevance against difference from the hits before: 1 keeps the order, 0.7 "
        "is a beginning; unset: by relevance alone.",
    ),
]
CollapseOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Let near duplicates and equal texts give way to the best of them: those whose "
        "vectors have at least this cosine; 0.95 is a beginning.",
    ),
]
CollapseByOption: TypeAlias = Annotated[
    str,
    typer.Option(help="Show one hit, the best, for each value of this field of the metadata."),
]


def collapse_for(similarity: float | None, field: str) -> Collapse | None:
    """What collapses, by a command's flags."""
    if similarity is None and not field:
        return None
    return Collapse(similarity=similarity, equal_text=similarity is not None, field=field)


def told_of_arranging(result: SearchResult, first_rank: int) -> list[str]:
    """What collapsed into which hit, a line for each, or why nothing was compared."""
    if result.arrange_status in _LEFT:
        return [_LEFT[result.arrange_status]]
    return [
        f"Into {rank}: {_within(hit.collapsed)}."
        for rank, hit in enumerate(result.hits, first_rank)
        if hit.collapsed.count
    ]


def _within(collapsed: CollapsedDocuments) -> str:
    told = ", ".join(
        f"{each.id} ({_REASONS.get(each.reason, each.reason)}"
        + (f" {each.similarity:.3f}" if each.similarity is not None else "")
        + (f" {collapsed.value}" if each.reason == "same_value" else "")
        + ")"
        for each in collapsed.documents
    )
    more = collapsed.count - len(collapsed.documents)
    return f"{told} and {more:,} more" if more else told
