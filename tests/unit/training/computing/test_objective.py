"""What a step lessens, beside a plain reading of the formula."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra training")

from twopass.training.computing.objective import listwise_loss  # noqa: E402


def table(*teaching: list[float]):
    """Rows and teaching of groups whose pairs follow one another."""
    largest = max(map(len, teaching))
    rows = torch.full((len(teaching), largest), -1, dtype=torch.int32)
    values, first = torch.zeros(len(teaching), largest), 0
    for number, of_group in enumerate(teaching):
        rows[number, : len(of_group)] = torch.arange(first, first + len(of_group))
        values[number, : len(of_group)] = torch.tensor(of_group)
        first += len(of_group)
    return rows, values


def softmax(values):
    exponentials = [math.exp(v - max(values)) for v in values]
    return [e / sum(exponentials) for e in exponentials]


def plain_loss(logits, teaching, weight):
    losses, first = [], 0
    for of_group in teaching:
        read = softmax(logits[first : first + len(of_group)])
        teacher = softmax(of_group)
        target = [(1 - weight) * (i == 0) + weight * t for i, t in enumerate(teacher)]
        losses.append(-sum(t * math.log(r) for t, r in zip(target, read, strict=True)))
        first += len(of_group)
    return sum(losses)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_it_is_the_cross_entropy_with_answer_and_teacher(weight):
    teaching = [[9.0, 8.0, 1.0], [2.0, 5.0], [3.0, 3.0, 3.0, 7.0]]
    logits = np.random.default_rng(0).normal(0, 2, 9).astype(np.float32)
    loss = listwise_loss(torch.from_numpy(logits), *table(*teaching), teacher_weight=weight)
    assert float(loss) == pytest.approx(plain_loss(logits.tolist(), teaching, weight), 1e-5)


def test_groups_of_unequal_size_give_finite_gradients():
    logits = torch.zeros(4, requires_grad=True)
    listwise_loss(logits, *table([0.9, 0.8, 0.1], [0.2]), teacher_weight=0.5).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0] < 0 < logits.grad[2]
    assert logits.grad[3] == 0  # alone in its group: nothing to order
