"""The loss that training minimises."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from twopass.training.examples import Example


def listwise_loss(
    logits: torch.Tensor,
    examples: Sequence[Example],
    *,
    teacher_weight: float,
) -> torch.Tensor:
    """Softmax cross-entropy over each group, with the answer and a teacher's order as its targets.

    The first term is that of ListNet with one relevant passage (Cao et al. 2007); the second is the
    distance from the teacher's distribution (Hinton et al. 2015).

    Args:
        logits: float32 `[num_pairs]`, the pairs of all examples one after another.
        examples: The examples that the pairs belong to.
        teacher_weight: Weight of the second term, 0 to 1; the first has the rest.

    Returns:
        The mean over examples, a scalar.
    """
    sizes = torch.tensor([len(example.pairs) for example in examples], device=logits.device)
    is_there = torch.arange(int(sizes.max()), device=logits.device) < sizes[:, None]
    scores = logits.new_full(is_there.shape, -torch.inf).masked_scatter(is_there, logits)
    teaching = torch.tensor(
        [logit for example in examples for logit in example.teaching], device=logits.device
    )
    teacher = logits.new_full(is_there.shape, -torch.inf).masked_scatter(is_there, teaching)
    answer = functional.one_hot(sizes.new_zeros(len(sizes)), is_there.shape[1])
    target = (1 - teacher_weight) * answer + teacher_weight * teacher.softmax(1)
    # Padding has a log probability of minus infinity, so it weighs nothing.
    log_probabilities = scores.log_softmax(1).masked_fill(~is_there, 0.0)
    return -(target * log_probabilities).sum(1).mean()
