"""Runs commands as a person does, on a terminal, and as a script does, in pipes.

Commands run in a process of their own, one after the other: starting Python for each would take
most of a test's time.
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence

_SEPARATOR = "\N{SYMBOL FOR RECORD SEPARATOR}"
_RUN = f"""
import json, sys
from twopass.commands.main import app
for command in json.loads(sys.argv[1]):
    try:
        app(command, prog_name="twopass")
    except SystemExit as ended:
        status = ended.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout.write(f"{_SEPARATOR}{{status}}{_SEPARATOR}")
    sys.stdout.flush()
"""
_STYLES = re.compile(r"\x1b\[[0-9;]*m")

Ended = tuple[str, int]
"""What a command printed, and its exit status."""


def on_terminal(
    columns: int, commands: Sequence[Sequence[str]], environment: Mapping[str, str]
) -> list[Ended]:
    """Runs commands on a terminal; what they print is stdout and stderr together."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, json.dumps(commands)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=_environment(environment),
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # EIO: the terminal's last process has ended
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(30) == 0, shown.decode(errors="replace")
    return _each(shown.decode().replace("\r\n", "\n"))


def in_pipes(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> list[Ended]:
    """Runs commands in pipes; what they print is stdout alone."""
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(commands)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_environment(environment),
        timeout=300,
        check=True,
    )
    return _each(ended.stdout.decode())


def without_styles(shown: str) -> str:
    """What a terminal shows, without colours and weights."""
    return _STYLES.sub("", shown)


def _each(shown: str) -> list[Ended]:
    parts = shown.split(_SEPARATOR)
    return [(text, int(status)) for text, status in zip(parts[::2], parts[1::2], strict=False)]


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM")
    }
    return {**ours, "TERM": "xterm-256color", **environment}
