import dataclasses

import pytest

from twopass.benchmarks.scale.checking import Plan, Row, predictions
from twopass.benchmarks.scale.constants import load_constants, load_prices
from twopass.benchmarks.scale.designs import Trouble, simulate
from twopass.benchmarks.scale.node import Node, NodeConstants
from twopass.benchmarks.scale.planning import Demand, Design, Device, Planner
from twopass.benchmarks.scale.simulation.callers import Status

CONSTANTS = NodeConstants(
    num_cores=2,
    tokenize_ms=0.3,
    embed_ms=2.0,
    retrieve_ms=2.0,
    load_ms=0.4,
    rest_ms=2.0,
    wire_ms=1.8,
    front_core_ms=6.9,
    client_core_ms=0.8,
    core_us_per_token=25.0,
    rerank_delay_ms=1.0,
    after_pause=1.0,
    rerank_lengths=[[80] * 20],
)


def test_a_search_alone_takes_the_stages_that_were_measured():
    (outcome,) = Node(CONSTANTS).open_loop([0.0])
    stages = 0.3 + 2.0 + 2.0 + 0.4 + 2.0 + 1.8
    second_pass = 20 * 80 * 25.0 / 1000 / 2 + 1.0
    assert outcome.latency * 1000 == pytest.approx(stages + second_pass, rel=0.01)


def test_a_search_takes_the_processor_time_that_was_measured():
    node = Node(CONSTANTS)
    node.open_loop([0.0])
    assert node.cores.busy_seconds * 1000 == pytest.approx(CONSTANTS.core_ms, rel=0.01)


def test_a_node_answers_at_most_what_its_cores_compute():
    outcomes = Node(CONSTANTS).closed_loop(8, seconds=10.0)
    answered = sum(outcome.ended < 10.0 for outcome in outcomes) / 10.0
    assert answered == pytest.approx(CONSTANTS.most_per_second, rel=0.05)


def test_a_faster_reranker_answers_more():
    faster = dataclasses.replace(CONSTANTS, core_us_per_token=12.5)
    plan = Plan(rates=(0.5,), seconds=5.0, seed=1)
    slow, fast = predictions(CONSTANTS, plan), predictions(faster, plan)
    assert fast[0].figures["searches/s"] > 1.4 * slow[0].figures["searches/s"]


def test_a_search_that_finds_the_machine_idle_takes_longer():
    cold = dataclasses.replace(CONSTANTS, after_pause=1.5)
    once, again = (node.open_loop([0.0, 5.0, 5.001]) for node in (Node(CONSTANTS), Node(cold)))
    assert again[0].latency > 1.4 * once[0].latency
    assert sum(o.latency for o in again) < 1.5 * sum(o.latency for o in once)  # the third is warm


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
    assert Row("load", "p50, ms", 100.0, measured, 0.0).is_within(0.15) is is_within


def test_a_figure_that_was_not_measured_is_no_success():
    assert not Row("load", "p99, ms", 100.0, None, 0.0).is_within(0.15)


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
