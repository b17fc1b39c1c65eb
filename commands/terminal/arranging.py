"""What came of comparing hits with each other, in words."""

from twopass.client import ArrangeStatus, CollapsedDocuments, SearchResult

_LEFT = {
    ArrangeStatus.SKIPPED_DEADLINE: "Hits were not compared with each other: time did not suffice.",
    ArrangeStatus.SKIPPED_OVERLOAD: "Hits were not compared with each other: too much else waited.",
    ArrangeStatus.FAILED: "Hits were not compared with each other: they could not be read.",
}
_REASONS = {"equal_text": "equal text", "near_duplicate": "near duplicate", "same_value": "same"}


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
