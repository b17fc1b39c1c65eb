"""A report becomes an entry of the ledger where nothing speaks against it, and is told further."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.unit.benchmarks.gpu.made_reports import figure, outcomes, report
from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.entry import entry_of, faults, main, name_of
from twopass.benchmarks.gpu.outcome import Outcome
from twopass.benchmarks.gpu.report import ReportError, read_report, write_report
from twopass.benchmarks.gpu.shown_by import shown_by
from twopass.benchmarks.gpu.variants import VARIANTS
from twopass.engines.gpu.launch_paths import LaunchPath
from twopass.engines.shown import SHOWN_FILE, paths_by_default, read_ledger


def changed(**about):
    whole = report()
    return dataclasses.replace(whole, about=dataclasses.replace(whole.about, **about))


def with_outcome(outcome):
    whole = report()
    return dataclasses.replace(whole, checks=(*whole.checks, outcome))


def test_a_whole_report_is_an_entry():
    assert list(faults(report())) == []


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"is_dry": True}, "a dry run's figures mean nothing"),
        ({"gpu": ""}, "no card is named"),
        ({"driver": ""}, "driver: not told"),
        ({"commit": ""}, "commit: none given"),
        ({"commit": "0123abc-dirty"}, "commit: 0123abc-dirty given"),
        ({"versions": {"python": "3.12"}}, "versions: torch is missing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_an_entry_has_to_name_is_missed(about, words):
    (found,) = faults(changed(**about))
    assert words in found
    with pytest.raises(ReportError, match="no entry of the ledger"):
        entry_of(changed(**about))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("x"), "x: neither figures nor what stood in their way"),
        (Outcome(names.MIXED, [{"a": 1}]), f"{names.MIXED}: twice"),
        (Outcome("x", [{"a": [1]}]), "x, a: [1] is no cell"),
        (Outcome("x", [{"a": float("nan")}]), "x, a: not finite"),
        (Outcome("x", [{"a": figure(1.0) | {"least": 2.0}}]), "the median is not between"),
        (Outcome("x", [{"a": figure(1.0, turns=0)}]), "measured in no turn"),
        (Outcome("x", [{"p50 ms": 2.0, "p99 ms": 1.0}]), "x: p50 above p99"),
        (Outcome("x", [{"a": 1}], "", -1.0), "x: took -1.0 s"),
    ],
    ids=["nothing", "twice", "a list", "nan", "spread", "turns", "percentiles", "time"],
)
def test_figures_that_can_not_be_are_found(outcome, words):
    (found,) = faults(with_outcome(outcome))
    assert words in found


def test_a_commit_is_filled_in_and_never_changed():
    assert entry_of(changed(commit=""), commit="89abcde").about.commit == "89abcde"
    with pytest.raises(ReportError, match="--commit: 89abcde given, the report says 0123abc"):
        entry_of(report(), commit="89abcde")


def test_an_entry_has_its_goals_judged():
    assert [each.is_met for each in entry_of(report()).goals].count(None) == 0


def test_a_name_is_the_cards_and_the_day():
    assert name_of(changed(gpu="NVIDIA L4 (24 GB)")) == "gpu-nvidia-l4-24-gb-2026-11-30"


def test_an_entry_shows_the_engine_by_its_slowest_way_to_launch():
    (row,) = shown_by(report(), "gpu-x.json").engines
    assert (row.engine, row.pairs_per_second, row.core_pairs_per_second) == (
        "torch",
        45_000,
        4_500,
    )


def test_an_entry_shows_each_way_to_launch_beside_those_before_it():
    rows = shown_by(report(gain=1.5), "gpu-x.json").paths
    assert [row.path for row in rows] == list(LaunchPath)
    assert [row.beside for row in rows] == [variant.paths for variant in VARIANTS[:-1]]
    assert (rows[0].pairs_per_second_without, rows[0].pairs_per_second) == (45_000, 67_500)
    assert (rows[0].p50_us_without, rows[0].p50_us) == (2_700, 1_800)
    assert paths_by_default((9, 0), rows) == set(LaunchPath)
    assert paths_by_default((8, 9), rows) == frozenset()


@pytest.mark.parametrize(
    "others", [{"gain": 1.0}, {"failed": 1}, {"apart": 0.3}], ids=["no faster", "tests", "apart"]
)
def test_without_more_speed_or_equal_results_an_entry_turns_nothing_on(others):
    whole = report(**others)
    assert paths_by_default((9, 0), shown_by(whole, "gpu-x.json").paths) == frozenset()


@pytest.mark.parametrize("number", range(1, len(VARIANTS)))
def test_a_test_that_fails_speaks_against_its_own_path_and_those_added_to_it(number):
    whole = report(failed=1, failed_of=VARIANTS[number].paths)
    rows = shown_by(whole, "gpu-x.json").paths
    assert [row.is_alike for row in rows] == [place < number for place in range(1, len(VARIANTS))]
    assert paths_by_default((9, 0), rows) == {*VARIANTS[number - 1].paths}


def test_a_path_of_which_no_test_passed_is_not_shown_alike():
    checks = tuple(
        dataclasses.replace(each, rows=[{**row, "passed": 0, "skipped": 9} for row in each.rows])
        if each.name == names.TESTS
        else each
        for each in outcomes()
    )
    rows = shown_by(dataclasses.replace(report(), checks=checks), "gpu-x.json").paths
    assert not any(row.is_alike for row in rows)


def test_an_engine_that_had_given_its_graphs_up_shows_nothing_of_them():
    checks = tuple(
        dataclasses.replace(each, rows=[{**row, "CUDA graphs": False} for row in each.rows])
        if each.name == names.LATENCY
        else each
        for each in outcomes()
    )
    assert shown_by(dataclasses.replace(report(), checks=checks), "gpu-x.json").paths == ()


def test_random_words_may_lie_as_far_from_float32_as_without_the_path():
    rows = shown_by(report(apart=0.03, plain_apart=0.03), "gpu-x.json").paths
    assert all(row.is_alike for row in rows)


def test_results_that_nobody_compared_turn_nothing_on():
    for missing in (names.ALIKE, names.TESTS):
        checks = tuple(each for each in outcomes() if each.name != missing)
        rows = shown_by(dataclasses.replace(report(), checks=checks), "gpu-x.json").paths
        assert not any(row.is_alike for row in rows)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """As much of a tree as the command writes into."""
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "engines").mkdir()
    shutil.copy(SHOWN_FILE, tmp_path / "engines" / "shown.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(*arguments):
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_command_keeps_the_entry_and_tells_what_it_shows(tree):
    write_report(report(), tree / "run")
    said = ran(tree / "run" / "report.json", "--name", "gpu-x")
    assert said.exit_code == 0, said.output
    assert "| training, pairs/s | >= 50,000 | 60,000 (packed) | yes |" in said.output
    assert "cuda_graphs: better; results alike" in said.output
    assert read_report(tree / "benchmarks/results/gpu-x.json").checks == report().checks
    before = read_ledger()
    told = read_ledger(tree / "engines" / "shown.json")
    assert told.engines == (*before.engines, *shown_by(report(), "gpu-x.json").engines)
    assert told.paths == (*before.paths, *shown_by(report(), "gpu-x.json").paths)


def test_the_same_entry_again_takes_the_place_of_its_rows(tree):
    for gain in (1.5, 1.0):
        write_report(report(gain=gain), tree / "run")
        assert ran(tree / "run" / "report.json", "--name", "gpu-x").exit_code == 0
    rows = json.loads((tree / "engines" / "shown.json").read_text())["paths"]
    assert len([row for row in rows if row["entry"] == "gpu-x.json"]) == len(LaunchPath)


def test_the_command_refuses_a_report_that_is_no_entry_and_writes_nothing(tree):
    write_report(changed(is_dry=True, driver=""), tree / "run")
    said = ran(tree / "run" / "report.json")
    assert said.exit_code == 1
    assert "a dry run's figures mean nothing" in said.output
    assert "driver: not told" in said.output
    assert not list(Path("benchmarks/results").iterdir())
    assert (tree / "engines" / "shown.json").read_bytes() == SHOWN_FILE.read_bytes()


def test_what_was_committed_is_as_the_command_writes_it(tmp_path):
    from twopass.benchmarks.gpu.shown_by import written

    assert written(json.loads(SHOWN_FILE.read_text())) == SHOWN_FILE.read_text()
