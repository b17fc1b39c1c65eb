import json

import pytest
import typer
from typer.testing import CliRunner

from twopass.benchmarks.gpu import catalogue
from twopass.benchmarks.gpu import ledger as module
from twopass.benchmarks.gpu.catalogue import Check
from twopass.benchmarks.gpu.ledger import with_shares
from twopass.benchmarks.gpu.names import CEILING
from twopass.benchmarks.gpu.outcome import Outcome


def test_speeds_get_their_share_of_the_ceiling():
    outcomes = [
        Outcome(CEILING, [{"TFLOP/s": 200.0}]),
        Outcome("engine", [{"TFLOP/s": 50.0}, {"p50 ms": 2.0}]),
    ]
    _, engine = with_shares(outcomes)
    assert engine.rows == [{"TFLOP/s": 50.0, "of ceiling": 0.25}, {"p50 ms": 2.0}]
    assert with_shares(outcomes[1:]) == outcomes[1:]


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Runs the command over two checks that no process is started for; sees each report."""
    found = [
        Check(name=name, run=lambda *_: [], seconds=1.0, dry_seconds=1.0)
        for name in ("good", "bad")
    ]
    monkeypatch.setattr(catalogue, "checks_of", lambda _: found)
    out, seen = tmp_path / "report", []

    class Running:
        def __init__(self, scale, *, end, on_done):
            self.on_done = on_done

        def run(self, checks):
            for each in checks:
                rows = [{"n": 1}] if each.name == "good" else []
                self.on_done(Outcome(each.name, rows, "" if rows else "no driver"))
                seen.append(json.loads((out / "report.json").read_text()))

    monkeypatch.setattr(module, "Running", Running)

    def run(*arguments):
        app = typer.Typer()
        app.command()(module.ledger)
        return CliRunner().invoke(app, ["--out", str(out), "--dry-run", *arguments]), out, seen

    return run


def test_the_command_writes_both_reports_after_each_check(ran):
    result, out, seen = ran()
    assert result.exit_code == 0, result.output
    assert [[check["name"] for check in each["checks"]] for each in seen] == [
        ["good"],
        ["good", "bad"],
    ]
    text = (out / "report.md").read_text()
    assert "no figure means anything" in text
    assert "## bad\n\nNot measured: no driver" in text


def test_it_ends_with_the_goals(ran):
    result, _, _ = ran()
    assert "| goal | wanted | measured | met |" in result.output
    assert "| training, pairs/s | >= 50,000 | not run | not measured |" in result.output


def test_checks_are_chosen_by_how_they_begin(ran):
    result, _, seen = ran("--only", "ba")
    assert result.exit_code == 0
    assert [check["name"] for check in seen[-1]["checks"]] == ["bad"]
    unknown, _, _ = ran("--only", "ugly")
    assert unknown.exit_code == 2
    assert "there are good, bad" in " ".join(unknown.output.replace("│", " ").split())


def test_a_plan_tells_times_and_measures_nothing(ran):
    result, _, seen = ran("--plan")
    assert result.exit_code == 0
    assert seen == []
    assert "good" in result.output
