"""Who holds the interpreter: samples of a running process, by py-spy where it is installed.

py-spy reads another process's memory, so the process is neither changed nor stopped for it.
"""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_SAMPLES_A_SECOND = 250


@dataclass(slots=True)
class Holding:
    """What was seen.

    Attributes:
        share: Of the time, in which some thread held the interpreter; None where nobody looked.
        functions: The functions that ran meanwhile, by their share of all samples.
    """

    share: float | None = None
    functions: Mapping[str, float] = field(default_factory=dict)


def find_sampler() -> str | None:
    """The program py-spy, beside this interpreter or on the path; None where there is none."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.is_file() else shutil.which("py-spy")


@contextmanager
def watched(pid: int, seconds: float) -> Iterator[Holding]:
    """Looks at a process for so long, from the beginning of the block; known after its end."""
    found = Holding()
    sampler = find_sampler()
    if sampler is None:
        yield found
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "samples")
        watching = subprocess.Popen(  # noqa: S603  # a program of the environment
            (
                *(sampler, "record", "--gil", "--nonblocking", "--threads"),
                *("--rate", str(_SAMPLES_A_SECOND), "--duration", str(max(1, round(seconds)))),
                *("--format", "raw", "--pid", str(pid), "--output", str(file)),
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield found
            watching.wait(seconds + 10)
        except subprocess.TimeoutExpired:
            watching.kill()
            watching.wait()
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            _read(text, _SAMPLES_A_SECOND * max(1, round(seconds)), found)


def _read(samples: str, num_samples: int, found: Holding) -> None:
    """Reads lines of frames between semicolons, each with how often it was seen."""
    functions: Counter[str] = Counter()
    total = 0
    for line in samples.splitlines():
        stack, _, times = line.rpartition(" ")
        if not times.isdigit():  # a name that was read while it changed
            continue
        count = int(times)
        total += count
        functions[stack.rpartition(";")[2]] += count
    found.share = total / num_samples
    found.functions = {name: count / num_samples for name, count in functions.most_common(25)}
