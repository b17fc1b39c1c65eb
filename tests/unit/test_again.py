"""The second run of what failed: by tests that fail once, always, or in numbers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DISTRIBUTED = ("-p", "xdist.plugin", "-n", "2", "--dist", "loadscope")
FLAKY = """
from pathlib import Path

def fails_once(name):
    mark = Path(__file__).with_name(name)
    is_first, _ = not mark.exists(), mark.touch()
    assert not is_first
"""


@pytest.fixture
def run(tmp_path):
    def start(tests: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "test_it.py").write_text(FLAKY + tests)
        ini = ("-c", str(tmp_path / "pytest.ini"), "--rootdir", str(tmp_path))
        return subprocess.run(
            [sys.executable, "tests/again.py", *ini, *arguments, str(tmp_path)],
            cwd=ROOT,
            env=os.environ
            | {"FLAKY_TESTS": str(tmp_path / "notes"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )

    return start


@pytest.mark.parametrize("arguments", [(), DISTRIBUTED], ids=str)
def test_a_test_that_fails_once_is_run_again_alone_and_named(run, tmp_path, arguments):
    tests = "def test_a(): fails_once('a')\ndef test_b(): pass\n"
    ended = run(tests, *arguments)
    assert ended.returncode == 0, ended.stdout
    told = "FLAKY: test_it.py::test_a failed, and passed alone; mend it\n"
    assert told in ended.stdout
    assert (tmp_path / "notes").read_text() == told
    assert "1 passed" in ended.stdout  # the second run


def test_a_test_that_fails_twice_fails(run, tmp_path):
    ended = run("def test_a(): fails_once('a')\ndef test_b(): assert False\n")
    assert ended.returncode == 1
    assert "FLAKY" not in ended.stdout
    assert not (tmp_path / "notes").exists()


def test_three_are_run_again_and_four_are_not(run):
    three = "".join(f"def test_{name}(): fails_once('{name}')\n" for name in "abc")
    assert run(three).returncode == 0
    four = "".join(f"def test_{name}(): fails_once('{name}')\n" for name in "defg")
    ended = run(four)
    assert ended.returncode == 1
    assert "# 4 failed: more than 3 are not run again" in ended.stdout


def test_what_passes_is_run_once_and_what_cannot_be_read_fails(run):
    assert run("def test_a(): pass\n").stdout.count("1 passed") == 1
    assert run("import nothing_of_that_name\n").returncode == 2


def test_pytest_ends_with_what_runs_it(run):
    # A pytest that went on would keep its output open, and this test waiting.
    ended = run(
        "import os, signal, time\n"
        "def test_a(): os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)\n"
    )
    assert ended.returncode == 128 + signal.SIGTERM
