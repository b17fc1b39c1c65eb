"""`make integrations`: the integrations' own tests, and those that their frameworks publish.

Each distribution below integrations/ has an environment of its own, with the client and the
framework at the versions that its `requirements-test.txt` pins. Its tests run against a server of
the tree, a process that is reached over sockets. Prints what pytest and mypy say of each, then one
line for each with the framework's version; exits with 1 if something failed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.docs.pages import blocks
from tests.environments import ROOT

from .distributions import Distribution, distributions
from .servers import running

_PYTEST = os.environ.get("PYTEST", "-m pytest").split()  # the Makefile's


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a distribution's tests.

    Attributes:
        distribution: Whose tests they are.
        passed: Tests that passed.
        failed: Tests that failed or could not run.
        skipped: Tests that were skipped or are expected to fail.
        seconds: How long they took.
        ok: Whether pytest, and mypy where it was asked for, found nothing.
    """

    distribution: Distribution
    passed: int
    failed: int
    skipped: int
    seconds: float
    ok: bool


def main() -> int:
    """Runs the tests; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make integrations", description=__doc__)
    parser.add_argument("client", type=Path, help="the client's wheel")
    parser.add_argument(
        "--integration", default="", help="only those whose folder's name contains this"
    )
    parser.add_argument(
        "--oldest",
        action="store_true",
        help="with the oldest versions that are promised to do, where requirements-oldest.txt pins"
        " them",
    )
    options, pytest_arguments = parser.parse_known_args()
    chosen = distributions(options.integration, "oldest" if options.oldest else "test")
    if not chosen:
        parser.error(f"--integration: no folder below integrations/ has {options.integration!r}")
    for distribution in chosen:
        distribution.install(options.client)
    with (
        tempfile.TemporaryDirectory(prefix="twopass-integrations-") as scratch,
        running(Path(scratch)) as variables,
    ):
        outcomes = [
            _test(distribution, Path(scratch), variables, pytest_arguments)
            for distribution in chosen
        ]
    width = max(len(each.name) for each in chosen)
    for each in outcomes:
        print(
            f"{'ok    ' if each.ok else 'FAILED'}  {each.distribution.name:{width}}  "
            f"{each.passed} passed, {each.failed} failed, {each.skipped} skipped "
            f"in {each.seconds:.0f} s  {each.distribution.versions()}"
        )
    return 0 if all(each.ok for each in outcomes) else 1


def _test(
    distribution: Distribution,
    scratch: Path,
    variables: Mapping[str, str],
    pytest_arguments: Sequence[str],
) -> Outcome:
    folder = distribution.folder.relative_to(ROOT)
    print(f"# {folder}: {distribution.versions()}", flush=True)
    report = scratch / f"{distribution.name}.xml"
    shared = ("-q", "-c", "integrations/pytest.ini", "-o", f"cache_dir={scratch / 'cache'}")
    command = (distribution.python, *_PYTEST, *shared, "--junit-xml", report)
    # Without the tree's packages: what is tested is what users have, the client alone.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    # The servers are on this machine, where no proxy leads.
    environment = kept | {"NO_PROXY": "*", "no_proxy": "*"} | variables
    tests = subprocess.run(
        [*command, folder / "tests", *pytest_arguments], cwd=ROOT, env=environment, check=False
    )
    types = 0
    if distribution.is_typed:
        mypy = (distribution.python, "-m", "mypy")
        types = subprocess.run(
            mypy, cwd=distribution.folder, env=environment, check=False
        ).returncode
    passed, failed, skipped, seconds = _counts(report)
    ok = tests.returncode == 0 and types == 0 and _page_is_true(distribution)
    return Outcome(distribution, passed, failed, skipped, seconds, ok)


def _page_is_true(distribution: Distribution) -> bool:
    """Runs what the distribution's README tells to type, with its environment's Python."""
    page = distribution.folder / "README.md"
    named = {block.environment for block in blocks(page) if block.environment}
    if not named:
        return True
    environments = " ".join(f"{name}={distribution.python}" for name in named)
    chosen = f"in_order and {page.relative_to(ROOT)}"
    command = (sys.executable, *_PYTEST, "-q", "tests/docs/test_blocks.py", "-k", chosen)
    variables = os.environ | {"TWOPASS_DOCS_ENVIRONMENTS": environments}
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode == 0


def _counts(report: Path) -> tuple[int, int, int, float]:
    """How many passed, failed and were skipped, and in how many seconds."""
    if not report.exists():  # pytest ended before it could write one
        return 0, 0, 0, 0.0
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))

    def total(count: str) -> int:
        return sum(int(suite.get(count, 0)) for suite in suites)

    failed, skipped = total("failures") + total("errors"), total("skipped")
    seconds = sum(float(suite.get("time", 0)) for suite in suites)
    return total("tests") - failed - skipped, failed, skipped, seconds


if __name__ == "__main__":
    sys.exit(main())
