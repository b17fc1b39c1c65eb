"""`.ci/run` shows what its steps printed, whatever becomes of them, and ends those that hang."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from deploy.release.version import ROOT

# The script down to its first step: what the steps are run by.
HEAD, _, STEPS = (ROOT / ".ci/run").read_text("utf-8").partition("\n# Environments that")


@pytest.fixture
def run(tmp_path: Path):
    """Runs a script of a few steps, as `.ci/run` does, in a folder of its own."""
    (tmp_path / ".ci").mkdir()

    def ran(steps: str, **environment: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / ".ci/run"
        script.write_text(f"{HEAD}\n{steps}\n")
        return subprocess.run(
            ["bash", script],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return ran


def rows(output: str) -> list[str]:
    """The steps of the table at the end, without their times."""
    _, _, table = output.partition("#  seconds  of processors\n")
    return [" ".join(line.split()[3:]) for line in table.splitlines()]


def test_the_steps_are_parted_from_what_runs_them():
    assert "step()" in HEAD
    assert "make test" in STEPS


def test_steps_beside_each_other_are_shown_whole_when_they_have_ended(run):
    ended = run("beside_each_other << 'STEPS'\necho one; echo two\necho three\nSTEPS")
    assert ended.returncode == 0
    assert "\none\ntwo\n# echo one; echo two: done in" in ended.stdout
    assert sorted(rows(ended.stdout)) == ["echo one; echo two", "echo three"]


def test_what_fails_is_shown_and_ends_the_run(run):
    ended = run("step 'echo why; exit 3'\nstep 'echo never'")
    assert ended.returncode == 255
    assert "\nwhy\n# echo why; exit 3: FAILED with status 3" in ended.stdout
    assert "never" not in ended.stdout


def test_a_step_that_hangs_is_stopped_with_what_it_printed(run):
    ended = run("step 'echo so far; exec sleep 600'", STEP_SECONDS="0.5")
    assert ended.returncode == 255
    assert "\nso far\n# echo so far; exec sleep 600: FAILED, stopped at" in ended.stdout


def test_a_killed_step_has_one_row(run):
    ended = run("step 'kill -9 $$'")
    assert "FAILED with status 137" in ended.stdout
    assert rows(ended.stdout) == ["kill -9 $$"]
    assert "invalid number" not in ended.stderr


def test_a_step_that_is_under_way_when_the_run_is_stopped_is_told(tmp_path):
    script = tmp_path / ".ci/run"
    script.parent.mkdir()
    script.write_text(f"{HEAD}\nstep 'echo so far; echo > began; exec sleep 60'\n")
    with subprocess.Popen(
        ["bash", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (tmp_path / "began").exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGTERM)  # all of them at once, as machines do
        told, _ = process.communicate()
    assert "# stopped: .cache/ci/echo-so-far--" in told
    assert "\nso far\n" in told


def test_a_run_that_ends_before_its_first_step_keeps_its_status(run):
    assert run("exit 7").returncode == 7
