import dataclasses
import json

import pytest

from twopass.benchmarks.scale.constants import (
    CONSTANTS_FILE,
    PRICES_FILE,
    ConstantsError,
    load_constants,
    load_prices,
)
from twopass.benchmarks.scale.plan import as_table
from twopass.benchmarks.scale.planning import Demand, Design, Device, Planner
from twopass.benchmarks.scale.tables import markdown, short


@pytest.fixture(scope="module")
def known():
    return load_constants()


@pytest.fixture(scope="module")
def planner(known):
    return Planner(known, load_prices())


def changed(tmp_path, file, change):
    read = json.loads(file.read_text("utf-8"))
    change(read)
    copy = tmp_path / file.name
    copy.write_text(json.dumps(read), "utf-8")
    return copy


def test_every_constant_says_how_it_is_known(known):
    for name, figure in known.all.items():
        assert figure.unit, name
        assert figure.where, name
        assert bool(figure.command) == (figure.kind == "measured"), name


def test_a_constant_without_a_command_is_not_measured(tmp_path):
    file = changed(
        tmp_path,
        CONSTANTS_FILE,
        lambda read: read["constants"]["front_core_ms"].update(command=""),
    )
    with pytest.raises(ConstantsError, match="front_core_ms was measured, but no command"):
        load_constants(file)


def test_a_price_list_that_lacks_something_is_named(tmp_path):
    file = changed(tmp_path, PRICES_FILE, lambda read: read.pop("disk_gb_month"))
    with pytest.raises(ConstantsError, match=r"prices.json: 'disk_gb_month'"):
        load_prices(file)


@pytest.mark.parametrize("cost", ["words_core_ms", "nearest_core_ms"])
def test_what_a_list_costs_is_what_was_measured_and_grows_from_there(known, cost):
    of = getattr(known, cost)
    mode = {"words_core_ms": "lexical", "nearest_core_ms": "dense"}[cost]
    for documents, core_ms in known.first_pass:
        expected = max(0.1, core_ms[mode] - known["front_core_ms"])
        assert of(documents) == pytest.approx(expected)
    largest = known.first_pass[-1][0]
    assert of(largest) < of(largest * 10) <= 10 * of(largest) * (1 + 1e-9)


def test_a_node_holds_what_fits_into_the_memory_of_a_machine(planner):
    fits = planner.plan(Design.ENGINES_APART, Device.CPU, Demand(1e8, words=False))
    assert not fits.breaks
    breaks = planner.plan(Design.ENGINES_APART, Device.CPU, Demand(1e10, words=False)).breaks
    assert any("GB of memory" in reason for reason in breaks)


def test_one_process_answers_so_many_searches_and_no_more(planner):
    most = planner.searches_of_one_process(Demand(1e6))
    few = planner.plan(Design.ONE_NODE, Device.CPU, Demand(1e6, searches=most / 4))
    many = planner.plan(Design.ONE_NODE, Device.CPU, Demand(1e6, searches=most * 1.01))
    assert not few.breaks
    assert any("one process reads and answers" in reason for reason in many.breaks)


def test_words_of_too_many_documents_take_one_thread_too_long(planner):
    breaks = planner.plan(Design.REPLICAS, Device.CPU, Demand(1e10)).breaks
    assert any("one thread" in reason for reason in breaks)


def test_words_cost_postgres_no_more_than_what_it_scores(planner, known):
    most = known["postgres_words_most_core_ms"]
    assert planner.postgres_words_core_ms(Demand(1e4)) < most
    assert planner.postgres_words_core_ms(Demand(1e9)) == most
    assert planner.postgres_words_core_ms(Demand(1e9, words=False)) == 0


@pytest.mark.parametrize("design", [Design.REPLICAS, Design.ENGINES_APART, Design.MILVUS])
@pytest.mark.parametrize("device", list(Device))
def test_twice_the_searches_cost_more_and_at_most_twice_as_much_and_a_machine(
    planner, design, device
):
    once = planner.plan(design, device, Demand(1e6, searches=1_000, spare=0))
    twice = planner.plan(design, device, Demand(1e6, searches=2_000, spare=0))
    dearest = max(role.machine.hour for role in twice.roles) * 730
    assert once.month < twice.month <= 2 * once.month + len(twice.roles) * dearest


def test_machines_have_the_cores_that_engines_compute_with(planner, known):
    demand = Demand(1e6, spare=0)
    plan = planner.plan(Design.ENGINES_APART, Device.CPU, demand)
    (engines,) = (role for role in plan.roles if role.name == "engines")
    seconds = (
        demand.searches * (planner.second_pass_core_ms(demand) + known["embed_core_ms"]) / 1000
    )
    cores = engines.count * engines.machine.cores
    assert seconds / demand.utilisation <= cores < seconds / demand.utilisation + 8


def test_a_spare_machine_is_one_of_each_role(planner):
    none = planner.plan(Design.POSTGRES, Device.CPU, Demand(1e6, spare=0))
    one = planner.plan(Design.POSTGRES, Device.CPU, Demand(1e6, spare=1))
    for with_spare, without in zip(one.roles, none.roles, strict=True):
        assert with_spare.count == without.count + 1


def test_the_second_pass_takes_its_part_of_the_price(planner):
    none = planner.plan(Design.REPLICAS, Device.CPU, Demand(1e6, depth=0))
    deep = planner.plan(Design.REPLICAS, Device.CPU, Demand(1e6, depth=50))
    assert none.second_pass == 0
    assert 0.5 < deep.second_pass < 1
    assert none.month < deep.month


def test_reading_part_of_the_shards_is_cheaper(planner):
    all_of_it = planner.plan(Design.MILVUS, Device.CPU, Demand(1e10))
    a_part = planner.plan(Design.MILVUS, Device.CPU, Demand(1e10, part_read=0.01))
    assert a_part.month < all_of_it.month / 10


def test_vectors_that_no_gpu_holds_are_not_compared_there(planner):
    assert planner.gpus_that_compare_all(Demand(1e10)) == 0
    assert planner.gpus_that_compare_all(Demand(1e6, spare=0)) == 1


def test_a_design_that_breaks_has_one_row_with_its_reasons(planner):
    estimates = [planner.plan(Design.ONE_NODE, device, Demand(1e10)) for device in Device]
    rows = as_table(estimates, "USD").splitlines()[2:]
    assert len(rows) == 1
    assert "breaks: one process reads" in rows[0]


def test_prices_scale_what_is_planned(planner, known):
    prices = load_prices()
    dearer = dataclasses.replace(
        prices,
        disk_gb_month=2 * prices.disk_gb_month,
        machines=[dataclasses.replace(m, hour=2 * m.hour) for m in prices.machines],
    )
    once = planner.plan(Design.POSTGRES, Device.CPU, Demand(1e6)).month
    assert Planner(known, dearer).plan(
        Design.POSTGRES, Device.CPU, Demand(1e6)
    ).month == pytest.approx(2 * once)


def test_tables_are_markdown_with_numbers_to_the_right():
    assert markdown(("what", "n"), [("a", "1"), ("b", "n/a")]) == (
        "| what | n |\n| --- | ---: |\n| a | 1 |\n| b | n/a |"
    )
    assert [short(n) for n in (500, 1e6, 1e10)] == ["500", "1 million", "10 billion"]
