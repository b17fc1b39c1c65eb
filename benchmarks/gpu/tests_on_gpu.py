"""The tests that need a GPU, as checks of the ledger."""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.contestants import Field
from twopass.benchmarks.gpu.outcome import NotHereError, Row
from twopass.benchmarks.gpu.scale import Scale

# Each test that is marked gpu is in one of both. TensorRT's build plans, which takes minutes where
# it is not TensorRT-RTX.
_OF_TENSORRT = "TensorRt or test_gpu_plans or test_gpu_device or replayed_graph or in_flight"
_ENGINES, _INDEX = "tests/gpu", "tests/unit/index/vectors/test_gpu_replica.py"
_WORDS = 200
# pytest's: all passed, some failed, nothing was chosen.
_REGULAR = (0, 1, 5)


def tests_of_torch(scale: Scale, field: Field) -> list[Row]:
    """The tests marked gpu of the engine torch."""
    return _tested(scale, field, _ENGINES, f"not ({_OF_TENSORRT})")


def tests_of_search(scale: Scale, field: Field) -> list[Row]:
    """The tests marked gpu of the vector index."""
    return _tested(scale, field, _INDEX, "test_")


def tests_of_tensorrt(scale: Scale, field: Field) -> list[Row]:
    """The tests marked gpu of the engine tensorrt, its plans, and memory through pycuda."""
    return _tested(scale, field, _ENGINES, _OF_TENSORRT)


def _tested(scale: Scale, field: Field, place: str, chosen: str) -> list[Row]:
    del field
    if scale.root is None:
        raise NotHereError("no tree was named: --root")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "tests.xml")
        command = (
            *(sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-k", chosen),
            *("-p", "no:cacheprovider", "-c", str(scale.root / "pyproject.toml")),
            *("--rootdir", str(scale.root), f"--junitxml={report}"),
            str(scale.root / place),
        )
        ran = subprocess.run(  # noqa: S603  # our own interpreter and tests
            command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
        )
        if scale.logs is not None:
            with (scale.logs / "tests.log").open("a", encoding="utf-8") as log:
                log.write(f"{ran.stdout}\n{ran.stderr}")
        if ran.returncode not in _REGULAR or not report.is_file():
            raise RuntimeError(
                f"pytest ended with {ran.returncode}: {_tail(ran.stdout, ran.stderr)}"
            )
        return read_results(report)


def read_results(report: Path) -> list[Row]:
    """How many tests passed, failed and were skipped, and the first why.

    Args:
        report: JUnit's XML, as pytest writes it.

    Returns:
        A row for each file of tests; in each, one more for each of the combinations of launch paths
        that its tests are named after.
    """
    rows: dict[tuple[str, str], Row] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  # written by our own run
        name, paths = case.get("classname", ""), names.paths_in(case.get("name", ""))
        row = rows.setdefault(
            (name, paths),
            {
                "tests": name,
                names.LAUNCH_PATHS: paths,
                "passed": 0,
                "failed": 0,
                "skipped": 0,
                "first words": "",
            },
        )
        came = {child.tag: child.get("message", "") for child in case}
        what = "failed" if came.keys() & {"failure", "error"} else "passed"
        what = "skipped" if "skipped" in came else what
        row[what] += 1
        words = next((came[tag] for tag in ("failure", "error", "skipped") if tag in came), "")
        if words and (not row["first words"] or (what == "failed" and row["failed"] == 1)):
            row["first words"] = f"{case.get('name')}: {' '.join(words.split())}"[:_WORDS]
    return list(rows.values())


def _tail(*texts: str) -> str:
    lines = [line for text in texts for line in text.strip().splitlines()]
    return " / ".join(lines[-3:])
