import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import BatchPlan, plan_packed, plan_padded

BUCKETS = [4, 8, 12]

lengths_lists = st.lists(st.integers(1, BUCKETS[-1]), max_size=40)
budgets = st.integers(1, 40)


def ints(values):
    return np.array(values, np.int32)


def batches_of(plan: BatchPlan):
    return [
        (plan.order[start:end].tolist(), seq_len)
        for start, end, seq_len in zip(
            plan.batch_offsets[:-1], plan.batch_offsets[1:], plan.seq_lens.tolist(), strict=True
        )
    ]


def naive_plan(lengths, seq_len_of, cost, max_batch_tokens):
    """Adds rows, longest first, to the last batch while they belong and its cost allows."""
    batches = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if batches:
            rows, seq_len = batches[-1]
            grown = [*rows, row]
            if seq_len_of(grown) == seq_len and cost(grown) <= max_batch_tokens:
                batches[-1] = (grown, seq_len)
                continue
        batches.append(([row], seq_len_of([row])))
    return batches


@given(lengths_lists, budgets)
def test_a_packed_plan_is_the_naive_one(lengths, max_batch_tokens):
    expected = naive_plan(
        lengths,
        seq_len_of=lambda rows: max(lengths[row] for row in rows),
        cost=lambda rows: sum(lengths[row] for row in rows),
        max_batch_tokens=max_batch_tokens,
    )
    assert batches_of(plan_packed(ints(lengths), max_batch_tokens)) == expected


@given(lengths_lists, budgets)
def test_a_padded_plan_is_the_naive_one(lengths, max_batch_tokens):
    def bucket(row):
        return min(bucket for bucket in BUCKETS if bucket >= lengths[row])

    def common_bucket(rows):
        shared = {bucket(row) for row in rows}
        return shared.pop() if len(shared) == 1 else None

    expected = naive_plan(
        lengths,
        seq_len_of=common_bucket,
        cost=lambda rows: sum(bucket(row) for row in rows),
        max_batch_tokens=max_batch_tokens,
    )
    assert batches_of(plan_padded(ints(lengths), ints(BUCKETS), max_batch_tokens)) == expected


@pytest.mark.parametrize("padded", [False, True], ids=["packed", "padded"])
@given(lengths=lengths_lists, max_batch_tokens=budgets)
def test_each_row_is_planned_once_within_the_budget(padded, lengths, max_batch_tokens):
    if padded:
        plan = plan_padded(ints(lengths), ints(BUCKETS), max_batch_tokens)
    else:
        plan = plan_packed(ints(lengths), max_batch_tokens)
    assert sorted(plan.order) == list(range(len(lengths)))
    for rows, seq_len in batches_of(plan):
        cost = seq_len * len(rows) if padded else sum(lengths[row] for row in rows)
        assert cost <= max_batch_tokens or len(rows) == 1
        assert all(lengths[row] <= seq_len for row in rows)


def test_no_rows_make_no_batches():
    for plan in (plan_packed(ints([]), 8), plan_padded(ints([]), ints(BUCKETS), 8)):
        assert batches_of(plan) == []
        assert plan.batch_offsets.tolist() == [0]


@pytest.mark.parametrize(("length", "bucket"), [(3, 4), (4, 4), (5, 8), (8, 8), (9, 12), (12, 12)])
def test_a_row_is_padded_to_the_smallest_bucket_it_fits_in(length, bucket):
    assert plan_padded(ints([length]), ints(BUCKETS), 100).seq_lens.tolist() == [bucket]


@pytest.mark.parametrize(("max_batch_tokens", "batch_sizes"), [(7, [1, 1]), (8, [2]), (9, [2])])
def test_the_budget_counts_to_the_token(max_batch_tokens, batch_sizes):
    packed = plan_packed(ints([4, 4]), max_batch_tokens)
    padded = plan_padded(ints([3, 4]), ints(BUCKETS), max_batch_tokens)
    assert np.diff(packed.batch_offsets).tolist() == batch_sizes
    assert np.diff(padded.batch_offsets).tolist() == batch_sizes


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([4, 0], r"lengths\[1\]: 0 given, at least 1"),
        ([4, 4, -3], r"lengths\[2\]: -3 given, at least 1"),
        ([13], r"lengths\[0\]: 13 given, at most 12, the largest bucket"),
    ],
)
def test_a_length_out_of_range_is_named_with_its_limit(lengths, message):
    with pytest.raises(ValueError, match=message):
        plan_padded(ints(lengths), ints(BUCKETS), 100)


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint32])
def test_another_dtype_is_refused_rather_than_converted(dtype):
    with pytest.raises(TypeError):
        plan_packed(np.ones(3, dtype), 8)


def test_strided_lengths_are_refused_rather_than_copied():
    with pytest.raises(TypeError):
        plan_packed(np.ones(6, np.int32)[::2], 8)


def test_the_arrays_of_a_plan_outlive_it_and_can_not_be_written():
    order = plan_packed(ints([1, 3, 2]), 8).order
    assert order.tolist() == [1, 2, 0]
    with pytest.raises(ValueError, match="read-only"):
        order[0] = 0
