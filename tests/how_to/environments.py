"""An environment for each program that the how-tos run, kept between runs.

Each holds what its file of `requirements/` pins, and is made anew when that changed.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement

from tests.environments import ROOT, prepare

HOMES = ROOT / ".venv-how-to"
REQUIREMENTS = Path(__file__).with_name("requirements")
_OVERRIDES = REQUIREMENTS / "overrides.txt"


def install(name: str) -> Path | None:
    """Makes an environment, unless it is there and up to date.

    Returns:
        Its interpreter; None where nothing in it is for this version of Python.

    Raises:
        InstallError: A package could not be installed.
    """
    pins = REQUIREMENTS / f"{name}.txt"
    if not any(is_for_this_python(line) for line in pins.read_text("utf-8").splitlines()):
        return None
    made_of = (pins, _OVERRIDES, *_sources(pins))
    return prepare(HOMES / name, made_of, ("--requirements", pins, "--override", _OVERRIDES))


def _sources(pins: Path) -> Iterator[Path]:
    """The files of the distributions of the tree that a file of requirements names."""
    for line in pins.read_text("utf-8").splitlines():
        if line.startswith("./"):
            yield ROOT / line / "pyproject.toml"
            yield from sorted((ROOT / line).rglob("*.py"))


def link_programs(environments: Mapping[str, Path]) -> Path:
    """Makes a folder for PATH with the program that each environment is named after, if any.

    An environment may hold the programs of others too, as DSPy's has a part of LiteLLM's.

    Args:
        environments: The interpreter of each, by its name.
    """
    folder = HOMES / "programs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, python in environments.items():
        program = python.with_name(name)
        if program.exists():
            (folder / name).symlink_to(program)
    return folder


def is_for_this_python(line: str) -> bool:
    """Whether a line of a requirements file has a package, and one for this version of Python."""
    requirement = line.partition("#")[0].strip()
    if requirement.startswith("./"):  # a distribution of the tree
        return True
    marker = Requirement(requirement).marker if requirement else None
    return bool(requirement) and (marker is None or marker.evaluate())
