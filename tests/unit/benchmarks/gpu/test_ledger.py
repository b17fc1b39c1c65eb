import json

import pytest
import typer
from typer.testing import CliRunner

from twopass.benchmarks.gpu import ledger as module
from twopass.benchmarks.gpu.ledger import (
    CEILING,
    Entry,
    as_markdown,
    checks_of,
    run_checks,
    with_shares,
)
from twopass.benchmarks.gpu.scale import Scale
from twopass.engines.errors import EngineUnavailableError

DRY = Scale.dry(None)


def refused(scale):
    raise EngineUnavailableError("compute capability 9.0 is not supported")


def test_a_check_that_can_not_run_is_an_entry_with_its_words_and_the_next_one_runs():
    seen = []
    checks = {"first": refused, "second": lambda _: [{"pairs/s": 7.0}]}
    entries = run_checks(checks, DRY, seen.append)
    assert seen == entries
    assert entries[0].obstacle == "EngineUnavailableError: compute capability 9.0 is not supported"
    assert (entries[1].rows, entries[1].obstacle) == ([{"pairs/s": 7.0}], "")


def test_speeds_get_their_share_of_the_ceiling():
    entries = [
        Entry(CEILING, [{"TFLOP/s": 200.0}], "", 1),
        Entry("engine", [{"TFLOP/s": 50.0}, {"p50 ms": 2.0}], "", 1),
    ]
    _, engine = with_shares(entries)
    assert engine.rows == [{"TFLOP/s": 50.0, "of ceiling": 0.25}, {"p50 ms": 2.0}]
    assert with_shares(entries[1:]) == entries[1:]


def test_the_report_has_a_table_for_each_check_or_the_obstacle():
    report = as_markdown(
        {"GPU": "none"},
        [
            Entry("speed", [{"batch": 1, "pairs/s": 12_345.6}, {"batch": 8}], "", 1),
            Entry("graphs", [], "no driver", 1),
        ],
    )
    assert "- GPU: none" in report
    assert "| batch | pairs/s |\n|---|---|\n| 1 | 12,346 |\n| 8 |  |\n" in report
    assert "## graphs\n\nNot measured: no driver\n" in report


def test_every_check_of_the_ledger_is_there_for_a_gpu():
    names = checks_of(Scale(None, on_gpu=True)).keys()
    assert {"TensorRT accepts the GPU", CEILING, "plain PyTorch", "vector search"} <= names
    for engine in ("tensorrt fp16", "tensorrt fp16, no CUDA graphs", "torch fp16", "cpu int8"):
        assert {f"latency: {engine}", f"mixed lengths: {engine}"} <= names
    assert {f"through gRPC: {engine}" for engine in ("tensorrt", "torch", "cpu")} <= names


def test_the_command_writes_both_reports(tmp_path, monkeypatch):
    monkeypatch.setattr(
        module, "checks_of", lambda _: {"good": lambda _: [{"n": 1}], "bad": refused}
    )
    app = typer.Typer()
    app.command()(module.ledger)
    result = CliRunner().invoke(app, ["--out", str(tmp_path / "report"), "--dry-run"])
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [check["name"] for check in written["checks"]] == ["good", "bad"]
    assert "no figure means anything" in (tmp_path / "report" / "report.md").read_text()


def test_a_dry_run_measures_no_engine_of_a_gpu():
    assert not any("tensorrt fp16" in name for name in checks_of(DRY))
    with pytest.raises(AttributeError):
        DRY.on_gpu = True  # type: ignore[misc]
