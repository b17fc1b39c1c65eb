"""An environment for each program that the how-tos run, kept between runs.

Each holds what its file of `requirements/` pins, and is made anew when that changed.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
HOMES = ROOT / ".venv-how-to"
REQUIREMENTS = Path(__file__).with_name("requirements")
_OVERRIDES = REQUIREMENTS / "overrides.txt"
_UV = (sys.executable, "-m", "uv")


class InstallError(Exception):
    """Packages could not be installed; the message has the end of what the installer said."""


def install(name: str) -> Path | None:
    """Makes an environment, unless it is there and up to date.

    Returns:
        Its interpreter; None where nothing in it is for this version of Python.

    Raises:
        InstallError: A package could not be installed.
    """
    home = HOMES / name
    python = home / "bin" / "python"
    pins = REQUIREMENTS / f"{name}.txt"
    if not any(is_for_this_python(line) for line in pins.read_text("utf-8").splitlines()):
        return None
    note = home / ".made-of"
    wanted = f"{sys.version}\n{pins.read_text('utf-8')}{_OVERRIDES.read_text('utf-8')}"
    if note.exists() and note.read_text("utf-8") == wanted:
        return python
    _run(*_UV, "venv", "--quiet", "--clear", "--python", sys.executable, home)
    chosen = ("--requirements", pins, "--override", _OVERRIDES)
    _run(*_UV, "pip", "install", "--quiet", *_index(), "--python", python, *chosen)
    note.write_text(wanted, "utf-8")
    return python


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


def _index() -> tuple[str, ...]:
    """The index that pip is configured to use, as uv is told."""
    pip = (sys.executable, "-m", "pip", "config", "get", "global.index-url")
    found = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    return ("--default-index", found) if found else ()


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise InstallError(f"{' '.join(map(str, command))}: {done.stdout[-2_000:]}")
