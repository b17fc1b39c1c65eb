"""`make how-to`: the pages of docs/how-to, with the programs that they are about.

The blocks of each page run in order against a server of its own, by the runner of `tests/docs`,
with the programs of `requirements/` installed. Programs that can't be installed so are tried by
the requests that their sources send, in the modules beside this one. Exits as pytest does.
"""

import argparse
import os
import subprocess
import sys

from tests.docs.pages import blocks
from tests.environments import ROOT

from .environments import install, link_programs

_PAGES = ROOT / "docs" / "how-to"


def main() -> int:
    """Runs the tests; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make how-to", description=__doc__)
    names = sorted(page.stem for page in _PAGES.glob("*.md"))
    parser.add_argument("--page", choices=names, help="one page alone")
    options, pytest_arguments = parser.parse_known_args()
    chosen = [options.page] if options.page else names
    environments = {name: _environments(name) for name in chosen}
    needed = sorted({each for named in environments.values() for each in named})
    made = {name: install(name) for name in needed}
    pythons = {name: python for name, python in made.items() if python}
    print(f"# environments: {', '.join(pythons) or 'none'}", flush=True)
    for name in needed:
        if name not in pythons:
            print(f"# left out: {name}, which is not for Python {sys.version.split()[0]}")
    variables = {
        "TWOPASS_DOCS_ENVIRONMENTS": " ".join(f"{k}={v}" for k, v in pythons.items()),
        "PATH": os.pathsep.join([os.environ["PATH"], str(link_programs(pythons))]),
    }
    modules = ["tests/docs/test_blocks.py"]
    selected = ["how_to"]
    for name, named in environments.items():
        # A session with an environment has all blocks of its page: the one without says no more.
        selected += [f"how-to/{name}.md-{each}" for each in named] or [f"how-to/{name}.md"]
        replayed = f"tests/how_to/test_{name.replace('-', '_')}.py"
        modules += [replayed] if (ROOT / replayed).exists() else []
    command = (sys.executable, "-m", "pytest", "-q", "-n0", *modules, "-k", " or ".join(selected))
    tests = subprocess.run(
        [*command, *pytest_arguments], cwd=ROOT, env=os.environ | variables, check=False
    )
    return tests.returncode


def _environments(page: str) -> list[str]:
    found = {block.environment for block in blocks(_PAGES / f"{page}.md")}
    return sorted(found - {""})


if __name__ == "__main__":
    sys.exit(main())
