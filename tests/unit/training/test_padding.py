"""Groups as rectangles."""

import pytest

from twopass.training.options import TrainingOptions
from twopass.training.padding import padded_parts

OPTIONS = TrainingOptions(questions=8, negatives=5, random_negatives=2, max_tokens=32)


@pytest.mark.parametrize("max_tokens", [1, 32 * 6, 32 * 11, 32 * 13, 10_000])
def test_parts_hold_every_group_once_and_no_more_tokens_than_allowed(
    make_examples, groups, max_tokens
):
    examples = make_examples(groups, OPTIONS).of_step(2)
    parts = list(padded_parts(examples, max_tokens, pad_id=0))
    held = [example for part in parts for example in part.examples]
    assert sorted(map(id, held)) == sorted(map(id, examples))
    for part in parts:
        assert part.token_ids.size <= max_tokens or len(part.examples) == 1


def test_rows_are_the_pairs_of_the_groups_and_padding_is_told_apart(make_examples, groups):
    examples = make_examples(groups, OPTIONS).of_step(2)
    for part in padded_parts(examples, 500, pad_id=9):
        pairs = [pair for example in part.examples for pair in example.pairs]
        query_lengths = [n for example in part.examples for n in example.query_lengths]
        assert part.token_ids.shape == (len(pairs), 32)  # lengths are rounded up
        for row, (pair, query_length) in enumerate(zip(pairs, query_lengths, strict=True)):
            assert part.token_ids[row].tolist() == [*pair, *[9] * (32 - len(pair))]
            assert part.is_real[row].tolist() == [i < len(pair) for i in range(32)]
            is_passage = [int(query_length <= i < len(pair)) for i in range(32)]
            assert part.token_types[row].tolist() == is_passage


def test_the_longest_groups_come_first(make_examples, groups):
    examples = make_examples(groups, OPTIONS).of_step(0)
    longest = [
        max(len(pair) for example in part.examples for pair in example.pairs)
        for part in padded_parts(examples, 1, pad_id=0)
    ]
    assert longest == sorted(longest, reverse=True)
