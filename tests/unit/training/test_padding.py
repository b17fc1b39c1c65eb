"""Groups as rectangles."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twopass.training.examples import Example
from twopass.training.options import TrainingOptions
from twopass.training.padding import PartSize, parts

OPTIONS = TrainingOptions(questions=8, negatives=5, random_negatives=2, max_tokens=32)


def example(lengths, first=1):
    """A group whose pairs have these lengths and token ids of their own."""
    pairs = [np.full(length, first + place, np.int32) for place, length in enumerate(lengths)]
    return Example(pairs, [min(3, n) for n in lengths], [float(n) for n in lengths])


def rows(part):
    """The pairs of a part, row by row."""
    return [
        rectangle.token_ids[row][rectangle.is_real[row]].tolist()
        for rectangle in part.rectangles
        for row in range(len(rectangle.token_ids))
    ]


def num_tokens(part):
    return sum(rectangle.token_ids.size for rectangle in part.rectangles)


groups_of_lengths = st.lists(
    st.lists(st.integers(1, 256), min_size=1, max_size=8), min_size=1, max_size=8
)


@given(groups_of_lengths, st.sampled_from([1, 700, 5_000]), st.sampled_from([0, 300, 10**6]))
def test_the_table_finds_every_pair_of_every_group_in_its_row(lengths, tokens, per_rectangle):
    examples = [example(of_group, 100 * number) for number, of_group in enumerate(lengths)]
    found = []
    for part in parts(examples, PartSize(tokens, per_rectangle), pad_id=0):
        in_row = rows(part)
        for row, there, teaching in zip(
            part.groups.rows, part.groups.is_there, part.groups.teaching, strict=True
        ):
            found.append(([in_row[place] for place in row[there]], teaching[there].tolist()))
    expected = [([pair.tolist() for pair in e.pairs], e.teaching) for e in examples]
    assert sorted(found) == sorted(expected)


@given(groups_of_lengths, st.sampled_from([64, 700, 5_000]), st.sampled_from([0, 300, 10**6]))
def test_a_part_holds_no_more_tokens_than_allowed_unless_it_is_one_group(
    lengths, tokens, per_rectangle
):
    examples = [example(of_group) for of_group in lengths]
    for part in parts(examples, PartSize(tokens, per_rectangle), pad_id=0):
        assert num_tokens(part) <= tokens or part.num_groups == 1


@given(st.lists(st.integers(1, 192), min_size=1, max_size=12), st.sampled_from([0, 40, 500, 10**6]))
def test_rectangles_cost_least_of_all_ways_to_divide_the_lengths(lengths, per_rectangle):
    (part,) = parts([example(lengths)], PartSize(1, per_rectangle), pad_id=0)
    rounded = sorted(-(-length // 32) * 32 for length in lengths)
    steps = sorted(set(rounded))

    def cost(widths):
        padded = sum(min(w for w in widths if w >= length) for length in rounded)
        return padded + per_rectangle * len(widths)

    least = min(
        cost((*some, steps[-1]))
        for size in range(len(steps))
        for some in itertools.combinations(steps[:-1], size)
    )
    assert num_tokens(part) + per_rectangle * len(part.rectangles) == least


def test_pairs_of_one_group_need_not_be_padded_to_its_longest():
    (part,) = parts([example([200, 20, 20, 20])], PartSize(10_000, 0), pad_id=0)
    assert [rectangle.token_ids.shape for rectangle in part.rectangles] == [(1, 224), (3, 32)]
    (part,) = parts([example([200, 20, 20, 20])], PartSize(10_000, 10**6), pad_id=0)
    assert [rectangle.token_ids.shape for rectangle in part.rectangles] == [(4, 224)]


def test_padding_and_passages_are_told_apart(make_examples, groups):
    examples = make_examples(groups, OPTIONS).of_step(2)
    query_lengths = {
        tuple(pair): length
        for example in examples
        for pair, length in zip(example.pairs, example.query_lengths, strict=True)
    }
    for part in parts(examples, PartSize(500, 0), pad_id=9):
        for rectangle in part.rectangles:
            for ids, types, real in zip(
                rectangle.token_ids, rectangle.token_types, rectangle.is_real, strict=True
            ):
                length = int(real.sum())
                starts = query_lengths[tuple(ids[:length])]
                assert real.tolist() == [i < length for i in range(len(ids))]
                assert (ids[length:] == 9).all()
                assert types.tolist() == [int(starts <= i < length) for i in range(len(ids))]


def test_the_longest_groups_come_first(make_examples, groups):
    examples = make_examples(groups, OPTIONS).of_step(0)
    longest = [max(map(len, rows(part))) for part in parts(examples, PartSize(1, 0), pad_id=0)]
    assert longest == sorted(longest, reverse=True)
