"""A choice as the search defaults of its collection."""

from dataclasses import replace

from twopass.client import SearchDefaults, Truncation
from twopass.evaluation.tuning.settings import Settings, asked


def saved_defaults(
    settings: Settings, known: SearchDefaults | None, revision: str, chosen_by: str
) -> SearchDefaults:
    """What a collection's search defaults become by a choice.

    Thresholds belong to a reranker's scores: they stay where the reranker stays, and where nobody
    reranks, since a request may still ask for it.

    Args:
        settings: The choice.
        known: The collection's defaults so far; None for none.
        revision: The chosen reranker's revision; "" where nobody reranks.
        chosen_by: Who or what chose, in words for people.
    """
    before = known or SearchDefaults()
    first = replace(
        before,
        mode=settings.mode,
        k=settings.k,
        fusion=None if settings.fusion is None else asked(settings.fusion),
        chosen_by=chosen_by,
        set_time=None,
    )
    if settings.reader is None:
        return replace(first, rerank=False, depth=None)
    truncation: Truncation | None = settings.reader.truncation
    if truncation == "truncate" and before.truncation != "max_window":
        truncation = before.truncation  # the same, or what somebody wants refused stays so
    is_same = before.reranker_revision == revision
    return replace(
        first,
        rerank=True,
        depth=settings.depth,
        reranker=settings.reader.model,
        reranker_revision=revision,
        blend=settings.blend,
        truncation=truncation,
        min_score=before.min_score if is_same else None,
        answer_threshold=before.answer_threshold if is_same else None,
    )
