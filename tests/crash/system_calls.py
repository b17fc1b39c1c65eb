"""The order of a server's system calls, as strace tells it."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CALLS = "pwrite64,fdatasync,fsync,sendmsg,sendto,write,writev"
# strace's own options: every thread, descriptors with their paths, all bytes, in hexadecimal.
STRACE = ("strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000", "-e", f"trace={_CALLS}")

_BEGUN = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>.*")
_QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PATH = re.compile(r"\d+<((?:\\x[0-9a-f]{2})*|[^>]*)>")


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One of a thread's calls, seen when it begins or when it has succeeded.

    Attributes:
        name: Such as "fdatasync".
        path: What its descriptor stands for.
        content: All bytes it was given.
        has_ended: False where it begins, True where it has returned without an error.
    """

    name: str
    path: str
    content: bytes
    has_ended: bool


def why_not() -> str:
    """Why system calls can't be followed here; empty where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with tempfile.NamedTemporaryFile() as output:
        tried = subprocess.run(
            [*STRACE, "-o", output.name, "true"], capture_output=True, text=True, check=False
        )
    return "" if tried.returncode == 0 else f"strace fails: {tried.stderr.strip()}"


def read_calls(file: Path) -> Iterator[SystemCall]:
    """Reads strace's output: each call twice, at its beginning and at its end, in their order."""
    begun: dict[str, SystemCall] = {}
    with file.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if match := _RESUMED.match(line):
                call = begun.pop(match[1], None)
            elif match := _BEGUN.match(line):
                call = _call(match[2], match[3])
                yield call
                if line.rstrip().endswith("<unfinished ...>"):
                    begun[match[1]] = call
                    continue
            else:
                continue
            if call is not None and " = -1 " not in line:
                yield SystemCall(call.name, call.path, call.content, has_ended=True)


def _call(name: str, arguments: str) -> SystemCall:
    path = _PATH.match(arguments)
    content = b"".join(_bytes(quoted) for quoted in _QUOTED.findall(arguments))
    return SystemCall(name, _text(path[1]) if path else "", content, has_ended=False)


def _bytes(quoted: str) -> bytes:
    return bytes.fromhex(quoted.replace("\\x", ""))


def _text(path: str) -> str:
    return _bytes(path).decode() if path.startswith("\\x") else path
