"""The measurement of training, as far as it needs no PyTorch."""

from twopass.benchmarks.training import Load, examples_alone, sampler_of
from twopass.training.examples.layout import PartSize, lay_out


def test_examples_are_measured_by_what_a_core_makes_of_them():
    load = Load(questions=4, negatives=3, max_tokens=64, seconds=0.02)
    rows = examples_alone(load, "twopass-minilm-l6")
    assert [row["examples"] for row in rows] == ["sampled, as token ids", "sampled and laid out"]
    for row in rows:
        assert row["pairs/s of a core"] * row["core-ms a 1,000 pairs"] > 0


def test_made_up_groups_are_of_the_load():
    load = Load(questions=4, negatives=3, max_tokens=64)
    sampler, pad_id = sampler_of(load, "twopass-minilm-l6")
    step = sampler.of_step(0)
    assert len(step.group_sizes) == 4
    assert step.pairs.lengths.max() <= 64
    (part,) = lay_out(step, PartSize(100_000, 8, 0), pad_id)
    padding = part.shape.tokens - len(step.pairs.token_ids)
    expected = [*step.pairs.token_ids.tolist(), *[pad_id] * padding]
    assert sorted(part.arrays.token_ids.tolist()) == sorted(expected)
