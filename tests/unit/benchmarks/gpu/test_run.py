"""The script that fills the ledger, run as a user runs it where there is no GPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.goals import judge
from twopass.benchmarks.gpu.report import read_report

_ROOT = Path(__file__).parents[4]
_RUN = _ROOT / "benchmarks" / "gpu" / "run.sh"


def ran(*arguments):
    return subprocess.run(
        ("bash", str(_RUN), *map(str, arguments)),
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHON": sys.executable},
    )


def test_what_is_unknown_or_missing_is_said_and_nothing_is_done(tmp_path):
    for arguments, words in (
        ((), "--out DIR is missing"),
        (("--out",), "--out wants a value"),
        (("--out", tmp_path, "--fast", "yes"), "unknown argument --fast"),
    ):
        said = ran(*arguments)
        assert (said.returncode, words in said.stderr) == (2, True), said.stderr
    assert not list(tmp_path.iterdir())


def test_a_plan_tells_checks_and_times(tmp_path):
    said = ran("--out", tmp_path, "--plan")
    assert said.returncode == 0, said.stderr
    assert names.TRAINING in said.stderr
    assert not (tmp_path / "report.json").exists()
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_a_dry_run_takes_the_whole_path_and_says_of_each_check_what_it_found(tmp_path):
    said = ran("--out", tmp_path, "--dry-run", "--installed", "--minutes", "3")
    assert said.returncode == 0, said.stderr
    report = read_report(tmp_path / "report.json")
    assert report.about.is_dry
    assert all(each.rows or each.obstacle for each in report.checks)
    # Whatever is installed here, these need nothing that a tree lacks.
    for name in (names.SEARCH, names.server_of(names.CORE)):
        outcome = report.outcome(name)
        assert outcome is not None
        assert outcome.rows or re.match("left out|killed after", outcome.obstacle), outcome.obstacle
    assert report.goals == judge(report.checks, is_dry=True)
    assert "| goal | wanted | measured | met |" in said.stderr
    assert (tmp_path / "report.md").read_text().count("\n## ") == len(report.checks) + 1
