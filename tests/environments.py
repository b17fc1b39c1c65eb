"""Environments for programs that tests run and twopass does not need, kept between runs.

uv makes them: it takes seconds where pip takes minutes, and environments share the files that they
have in common. It reads the index that pip is configured to use.
"""

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_UV = (sys.executable, "-m", "uv")


class InstallError(Exception):
    """Packages could not be installed; the message has the end of what the installer said."""


def python_of(home: Path) -> Path:
    """The interpreter of an environment."""
    return home / "bin" / "python"


def prepare(home: Path, made_of: Iterable[Path], packages: Sequence[str | Path]) -> Path:
    """Makes an environment of this Python, unless one is there that was made of the same.

    Args:
        home: Its folder.
        made_of: The files that say what it holds: where one changed, it is made anew.
        packages: What uv is to install, with uv's flags; paths are those below `ROOT`.

    Returns:
        Its interpreter.

    Raises:
        InstallError: A package could not be installed.
    """
    note = home / ".made-of"
    wanted = _digest(made_of)
    if note.exists() and note.read_text("utf-8") == wanted:
        return python_of(home)
    _run(*_UV, "venv", "--quiet", "--clear", "--python", sys.executable, home)
    into = ("--python", python_of(home))
    _run(*_UV, "pip", "install", "--quiet", *_index(), *into, *packages)
    note.write_text(wanted, "utf-8")
    return python_of(home)


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()


def _index() -> tuple[str, ...]:
    pip = (sys.executable, "-m", "pip", "config", "get", "global.index-url")
    found = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    return ("--default-index", found) if found else ()


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise InstallError(f"{' '.join(map(str, command))}: {done.stdout[-2_000:]}")
