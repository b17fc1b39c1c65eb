"""A process that runs checks one after another, so that what breaks a device breaks one process.

`python -m twopass.benchmarks.gpu.worker '{…}'` takes the fields of `Scale` and names to leave out,
reads a check's name from each line of its standard input, and answers with a line of JSON when it
is done. Before that, lines say what it does: the last one names whom a dead process died of.
"""

import dataclasses
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

from twopass.benchmarks.gpu.contestants import Field
from twopass.benchmarks.gpu.outcome import NotHereError, Outcome, Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.engines.errors import EngineUnavailableError

_PATHS = ("models", "root", "logs", "faiss_gpu")


def scale_as_json(scale: Scale) -> dict[str, Any]:
    """The fields of a scale, for a line of JSON."""
    plain = dataclasses.asdict(scale)
    return plain | {name: plain[name] and str(plain[name]) for name in _PATHS}


def scale_of(plain: dict[str, Any]) -> Scale:
    """The scale of such fields."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
    }
    return Scale(**fields | {name: plain[name] and Path(plain[name]) for name in _PATHS})


def main() -> None:
    """Answers until its standard input ends."""
    answers = _private_output()
    asked = json.loads(sys.argv[1])
    scale, without = scale_of(asked["scale"]), frozenset(asked["without"])

    def tell(**what: Any) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    tell(doing="beginning")
    # Late, so that a package that does not import is what a check says of itself.
    from twopass.benchmarks.gpu.catalogue import checks_of

    checks = {check.name: check for check in checks_of(scale)}
    warnings = _Warnings()
    logging.getLogger("twopass").addHandler(warnings)
    field = Field(scale, without, lambda name: tell(doing=name))
    for line in sys.stdin:
        name = json.loads(line)["check"]
        tell(doing=name)
        field.missing.clear()
        broken_before = len(field.broken)
        warnings.told.clear()
        began = time.perf_counter()
        rows: list[Row] = []
        words, is_foreseen = "", True
        try:
            rows = checks[name].run(scale, field)
        except (EngineUnavailableError, NotHereError, ImportError) as error:
            words = str(error)
        except Exception as error:  # whatever it is, it is the finding
            words, is_foreseen = f"{type(error).__name__}: {error}", False
        obstacles = [words, *(f"{name}: {told}" for name, told in field.missing.items())]
        if not rows and not any(obstacles):
            obstacles.append("no engine was left to measure")
        seconds = round(time.perf_counter() - began, 1)
        words = "; ".join(filter(None, obstacles))
        outcome = Outcome(name, rows, words, seconds, list(warnings.told))
        broken = field.broken[broken_before:]
        tell(outcome=dataclasses.asdict(outcome), broken=broken, is_foreseen=is_foreseen)
    field.close()


class _Warnings(logging.Handler):
    """Keeps what is warned of, each line once, and writes it to the log as well."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        self.told.setdefault(line)
        sys.stderr.write(f"{record.levelname.lower()} {line}\n")


def _private_output() -> IO[str]:
    """What this process answers on; what anything else prints goes to the log."""
    private = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return private


if __name__ == "__main__":
    main()
