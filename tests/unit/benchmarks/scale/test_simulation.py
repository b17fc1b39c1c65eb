import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.benchmarks.scale.simulation.arbiter import Arbiter, Kind
from twopass.benchmarks.scale.simulation.arrivals import (
    TraceError,
    bursts,
    poisson_arrivals,
    read_trace,
    scaled,
)
from twopass.benchmarks.scale.simulation.callers import Callers, Policy, Status
from twopass.benchmarks.scale.simulation.clock import Clock, Process, all_of, first_of
from twopass.benchmarks.scale.simulation.engines import (
    RemoteEngine,
    SharedEngine,
    Speed,
    Straggling,
)
from twopass.benchmarks.scale.simulation.estimates import Estimate, quantile
from twopass.benchmarks.scale.simulation.fronts import Front, FrontWork, Search
from twopass.benchmarks.scale.simulation.processors import Cores
from twopass.benchmarks.scale.simulation.stores import Database, Finding, OwnStore, Shards

NOTHING = Finding(0.0, 0.0, 0.0)
# A thousand tokens a second, a batch holds a hundred.
SPEED = Speed(seconds_per_token=0.001, batch_seconds=0.1, min_batch_tokens=1)


def ended_at(clock, signal):
    times = []
    signal.then(lambda _: times.append(clock.now))
    clock.run()
    return times[0]


# --- the clock ------------------------------------------------------------------------------------


def test_events_of_one_time_happen_in_the_order_in_which_they_were_planned():
    clock, seen = Clock(), []
    for name in "abc":
        clock.at(1.0, lambda name=name: seen.append(name))
    clock.run()
    assert seen == ["a", "b", "c"]


def test_a_process_gets_the_value_that_it_waits_for_and_gives_its_own():
    clock = Clock()

    def inner() -> Process:
        yield clock.after(2.0)
        return 7

    def outer() -> Process:
        value = yield clock.spawn(inner())
        return value + 1

    signal = clock.spawn(outer())
    clock.run()
    assert (signal.value, clock.now) == (8, 2.0)


def test_all_of_waits_for_the_last_and_first_of_for_the_first():
    clock = Clock()
    assert ended_at(clock, all_of([clock.after(1.0), clock.after(3.0)])) == 3.0
    clock = Clock()
    assert ended_at(clock, first_of([clock.after(1.0), clock.after(3.0)])) == 1.0


def test_nothing_is_there_at_once():
    assert all_of([]).is_done


# --- cores ----------------------------------------------------------------------------------------


def test_two_threads_on_one_core_take_twice_as_long():
    clock = Clock()
    cores = Cores(clock, 1)
    assert ended_at(clock, all_of([cores.work(1.0), cores.work(1.0)])) == pytest.approx(2.0)


def test_one_thread_never_gets_more_than_one_core():
    clock = Clock()
    assert ended_at(clock, Cores(clock, 4).work(1.0)) == pytest.approx(1.0)


def test_work_of_several_threads_is_divided_among_cores():
    clock = Clock()
    assert ended_at(clock, Cores(clock, 4).work(1.0, threads=4)) == pytest.approx(0.25)


def test_a_thread_beside_two_of_an_engine_gets_a_third_of_two_cores():
    clock = Clock()
    cores = Cores(clock, 2)
    cores.work(10.0, threads=2)
    assert ended_at(clock, cores.work(0.2)) == pytest.approx(0.3)


@given(st.lists(st.floats(0.001, 5.0), min_size=1, max_size=20), st.integers(1, 4))
@settings(max_examples=50)
def test_no_work_is_lost_and_none_is_done_twice(works, num):
    clock = Clock()
    cores = Cores(clock, num)
    end = ended_at(clock, all_of(cores.work(seconds) for seconds in works))
    assert cores.busy_seconds == pytest.approx(sum(works))
    assert max(*works, sum(works) / num) - 1e-9 <= end <= sum(works) + 1e-9


# --- the arbiter and engines ----------------------------------------------------------------------


def remote(clock, **options):
    return RemoteEngine(clock, SPEED, wire_seconds=0.0, **options)


def test_a_request_is_computed_in_batches_of_as_many_tokens_as_fit_into_the_time():
    clock = Clock()
    engine = remote(clock)
    tokens = []
    compute = engine.compute
    engine.compute = lambda rows, kind: tokens.append(sum(rows)) or compute(rows, kind)
    end = ended_at(clock, Arbiter(clock, [engine]).compute([40] * 5, Kind.RERANK))
    assert tokens == [80, 80, 40]
    assert end == pytest.approx(0.2)


def test_rows_of_several_requests_share_a_batch():
    clock = Clock()
    engine = remote(clock, max_in_flight=1)
    tokens = []
    compute = engine.compute
    engine.compute = lambda rows, kind: tokens.append(sum(rows)) or compute(rows, kind)
    arbiter = Arbiter(clock, [engine])
    ended_at(clock, all_of(arbiter.compute([25], Kind.RERANK) for _ in range(5)))
    assert tokens == [25, 100]  # the first alone, since nothing else was there when it came


def test_a_row_that_is_longer_than_a_batch_is_one_of_its_own():
    clock = Clock()
    arbiter = Arbiter(clock, [remote(clock)])
    assert ended_at(clock, arbiter.compute([300], Kind.RERANK)) == pytest.approx(0.3)


def test_small_requests_pass_large_ones_as_fairness_has_it():
    clock = Clock()
    arbiter = Arbiter(clock, [remote(clock, max_in_flight=1)])
    large = arbiter.compute([50] * 100, Kind.RERANK)
    small = arbiter.compute([50], Kind.RERANK)
    times = {}
    large.then(lambda _: times.update(large=clock.now))
    small.then(lambda _: times.update(small=clock.now))
    clock.run()
    assert times["small"] < 0.5 < times["large"]


def test_a_query_is_computed_before_pairs_that_wait():
    clock = Clock()
    arbiter = Arbiter(clock, [remote(clock, max_in_flight=1)])
    arbiter.compute([50] * 100, Kind.RERANK)
    assert ended_at(clock, arbiter.compute([10], Kind.QUERY)) < 0.3


@pytest.mark.parametrize("num", [1, 2, 4], ids="engines={}".format)
def test_engines_of_one_speed_share_the_work(num):
    clock = Clock()
    arbiter = Arbiter(clock, [remote(clock) for _ in range(num)])
    end = ended_at(clock, arbiter.compute([100] * 40, Kind.RERANK))
    assert end == pytest.approx(4.0 / num)


def test_a_slow_engine_gets_less():
    clock = Clock()
    slow = Speed(seconds_per_token=0.01, batch_seconds=1.0, min_batch_tokens=1)
    engines = [remote(clock), RemoteEngine(clock, slow, wire_seconds=0.0)]
    end = ended_at(clock, Arbiter(clock, engines).compute([100] * 110, Kind.RERANK))
    # Eleven times the slow one's speed together; two batches are with each, so it ends by one late.
    assert 10.0 - 1e-6 <= end <= 12.0


def test_batches_of_a_lost_engine_go_to_another_and_none_is_missed():
    clock = Clock()
    engines = [remote(clock), remote(clock)]
    arbiter = Arbiter(clock, engines)
    clock.at(0.05, lambda: engines[0].lose(noticed_after=0.01))
    end = ended_at(clock, arbiter.compute([100] * 20, Kind.RERANK))
    assert arbiter.num_lost == 2  # one under way, one behind it
    assert end == pytest.approx(2.0)


def test_work_waits_while_no_engine_is_there_and_goes_on_with_the_next():
    clock = Clock()
    engine = remote(clock)
    arbiter = Arbiter(clock, [engine])
    clock.at(0.05, lambda: engine.lose(noticed_after=0.01))

    def back() -> None:
        engine.come_back()
        arbiter.dispatch()

    clock.at(5.0, back)
    assert ended_at(clock, arbiter.compute([100], Kind.RERANK)) == pytest.approx(5.1)


def test_an_engine_that_shares_its_cores_is_slowed_by_what_runs_beside_it():
    clock = Clock()
    cores = Cores(clock, 2)
    arbiter = Arbiter(clock, [SharedEngine(clock, cores, SPEED)])
    cores.work(100.0)
    end = ended_at(clock, arbiter.compute([100] * 10, Kind.RERANK))
    assert end == pytest.approx(1.5, rel=0.1)  # pieces are whole groups of pairs


def test_stragglers_are_as_many_and_as_slow_as_was_said():
    clock = Clock()
    engine = remote(clock, straggling=Straggling(1.0, 3.0))
    assert ended_at(clock, engine.compute([100], Kind.RERANK)) == pytest.approx(0.3)


@given(st.lists(st.lists(st.integers(1, 200), min_size=1, max_size=8), min_size=1, max_size=8))
@settings(max_examples=50)
def test_every_request_is_answered_and_takes_its_tokens(requests):
    clock = Clock()
    arbiter = Arbiter(clock, [remote(clock)])
    end = ended_at(clock, all_of(arbiter.compute(rows, Kind.RERANK) for rows in requests))
    assert end == pytest.approx(sum(map(sum, requests)) * 0.001)


# --- stores ---------------------------------------------------------------------------------------


def test_both_lists_are_found_beside_each_other_and_then_loaded():
    clock = Clock()
    cores = Cores(clock, 2)
    store = OwnStore(Finding(nearest=0.2, words=0.5, load=0.1))
    assert ended_at(clock, clock.spawn(store.find(cores))) == pytest.approx(0.6)


def test_a_statement_does_one_thing_after_the_other():
    clock = Clock()
    store = Database(clock, [Cores(clock, 2)], Finding(0.2, 0.5, 0.1), wire_seconds=0.02)
    assert ended_at(clock, clock.spawn(store.find(Cores(clock, 1)))) == pytest.approx(0.82)


def test_a_search_of_shards_waits_for_the_slowest():
    clock = Clock()
    busy = Cores(clock, 1)
    busy.work(100.0)
    shards = Shards(clock, [[Cores(clock, 1), busy]], Finding(0.1, 0.0, 0.0), wire_seconds=0.0)
    assert ended_at(clock, clock.spawn(shards.find(Cores(clock, 1)))) == pytest.approx(0.2)


def test_a_slow_shard_is_asked_of_another_copy():
    clock = Clock()
    stuck = Cores(clock, 1)
    stuck.work(100.0, threads=99)
    shards = Shards(
        clock,
        [[stuck], [Cores(clock, 1)]],
        Finding(0.1, 0.0, 0.0),
        wire_seconds=0.0,
        hedge_after=0.3,
    )
    assert ended_at(clock, clock.spawn(shards.find(Cores(clock, 1)))) == pytest.approx(0.4)
    assert shards.num_hedged == 1


# --- callers --------------------------------------------------------------------------------------


def front(clock, *, before=0.0, engine=None, max_queued=100):
    arbiter = Arbiter(clock, [engine or remote(clock)], max_queued=max_queued)
    work = FrontWork(before=before, after=0.0)
    return Front(clock, Cores(clock, 1), work, OwnStore(NOTHING), arbiter)


def outcomes(clock, fronts, count, policy=None, every=0.0):
    callers = Callers(clock, fronts, policy)
    callers.send([every * n for n in range(count)], [Search([50])] * count)
    clock.run()
    return callers


def test_callers_take_servers_in_turn():
    clock = Clock()
    fronts = [front(clock, before=1.0) for _ in range(3)]
    outcomes(clock, fronts, 9)
    assert [f.cores.busy_seconds for f in fronts] == pytest.approx([3.0, 3.0, 3.0])


def test_searches_on_a_lost_server_are_sent_to_another_and_answered():
    clock = Clock()
    fronts = [front(clock, before=1.0), front(clock, before=1.0)]
    clock.at(0.5, fronts[0].lose)
    callers = outcomes(clock, fronts, 2)
    assert {o.status for o in callers.outcomes} == {Status.OK}
    assert sorted(o.num_tries for o in callers.outcomes) == [1, 2]


def test_without_retries_a_search_on_a_lost_server_fails():
    clock = Clock()
    fronts = [front(clock, before=1.0), front(clock, before=1.0)]
    clock.at(0.5, fronts[0].lose)
    callers = outcomes(clock, fronts, 2, Policy(max_tries=1))
    assert sorted(o.status for o in callers.outcomes) == [Status.OK, Status.LOST]


def test_more_pairs_than_fit_into_the_queue_are_refused_and_sent_again():
    clock = Clock()
    callers = outcomes(clock, [front(clock, max_queued=1)], 2, Policy(retry_after=1.0))
    assert sorted(o.num_tries for o in callers.outcomes) == [1, 2]
    assert {o.status for o in callers.outcomes} == {Status.OK}


def test_a_search_that_is_refused_every_time_is_told_as_such():
    clock = Clock()
    callers = outcomes(clock, [front(clock, max_queued=0)], 1, Policy(max_tries=3))
    assert [(o.status, o.num_tries) for o in callers.outcomes] == [(Status.OVERLOADED, 3)]


def test_a_slow_search_is_sent_to_a_second_server():
    clock = Clock()
    fronts = [front(clock, before=5.0), front(clock)]
    callers = outcomes(clock, fronts, 1, Policy(hedge_after=0.2))
    assert callers.num_hedged == 1
    assert callers.outcomes[0].latency == pytest.approx(0.25)


# --- arrivals and estimates -----------------------------------------------------------------------


def test_a_trace_begins_at_nothing_and_takes_another_rate(tmp_path):
    file = tmp_path / "trace.jsonl"
    file.write_text('10\n{"time": 11}\n\n14\n', "utf-8")
    assert read_trace(file) == [0.0, 1.0, 4.0]
    assert scaled(read_trace(file), rate=1.0) == [0.0, 0.5, 2.0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("soon\n", "trace:1: 'soon'; seconds"),
        ("2\n1\n", "trace:2: 1 comes after 2"),
        ("\n", "trace: no arrivals"),
    ],
)
def test_a_bad_trace_is_told_by_line(tmp_path, text, fault):
    file = tmp_path / "trace"
    file.write_text(text, "utf-8")
    with pytest.raises(TraceError, match=fault):
        read_trace(file)


def test_bursts_keep_the_mean_rate():
    times = list(bursts(50.0, 200.0, 1, times_as_many=4.0, period=10.0))
    busy = sum(time % 10 < 5 for time in times)
    assert len(times) == pytest.approx(10_000, rel=0.05)
    assert busy / (len(times) - busy) == pytest.approx(4.0, rel=0.1)


def test_a_schedule_follows_from_its_seed():
    assert list(poisson_arrivals(5, 10, 3)) == list(poisson_arrivals(5, 10, 3))
    assert list(poisson_arrivals(5, 10, 3)) != list(poisson_arrivals(5, 10, 4))


def test_an_interval_is_students():
    found = Estimate.of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half_width == pytest.approx(4.303 / 3**0.5)
    assert found.holds(4.0)
    assert not found.holds(5.0)


def test_a_quantile_is_the_nearest_rank():
    assert [quantile([3, 1, 2, 4], part) for part in (0.25, 0.5, 0.51, 1.0)] == [1, 2, 3, 4]
