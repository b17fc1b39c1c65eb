"""How to install what an extra of twopass brings, as it works from where this process runs.

Messages name the packages themselves: `pip install 'twopass[parquet]'` finds nothing where twopass
came from a clone or a file and not from an index.
"""

import importlib.util
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

_DISTRIBUTION = "twopass"


def how_to_install(extra: str) -> str:
    """The command that installs the packages of an extra which this environment lacks.

    Args:
        extra: An extra of twopass, such as "parquet".

    Returns:
        A line to be typed, such as `pip install 'pyarrow>=17'`. With all packages of the extra,
        where none is missing: one of them may be damaged.
    """
    wanted = _requirements(extra)
    missing = [each for each in wanted if not _is_installed(each)] or wanted
    if not missing:
        return f"install the packages of the extra {extra}, which twopass's pyproject.toml lists"
    return pip_install(*map(_without_marker, missing))


def pip_install(*requirements: str) -> str:
    """The command that installs packages into the environment of this process."""
    return f"{_installer()} {shlex.join(requirements)}"


def _requirements(extra: str) -> list[Requirement]:
    """What an extra adds on this platform; empty where twopass runs without its metadata."""
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found = map(Requirement, lines)
    return [
        each
        for each in found
        if each.marker is not None
        and each.marker.evaluate({"extra": extra})
        and not each.marker.evaluate({"extra": ""})
    ]


def _is_installed(requirement: Requirement) -> bool:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def _without_marker(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _installer() -> str:
    """Pip as a shell finds it, if it is this environment's; else as it is reached from here."""
    python = Path(sys.executable)
    found = shutil.which("pip")
    if found is not None and Path(found).parent == python.parent:
        return "pip install"
    here = shlex.quote(typed_here(python))
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {here}"
    return f"{here} -m pip install"


def typed_here(file: Path) -> str:
    """A path as it is typed in the working directory."""
    try:
        typed = file.relative_to(Path.cwd())
    except (OSError, ValueError):  # elsewhere, or the directory is gone
        return str(file)
    # A shell looks for a name without a folder along PATH alone.
    return str(typed) if len(typed.parts) > 1 else f"./{typed}"
