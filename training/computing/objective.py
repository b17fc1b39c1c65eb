"""The loss that training minimises."""

import torch


def listwise_loss(
    logits: torch.Tensor, rows: torch.Tensor, teaching: torch.Tensor, *, teacher_weight: float
) -> torch.Tensor:
    """Softmax cross-entropy over each group, with the answer and a teacher's order as its targets.

    The first term is that of ListNet with one relevant passage (Cao et al. 2007); the second is the
    distance from the teacher's distribution (Hinton et al. 2015). All groups are computed together,
    and nothing here waits for the device.

    Args:
        logits: float32 `[sequences]`.
        rows: Which logits are of each group, the answer's first, int32 `[groups, largest]`; -1
            where a group has no more.
        teaching: The teacher's logits, float32 `[groups, largest]`.
        teacher_weight: Weight of the second term, 0 to 1; the first has the rest.

    Returns:
        The sum over groups, a scalar.
    """
    is_missing = rows < 0
    scores = logits.index_select(0, rows.clamp(min=0).flatten()).view(rows.shape)
    target = teacher_weight * teaching.masked_fill(is_missing, -torch.inf).softmax(1)
    target.select(1, 0).add_(1 - teacher_weight)
    # What is missing has a log probability of minus infinity, so it weighs nothing.
    log_probabilities = scores.masked_fill(is_missing, -torch.inf).log_softmax(1)
    return -(target * log_probabilities.masked_fill(is_missing, 0.0)).sum()
