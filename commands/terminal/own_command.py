"""How the command is typed again, so that a hint runs as it is printed."""

import shlex
import shutil
import sys
from pathlib import Path

from twopass.engines.installing import typed_here

_NAME = "twopass"


def own_command() -> str:
    """The command as a shell in this folder runs it.

    Returns:
        `twopass` where the shell finds the one that runs now, else its path, such as
        `.venv/bin/twopass`; or Python and the module, where it was started like that.
    """
    started = Path(sys.argv[0])
    if started.name == _NAME:
        return _NAME if _is_found(started) else shlex.quote(typed_here(started.absolute()))
    python = Path(sys.executable)
    shown = "python" if _is_found(python, "python") else shlex.quote(typed_here(python))
    return f"{shown} -m twopass.commands.start"


def _is_found(file: Path, name: str = _NAME) -> bool:
    """Whether a shell finds this file by its name; links are not followed, as venvs need it."""
    found = shutil.which(name)
    return found is not None and Path(found).absolute() == file.absolute()
