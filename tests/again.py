"""pytest, and then what failed in it once more, alone: `make test-python PYTEST=tests/again.py`.

`.ci/run` has it so. A test that fails and then passes is flaky, and named loudly: a fault to be
mended, which no longer hides what the tests after it find. What fails twice fails, and so do more
failures than bad luck explains, and runs that pytest could not finish.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MOST = 3
"""How many failed tests are run again."""
NOTES = "FLAKY_TESTS"
"""The variable that names a file to which the names of flaky tests are added."""
_TESTS_FAILED = 1  # pytest's exit status where it ran to its end


def main(arguments: Sequence[str]) -> int:
    """Runs pytest with the arguments; returns the exit status. SIGTERM ends pytest too."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="twopass-again-") as cache:
        status = _pytest(*arguments, "-o", f"cache_dir={cache}")
        if status != _TESTS_FAILED:
            return status
        file = Path(cache, "v", "cache", "lastfailed")
        failed = sorted(json.loads(file.read_text("utf-8"))) if file.exists() else []
        if not 1 <= len(failed) <= MOST:
            print(f"# {len(failed)} failed: more than {MOST} are not run again", flush=True)
            return status
        print(f"# Again, alone: {' '.join(failed)}", flush=True)
        # In this process, and without a report, which is of the first run.
        alone = [*(("-n", "0") if "-n" in arguments else ()), "--junit-xml="]
        chosen = ("--last-failed", "--last-failed-no-failures", "none")
        again = _pytest(*arguments, *alone, *chosen, "-o", f"cache_dir={cache}")
    if again == 0:
        _tell(failed)
    return again


def _tell(flaky: Sequence[str]) -> None:
    lines = [f"FLAKY: {name} failed, and passed alone; mend it" for name in flaky]
    print("\n".join(("", "#" * 80, *lines, "#" * 80)), flush=True)
    if notes := os.environ.get(NOTES):
        with Path(notes).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
