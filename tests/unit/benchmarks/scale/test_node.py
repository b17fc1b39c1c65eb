import dataclasses
import statistics

import pytest

from tests.unit.benchmarks.scale.nodes import CONSTANTS
from twopass.benchmarks.scale.checking import (
    Part,
    Plan,
    Row,
    median_parts,
    predictions,
    verdicts,
)
from twopass.benchmarks.scale.constants import load_constants, load_prices
from twopass.benchmarks.scale.designs import Trouble, simulate
from twopass.benchmarks.scale.node import Node
from twopass.benchmarks.scale.node_constants import Rest, median_constants
from twopass.benchmarks.scale.planning import Demand, Design, Device, Planner
from twopass.benchmarks.scale.resting import NO_REST
from twopass.benchmarks.scale.simulation import theory
from twopass.benchmarks.scale.simulation.arrivals import poisson_arrivals
from twopass.benchmarks.scale.simulation.callers import Status
from twopass.benchmarks.scale.simulation.estimates import Estimate

# No second pass, one core, one thread a stage for all that matters: the front alone.
FRONT_MS = 10.0
FRONT = dataclasses.replace(
    CONSTANTS,
    num_cores=1,
    tokenize_ms=FRONT_MS,
    embed_ms=0.0,
    retrieve_ms=0.0,
    load_ms=0.0,
    rest_ms=0.0,
    wire_ms=0.0,
    front_core_ms=FRONT_MS,
    client_core_ms=0.0,
    rerank_lengths=[[]],
)


def mean_ms(outcomes):
    return 1000 * statistics.fmean(outcome.latency for outcome in outcomes)


def test_a_search_alone_takes_the_work_of_its_stages_and_delays():
    delayed = dataclasses.replace(CONSTANTS, rests=(Rest(0.0, 1.0, 1.5, 0.5),))
    *_, outcome = Node(delayed).one_at_a_time(5, 1.0)  # how fast it is the server has learned then
    front = CONSTANTS.front_core_ms + CONSTANTS.client_core_ms + 1.5
    second_pass = 20 * 80 * 25.0 / 1000 / 2 + 0.5
    # The last pairs are a batch of their own, which leaves a core idle.
    assert front + second_pass <= outcome.latency * 1000 < 1.08 * (front + second_pass)


def test_a_search_takes_the_processor_time_that_was_measured():
    node = Node(CONSTANTS)
    node.open_loop([0.0])
    assert node.cores.busy_seconds * 1000 == pytest.approx(CONSTANTS.core_ms, rel=0.01)


def test_processor_time_that_nobody_waits_for_is_spent_all_the_same():
    more = dataclasses.replace(CONSTANTS, front_core_ms=15.0)
    node = Node(more)
    node.open_loop([0.0])
    assert more.beside_core_ms > 5.0
    assert node.cores.busy_seconds * 1000 == pytest.approx(more.core_ms, rel=0.01)


def test_the_stages_of_a_search_are_all_of_its_time():
    node = Node(CONSTANTS)
    outcomes = node.open_loop([0.01 * n for n in range(50)])
    stages = sum(sum(seconds) for seconds in node.stages.values())
    assert stages == pytest.approx(sum(outcome.latency for outcome in outcomes))
    assert {len(seconds) for seconds in node.stages.values()} == {50}


def test_a_node_answers_at_most_what_its_cores_compute():
    outcomes = Node(CONSTANTS).closed_loop(8, seconds=10.0)
    answered = sum(outcome.ended < 10.0 for outcome in outcomes) / 10.0
    assert answered == pytest.approx(CONSTANTS.most_per_second, rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.7], ids="load={}".format)
def test_a_front_in_short_turns_is_a_core_that_is_shared(load):
    """M/D/1, processor sharing."""
    front = dataclasses.replace(FRONT, turn_ms=0.2)
    rate = load / FRONT_MS * 1000
    runs = [
        mean_ms(Node(front).open_loop(list(poisson_arrivals(rate, 40.0, seed))))
        for seed in range(4)
    ]
    expected = theory.mm1_mean_sojourn(rate, FRONT_MS / 1000) * 1000
    assert Estimate.of(runs).holds(expected, 0.1)


@pytest.mark.parametrize("load", [0.3, 0.7], ids="load={}".format)
def test_a_second_pass_alone_waits_as_one_after_the_other_does_at_least(load):
    """Between M/D/1, one after the other, and the same shared: two batches are under way."""
    second = dataclasses.replace(
        FRONT, tokenize_ms=0.0, front_core_ms=0.0, rerank_lengths=[[80] * 20]
    )
    service = 20 * 80 * 25e-6
    rate = load / service
    runs = [
        mean_ms(Node(second).open_loop(list(poisson_arrivals(rate, 80.0, seed))))
        for seed in range(4)
    ]
    found = Estimate.of(runs)
    least = 1000 * (service + theory.md1_mean_waiting(rate, service))
    most = 1000 * theory.mm1_mean_sojourn(rate, service)
    assert least - found.half_width <= found.mean <= most + found.half_width


def test_long_turns_make_searches_wait_and_take_no_throughput():
    quick, slow = (dataclasses.replace(CONSTANTS, turn_ms=turn) for turn in (0.1, 6.0))
    plan = Plan(rates=(0.7,), seconds=20.0, seed=1)
    first, second = predictions(quick, plan), predictions(slow, plan)
    assert second[0].figures["searches/s"] > 0.9 * first[0].figures["searches/s"]
    assert second[1].parts["tokenize"] > 3 * first[1].parts["tokenize"]


def test_a_faster_reranker_answers_more():
    faster = dataclasses.replace(CONSTANTS, core_us_per_token=12.5)
    plan = Plan(rates=(0.5,), seconds=5.0, seed=1)
    slow, fast = predictions(CONSTANTS, plan), predictions(faster, plan)
    assert fast[0].figures["searches/s"] > 1.4 * slow[0].figures["searches/s"]


def test_a_search_that_finds_the_machine_idle_takes_longer():
    cold = dataclasses.replace(CONSTANTS, rests=(NO_REST, Rest(1.0, 1.5, 0.0, 0.0)))
    arrivals = [0.0, 0.1, 5.0]
    once, again = (node.open_loop(arrivals) for node in (Node(CONSTANTS), Node(cold)))
    assert again[0].latency == pytest.approx(once[0].latency)  # it had been busy until then
    assert again[2].latency > 1.3 * once[2].latency


def test_a_search_that_comes_while_another_is_under_way_finds_a_warm_machine():
    cold = dataclasses.replace(CONSTANTS, rests=(NO_REST, Rest(1.0, 1.5, 0.0, 0.0)))
    node = Node(cold)
    node.open_loop([5.0, 5.001])
    assert node.cores.busy_seconds * 1000 == pytest.approx(2.5 * CONSTANTS.core_ms, rel=0.05)


@pytest.mark.parametrize(("seconds", "times"), [(0.0, 1.0), (0.5, 1.25), (1.0, 1.5), (9.0, 1.5)])
def test_between_rests_cost_is_on_a_straight_line(seconds, times):
    cold = dataclasses.replace(CONSTANTS, rests=(NO_REST, Rest(1.0, 1.5, 2.0, 4.0)))
    rest = cold.after_rest(seconds)
    assert rest.times == pytest.approx(times)
    assert (rest.front_ms, rest.second_ms) == pytest.approx((4 * (times - 1), 8 * (times - 1)))


def test_latencies_grow_with_the_load():
    low, high = predictions(CONSTANTS, Plan(rates=(0.2, 0.8), seconds=20.0, seed=1))[1:]
    assert low.figures["p50, ms"] < high.figures["p50, ms"]
    assert low.figures["p99, ms"] < high.figures["p99, ms"]


def test_a_prediction_follows_from_its_seed():
    plan = Plan(rates=(0.6,), seconds=5.0, seed=1)
    assert predictions(CONSTANTS, plan) == predictions(CONSTANTS, plan)
    other = dataclasses.replace(plan, seed=2)
    assert predictions(CONSTANTS, plan)[1] != predictions(CONSTANTS, other)[1]


@pytest.mark.parametrize(
    ("measured", "is_within"), [(100.0, True), (86.0, False), (117.0, True), (119.0, False)]
)
def test_a_prediction_is_judged_by_what_was_measured(measured, is_within):
    (verdict,) = verdicts([Row("load", "p50, ms", 100.0, measured, 0.0, 0.0)])
    assert verdict.is_within(0.15) is is_within


def test_rounds_are_judged_by_their_median_error():
    rounds = [
        Row("load", "p50, ms", 100.0, 100.0, 0.0, 0.1),
        Row("load", "p50, ms", 60.0, 100.0, 0.2, 0.0),
        Row("load", "p50, ms", 110.0, 100.0, 0.1, 0.0),
    ]
    (verdict,) = verdicts(rounds)
    assert verdict.is_within(0.15)
    assert (verdict.error, verdict.least_error, verdict.most_error) == pytest.approx((0, -0.4, 0.1))
    assert (verdict.others, verdict.stolen) == (0.2, 0.1)


def test_a_figure_that_a_round_has_not_measured_is_no_success():
    rounds = [
        Row("load", "p99, ms", 100.0, 100.0, 0.0, 0.0),
        Row("load", "p99, ms", 100.0, None, 0.0, 0.0),
    ]
    (verdict,) = verdicts(rounds)
    assert (verdict.measured, verdict.error, verdict.is_within(0.15)) == (None, None, False)


def test_where_time_goes_is_told_in_medians_of_the_rounds():
    parts = [Part("load", "embed", predicted, measured) for predicted, measured in
             ((1.0, 9.0), (2.0, 7.0), (9.0, 8.0))]  # fmt: skip
    assert median_parts(parts) == [Part("load", "embed", 2.0, 8.0)]


def test_constants_of_rounds_are_medians():
    colder = dataclasses.replace(CONSTANTS, embed_ms=4.0, rests=(Rest(0.0, 2.0, 0.0, 0.0),))
    coldest = dataclasses.replace(CONSTANTS, embed_ms=9.0, rests=(Rest(0.0, 3.0, 0.0, 0.0),))
    found = median_constants([colder, CONSTANTS, coldest])
    assert found == colder
    assert isinstance(found.num_cores, int)


# What searches share: one thread, whatever the number of cores.
LOOP = dataclasses.replace(FRONT, num_cores=8, loop_core_ms=FRONT_MS, turn_ms=0.2)


def test_an_event_loop_answers_no_more_than_one_core_does():
    outcomes = Node(LOOP).closed_loop(8, seconds=10.0)
    assert sum(outcome.ended < 10.0 for outcome in outcomes) == pytest.approx(1000, rel=0.02)
    apart = dataclasses.replace(LOOP, loop_core_ms=0.0)
    outcomes = Node(apart).closed_loop(8, seconds=10.0)
    assert sum(outcome.ended < 10.0 for outcome in outcomes) == pytest.approx(8000, rel=0.02)


@pytest.mark.parametrize("load", [0.3, 0.7], ids="load={}".format)
def test_work_of_an_event_loop_is_done_in_the_order_it_came(load):
    """M/D/1, first come, first served, however many cores there are."""
    rate = load / FRONT_MS * 1000
    runs = [
        mean_ms(Node(LOOP).open_loop(list(poisson_arrivals(rate, 40.0, seed)))) for seed in range(4)
    ]
    service = FRONT_MS / 1000
    expected = 1000 * (service + theory.md1_mean_waiting(rate, service))
    assert Estimate.of(runs).holds(expected, 0.1)


def test_an_event_loop_that_sleeps_between_turns_waits_for_a_core_after_each():
    """A search that finds nothing on its way takes the same; on busy cores it waits more often."""
    once = dataclasses.replace(LOOP, num_cores=1, turn_ms=4.0)
    often = dataclasses.replace(once, loop_turns=50.0)
    alone = [mean_ms(Node(each).one_at_a_time(5, 1.0)) for each in (once, often)]
    assert alone[1] == pytest.approx(alone[0])
    late = []
    for each in (once, often):
        node = Node(each)
        node.cores.work(10.0)  # another program
        late.append(mean_ms(node.one_at_a_time(5, 0.01)))
    assert late[1] > 5 * late[0]


# --- designs --------------------------------------------------------------------------------------


def figures_of(design, rate, trouble=None):
    known = load_constants()
    planner = Planner(known, load_prices())
    plan = planner.plan(design, Device.CPU, Demand(1e5, searches=100.0, depth=10))
    return simulate(planner, known, plan, rate, seconds=4.0, seeds=(1, 2), trouble=trouble)


@pytest.mark.parametrize("design", list(Design))
def test_a_design_answers_what_it_is_planned_for(design):
    figures = figures_of(design, 100.0)
    assert figures.failed.mean == 0
    assert figures.answered.holds(100.0, tolerance=0.1)
    assert 0 < figures.p50_ms.mean <= figures.p99_ms.mean < 250


@pytest.mark.parametrize("design", [Design.REPLICAS, Design.ENGINES_APART])
def test_a_lost_machine_costs_no_answer(design):
    trouble = Trouble(lost_at=1.5, back_after=1.0)
    assert figures_of(design, 50.0, trouble).failed.mean == 0


def test_one_node_that_is_lost_costs_answers():
    assert figures_of(Design.ONE_NODE, 50.0, Trouble(lost_at=1.5, back_after=1.0)).failed.mean > 0


def test_statuses_are_those_of_grpc():
    assert {status.value for status in Status} == {"OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
