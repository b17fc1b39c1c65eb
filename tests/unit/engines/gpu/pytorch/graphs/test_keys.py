"""Which shapes are captured: what is filled up, by how much, and to how many graphs that leads."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twopass.engines.gpu.pytorch.graphs.keys import GraphKey, GraphSteps, Steps

MAX_TOKENS, MAX_LONGEST = 16_384, 512
PACKED = GraphSteps.for_attention(MAX_TOKENS, MAX_LONGEST, is_packed=True)
PADDED = GraphSteps.for_attention(MAX_TOKENS, MAX_LONGEST, is_packed=False)


def test_so_many_steps_lie_in_each_doubling():
    found = sorted({Steps(4).up(size) for size in range(1, 65)})
    assert found == [*range(1, 8), 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]
    assert sorted({Steps(1, 16).up(size) for size in range(1, 200)}) == [16, 32, 64, 128, 256]


@given(size=st.integers(1, 100_000), exponent=st.integers(0, 4), grain=st.sampled_from([1, 8, 16]))
def test_a_step_is_the_next_one_up_and_not_far(size, exponent, grain):
    steps = Steps(1 << exponent, grain)
    step = steps.up(size)
    assert size <= step < size + max(grain, size / steps.per_octave + 1)
    assert step % grain == 0
    assert steps.up(step) == step


@pytest.mark.parametrize("count", [1, 10, 40, 100, 128])
def test_usual_requests_waste_at_most_a_twentieth_of_their_tokens(count):
    key = PACKED.key(count * 128, count, 128)
    assert key.tokens <= 1.05 * count * 128


@given(lengths=st.lists(st.integers(1, MAX_LONGEST), min_size=1, max_size=60))
@example(lengths=[MAX_LONGEST] * 32)
@example(lengths=[1])
@example(lengths=[1] * 9)
@pytest.mark.parametrize("steps", [PACKED, PADDED], ids=["packed", "padded"])
def test_a_key_has_room_for_the_batch_and_for_its_padding(steps, lengths):
    num_tokens, longest = sum(lengths), max(lengths)
    key = steps.key(num_tokens, len(lengths), longest)
    if num_tokens > steps.max_tokens:
        assert key is None
        return
    padding = key.tokens - num_tokens
    assert longest <= key.longest <= MAX_LONGEST
    assert 0 <= padding <= max(7, num_tokens / 8)
    assert (key.sequences - len(lengths)) * key.longest >= padding


@pytest.mark.parametrize("longest", [300, 512, 8_192])
def test_no_key_is_longer_than_the_model_takes(longest):
    steps = GraphSteps.for_attention(MAX_TOKENS, longest, is_packed=True)
    assert steps.key(longest, 1, longest).longest == longest


def test_what_is_beyond_the_steps_has_no_graph():
    assert PACKED.key(MAX_TOKENS, 128, 128) is not None
    assert PACKED.key(MAX_TOKENS + 1, 128, 129) is None
    assert PACKED.key(2_049, 2_049, 1) is None  # more sequences than static results have room for
    assert PACKED.key(0, 1, 1) is None
    assert PADDED.key(MAX_TOKENS, 128, 128) is None  # takes longer to compute than to launch


def test_lengths_as_they_come_lead_to_few_graphs():
    keys = {PACKED.key(n * m, n, m) for n in range(1, 129) for m in range(1, 129)}
    assert len(keys) < 1_000  # of 16,384 shapes


@pytest.mark.parametrize("steps", [PACKED, PADDED], ids=["packed", "padded"])
def test_usual_keys_come_once_each_the_largest_first(steps):
    keys = steps.usual()
    assert len(set(keys)) == len(keys) > 30
    assert keys[0].tokens == max(key.tokens for key in keys) == steps.max_tokens
    assert all(isinstance(key, GraphKey) and key.longest <= MAX_LONGEST for key in keys)


def test_a_short_model_has_its_usual_keys_too():
    keys = GraphSteps.for_attention(1_024, 24, is_packed=True).usual()
    assert {key.longest for key in keys} == {16, 24}


def test_steps_of_packed_attention_grow_by_a_constant_share():
    sizes = sorted({PACKED.key(n, 1 + n // 64, 64).tokens for n in range(64, MAX_TOKENS, 8)})
    assert all(b - a <= a / 8 for a, b in pairwise(sizes))
