import json
import math

import pytest

from tests.unit.benchmarks.gpu.made_reports import about, figure, report
from twopass.benchmarks.gpu.figures import median_of
from twopass.benchmarks.gpu.goals import judge
from twopass.benchmarks.gpu.outcome import Outcome
from twopass.benchmarks.gpu.report import (
    Report,
    ReportError,
    as_json,
    as_markdown,
    read_report,
    write_report,
)


def test_what_is_written_is_read_again(tmp_path):
    written = report()
    write_report(written, tmp_path / "out")
    assert read_report(tmp_path / "out" / "report.json") == written
    assert not list((tmp_path / "out").glob("*.partial"))


def test_the_report_has_a_table_for_each_check_or_the_obstacle():
    text = as_markdown(
        Report(
            about=about(),
            checks=(
                Outcome("speed", [{"batch": 1, "pairs/s": 12_345.6}, {"batch": 8}], "", 1.0),
                Outcome("graphs", [], "no driver", 0.0),
                Outcome("half", [{"engine": "a", "ok": True}], "b: it failed", 2.0, ["no graphs"]),
            ),
        )
    )
    assert "- GPU: NVIDIA X, compute capability 9.0" in text
    assert "- date: 2026-11-30, 500 s of 9 minutes" in text
    assert "| batch | pairs/s |\n|---|---|\n| 1 | 12,346 |\n| 8 |  |\n" in text
    assert "## graphs\n\nNot measured: no driver\n" in text
    assert "Not all: b: it failed\n\n| engine | ok |\n|---|---|\n| a | True |\n" in text
    assert "Warned of: no graphs\n\n2.0 s.\n" in text


def test_a_figure_of_several_turns_is_told_with_its_spread():
    text = as_markdown(
        Report(about=about(), checks=(Outcome("speed", [{"pairs/s": figure(40_000.0)}]),))
    )
    assert "| 40,000 (36,000 to 44,000) |" in text


def test_the_report_ends_with_the_goals():
    whole = report()
    text = as_markdown(Report(about=whole.about, checks=whole.checks, goals=judge(whole.checks)))
    _, _, goals = text.partition("## Goals\n\n")
    assert goals.startswith("| goal | wanted | measured | met |\n|---|---|---|---|\n")
    assert "| training, pairs/s | >= 50,000 | 60,000 (packed) | yes |" in goals
    assert text.endswith("|\n")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"about": 1, "checks": []}'])
def test_what_is_no_report_is_refused(tmp_path, content):
    file = tmp_path / "report.json"
    file.write_text(content)
    with pytest.raises(ReportError, match="no report of the GPU ledger"):
        read_report(file)
    with pytest.raises(ReportError, match="no report"):
        read_report(tmp_path / "absent.json")


def test_json_is_the_fields():
    assert json.loads(as_json(report()))["about"]["compute_capability"] == [9, 0]


def test_a_number_that_json_lacks_costs_its_cell_and_no_more(tmp_path):
    rows = [{"engine": "a", "furthest logit": math.nan, "pairs/s": figure(math.inf)}]
    write_report(Report(about=about(), checks=(Outcome("alike", rows),)), tmp_path)
    (outcome,) = read_report(tmp_path / "report.json").checks
    assert outcome.rows[0]["furthest logit"] == "nan"
    assert median_of(outcome.rows[0]["furthest logit"]) is None
    assert outcome.rows[0]["engine"] == "a"
