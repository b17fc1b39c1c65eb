"""The loss that training minimises."""

import torch

from twopass.training.devices import on_device
from twopass.training.padding import GroupTable


def listwise_loss(
    logits: torch.Tensor, groups: GroupTable, *, teacher_weight: float
) -> torch.Tensor:
    """Softmax cross-entropy over each group, with the answer and a teacher's order as its targets.

    The first term is that of ListNet with one relevant passage (Cao et al. 2007); the second is the
    distance from the teacher's distribution (Hinton et al. 2015). Nothing here waits for the
    device.

    Args:
        logits: float32 `[num_pairs]`, row by row.
        groups: Which rows belong to which group.
        teacher_weight: Weight of the second term, 0 to 1; the first has the rest.

    Returns:
        The mean over groups, a scalar.
    """
    rows, is_there, teaching = (
        on_device(array, logits.device) for array in (groups.rows, groups.is_there, groups.teaching)
    )
    scores = logits.index_select(0, rows.flatten()).view(rows.shape)
    answer = torch.zeros_like(teaching)
    answer[:, 0] = 1
    teacher = teaching.masked_fill(~is_there, -torch.inf).softmax(1)
    target = (1 - teacher_weight) * answer + teacher_weight * teacher
    # Padding has a log probability of minus infinity, so it weighs nothing.
    log_probabilities = scores.masked_fill(~is_there, -torch.inf).log_softmax(1)
    return -(target * log_probabilities.masked_fill(~is_there, 0.0)).sum(1).mean()
