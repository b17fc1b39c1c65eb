import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.benchmarks.scale.simulation.arbiter import Kind
from twopass.benchmarks.scale.simulation.clock import Clock, all_of
from twopass.benchmarks.scale.simulation.engines import SharedEngine, Speed
from twopass.benchmarks.scale.simulation.grouping import busiest, groups_of
from twopass.benchmarks.scale.simulation.processors import Cores
from twopass.benchmarks.scale.simulation.run_queues import RunQueues
from twopass.benchmarks.scale.simulation.thread_pool import ThreadPool

LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=60)


def pool(clock, threads):
    return ThreadPool(clock, RunQueues(clock, threads, turn=1.0), threads)


def ends_of(clock, signals):
    times = {}
    for name, signal in signals.items():
        signal.then(lambda _, name=name: times.setdefault(name, clock.now))
    clock.run()
    return times


# --- groups ---------------------------------------------------------------------------------------


@given(LENGTHS, st.integers(1, 8))
def test_every_token_is_in_a_group(lengths, threads):
    groups = groups_of(lengths, threads)
    if sum(groups) == sum(lengths):
        assert max(groups) <= 512
        assert groups == sorted(groups, reverse=True)
    else:  # all threads share every group, and lose a little by it
        assert len(groups) == threads
        assert sum(groups) >= sum(lengths) - threads


@given(LENGTHS)
def test_a_busy_pool_is_given_a_batch_in_groups_of_one_thread(lengths):
    assert sum(groups_of(lengths, 1)) == sum(lengths)


@given(LENGTHS, st.integers(2, 8))
def test_sharing_is_chosen_only_where_it_ends_sooner(lengths, threads):
    ours = busiest(groups_of(lengths, threads), threads)
    assert ours <= sum(lengths)


def test_a_query_has_one_thread():
    assert groups_of([12], 2) == [12]


def test_a_long_pair_alone_is_shared():
    assert groups_of([400], 2) == [224, 224]


# --- threads --------------------------------------------------------------------------------------


def test_threads_take_pieces_side_by_side():
    clock = Clock()
    assert ends_of(clock, {"all": pool(clock, 2).run([1.0] * 4)})["all"] == pytest.approx(2.0)


def test_a_batch_ends_with_its_last_piece():
    clock = Clock()
    assert ends_of(clock, {"all": pool(clock, 2).run([3.0, 1.0])})["all"] == pytest.approx(3.0)


def test_a_small_batch_goes_before_the_rest_of_a_large_one_but_not_before_what_is_begun():
    clock = Clock()
    threads = pool(clock, 1)
    signals = {"large": threads.run([1.0] * 5), "small": threads.run([0.5])}
    times = ends_of(clock, signals)
    assert times["small"] == pytest.approx(1.5)
    assert times["large"] == pytest.approx(5.5)


def test_a_batch_that_has_begun_ends_before_one_as_large():
    clock = Clock()
    threads = pool(clock, 1)
    times = ends_of(clock, {"first": threads.run([1.0] * 3), "second": threads.run([1.0] * 3)})
    assert (times["first"], times["second"]) == (pytest.approx(3.0), pytest.approx(6.0))


def test_no_batch_is_none():
    clock = Clock()
    threads = pool(clock, 2)
    assert threads.run([]).is_done
    assert not threads.is_busy


# --- the engine -----------------------------------------------------------------------------------


def engine(clock, *, query_factor=2.0):
    speed = Speed(seconds_per_token=0.001, batch_seconds=0.1, query_factor=query_factor)
    return SharedEngine(clock, Cores(clock, 2), speed)


def test_the_engine_learns_how_much_it_computes_in_the_time_of_a_batch():
    clock = Clock()
    ours = engine(clock)
    assert ours.batch_tokens() == 512  # nothing is known yet, so the fewest
    fast = Speed(seconds_per_token=1e-5, batch_seconds=0.1)
    ours = SharedEngine(clock, Cores(clock, 2), fast)
    clock.run()
    for _ in range(20):
        ours.compute([250] * 16, Kind.RERANK)
        clock.run()
    assert ours.batch_tokens() == pytest.approx(10_000, rel=0.2)


def test_a_query_does_not_wait_for_all_of_a_batch():
    clock = Clock()
    ours = engine(clock)
    times = ends_of(
        clock,
        {
            "pairs": ours.compute([250] * 20, Kind.RERANK),
            "query": ours.compute([10], Kind.QUERY),
        },
    )
    assert times["query"] < 1.2 < 5.0 <= times["pairs"] + 1e-9


def test_two_batches_share_the_threads_without_a_gap():
    clock = Clock()
    ours = engine(clock)
    both = [ours.compute([250] * 10, Kind.RERANK) for _ in range(2)]
    assert ends_of(clock, {"both": all_of(both)})["both"] == pytest.approx(5.0, rel=0.05)
