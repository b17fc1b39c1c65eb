"""An environment for each program that the how-tos run, kept between runs.

Each holds what its file of `requirements/` pins, and is made anew when that changed.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOMES = ROOT / ".venv-how-to"
REQUIREMENTS = Path(__file__).with_name("requirements")
_OVERRIDES = REQUIREMENTS / "overrides.txt"
_UV = (sys.executable, "-m", "uv")


class InstallError(Exception):
    """Packages could not be installed; the message has the end of what the installer said."""


def install(name: str) -> Path:
    """Makes an environment, unless it is there and up to date. Returns its interpreter.

    Raises:
        InstallError: A package could not be installed.
    """
    home = HOMES / name
    python = home / "bin" / "python"
    pins = REQUIREMENTS / f"{name}.txt"
    note = home / ".made-of"
    wanted = f"{sys.version}\n{pins.read_text('utf-8')}{_OVERRIDES.read_text('utf-8')}"
    if note.exists() and note.read_text("utf-8") == wanted:
        return python
    _run(*_UV, "venv", "--quiet", "--clear", "--python", sys.executable, home)
    chosen = ("--requirements", pins, "--override", _OVERRIDES)
    _run(*_UV, "pip", "install", "--quiet", *_index(), "--python", python, *chosen)
    note.write_text(wanted, "utf-8")
    return python


def _index() -> tuple[str, ...]:
    """The index that pip is configured to use, as uv is told."""
    pip = (sys.executable, "-m", "pip", "config", "get", "global.index-url")
    found = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    return ("--default-index", found) if found else ()


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise InstallError(f"{' '.join(map(str, command))}: {done.stdout[-2_000:]}")
