"""The example runs as its page says, and prints what it is meant to show."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "example.py"


def test_the_example_runs(target: str):
    done = subprocess.run(
        [sys.executable, EXAMPLE],
        env=os.environ | {"TWOPASS_TARGET": target},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Canberra" in done.stdout
