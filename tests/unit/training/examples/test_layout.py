"""Groups of a step, laid end to end."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.base.sequences import Ragged
from twopass.training.examples.layout import PartSize, lay_out, most_elements, rectangles
from twopass.training.examples.sampling import StepExamples
from twopass.training.options import TrainingOptions

OPTIONS = TrainingOptions(questions=8, negatives=5, random_negatives=2, max_tokens=32)
PAD = 9


def step_of(lengths):
    """Groups whose pairs have these lengths, and token ids of their own."""
    flat = [length for of_group in lengths for length in of_group]
    pairs = [np.full(length, 100 + number, np.int32) for number, length in enumerate(flat)]
    return StepExamples(
        Ragged.from_rows(pairs),
        np.minimum(3, flat).astype(np.int32),
        np.array([len(of_group) for of_group in lengths]),
        np.arange(len(flat), dtype=np.float32) / 2,
    )


groups_of_lengths = st.lists(
    st.lists(st.integers(1, 256), min_size=1, max_size=8), min_size=1, max_size=8
)
sizes = st.builds(
    PartSize, st.sampled_from([1, 700, 5_000]), st.sampled_from([1, 8, 128]), st.just(300)
)


@given(groups_of_lengths, sizes)
def test_the_table_finds_every_pair_of_every_group_in_its_sequence(lengths, size):
    step = step_of(lengths)
    found = []
    for part in lay_out(step, size, PAD):
        arrays = part.arrays
        sequences = np.split(arrays.token_ids, arrays.offsets[1:-1])
        for rows, teaching in zip(arrays.rows, arrays.teaching, strict=True):
            is_there = rows >= 0
            assert (rows[~is_there] == -1).all()
            pairs = [sequences[row].tolist() for row in rows[is_there]]
            found.append((pairs, teaching[is_there].tolist()))
    ends = np.cumsum(step.group_sizes)
    expected = [
        (
            [step.pairs[row].tolist() for row in range(end - count, end)],
            step.teaching[end - count : end].tolist(),
        )
        for count, end in zip(step.group_sizes, ends, strict=True)
    ]
    assert sorted(found) == sorted(expected)


@given(groups_of_lengths, sizes)
def test_positions_types_and_padding_are_those_of_the_sequences(lengths, size):
    for part in lay_out(step_of(lengths), size, PAD):
        arrays, shape = part.arrays, part.shape
        of_sequences = np.diff(arrays.offsets)
        assert shape.tokens == arrays.offsets[-1] == len(arrays.token_ids)
        assert shape.tokens % size.grain == 0
        assert shape.longest == of_sequences.max()
        assert (np.diff(of_sequences[: shape.pairs]) <= 0).all()
        ends = arrays.offsets[1:-1]
        tokens = (arrays.positions, arrays.token_types, arrays.token_ids)
        sequences = zip(*(np.split(each, ends) for each in tokens), strict=True)
        for number, (positions, types, ids) in enumerate(sequences):
            assert positions.tolist() == list(range(of_sequences[number]))
            is_passage = positions >= arrays.query_lengths[number]
            assert types.tolist() == is_passage.astype(int).tolist()
            assert (ids == PAD).all() == (number >= shape.pairs)


@given(groups_of_lengths, sizes)
def test_a_part_holds_no_more_tokens_than_allowed_unless_it_is_one_group(lengths, size):
    for part in lay_out(step_of(lengths), size, PAD):
        num_real = part.arrays.offsets[part.shape.pairs]
        assert num_real <= size.tokens or part.shape.groups == 1


@pytest.mark.parametrize("size", [PartSize(1, 128, 0), PartSize(10_000, 8, 0)])
def test_the_arrays_of_a_step_fit_what_is_reserved_for_them(size):
    longest = [[OPTIONS.max_tokens] * (1 + OPTIONS.negatives)] * OPTIONS.questions
    shorter = [[OPTIONS.max_tokens - 1] * (1 + OPTIONS.negatives)] * OPTIONS.questions
    for lengths in (longest, shorter):
        needed = sum(part.shape.num_elements for part in lay_out(step_of(lengths), size, PAD))
        assert needed <= most_elements(OPTIONS, size)


def test_the_longest_groups_come_first():
    parts = list(lay_out(step_of([[3, 4], [9], [5, 2]]), PartSize(1, 1, 0), PAD))
    assert [part.shape.longest for part in parts] == [9, 5, 4]


@given(st.lists(st.integers(1, 192), min_size=1, max_size=12), st.sampled_from([0, 40, 500, 10**6]))
def test_rectangles_cost_least_of_all_ways_to_divide_the_lengths(lengths, per_rectangle):
    ordered = np.sort(np.array(lengths))[::-1]
    found = rectangles(ordered, per_rectangle)
    rounded = (-(-ordered // 32) * 32).tolist()
    steps = sorted(set(rounded))

    def cost(widths):
        padded = sum(min(w for w in widths if w >= length) for length in rounded)
        return padded + per_rectangle * len(widths)

    least = min(
        cost((*some, steps[-1]))
        for count in range(len(steps))
        for some in itertools.combinations(steps[:-1], count)
    )
    size = sum((r.end - r.first) * r.width for r in found)
    assert size + per_rectangle * len(found) == least


@given(groups_of_lengths, sizes)
def test_rectangles_cover_all_sequences_in_order(lengths, size):
    for part in lay_out(step_of(lengths), size, PAD):
        of_sequences = np.diff(part.arrays.offsets).astype(np.int64)
        found = rectangles(of_sequences, size.per_rectangle)
        assert [r.first for r in found] == [0, *(r.end for r in found[:-1])]
        assert found[-1].end == part.shape.sequences
        for rectangle in found:
            own = of_sequences[rectangle.first : rectangle.end]
            assert own.max() <= rectangle.width
            assert own.sum() == rectangle.num_tokens
            assert rectangle.first_token == part.arrays.offsets[rectangle.first]
