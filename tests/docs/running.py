"""Starts sessions: the blocks of a page, in a process group and a network of their own."""

import contextlib
import fcntl
import functools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .pages import ROOT, SHELL, Block

# Enough on a machine that is busy with something else; none takes long on an idle one.
_SECONDS_A_BLOCK = 180
_SESSION = Path(__file__).with_name("session.py")
# Of the shell that runs the tests; a page says itself what it needs.
_NOT_PASSED_ON = re.compile(r"TWOPASS_|PYTEST_|\w+_proxy$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """A block that failed, with what it printed and what the server logged."""

    line: int
    wrong: str
    output: str


def interpreters() -> dict[str, str]:
    """The Python of each environment, by its name; that of the tests has none.

    `TWOPASS_DOCS_ENVIRONMENTS` names others: "langchain=/path/to/python haystack=…".
    """
    named = os.environ.get("TWOPASS_DOCS_ENVIRONMENTS", "").split()
    return {"": sys.executable} | dict(pair.split("=", 1) for pair in named)


@functools.cache
def has_own_networks() -> bool:
    """Whether this machine gives a process a network of its own, which containers may forbid."""
    try:
        tried = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return tried.returncode == 0


def run(blocks: list[Block], folder: Path) -> Failure | None:
    """Runs blocks in order in an empty folder. Returns the first that failed, if one did."""
    known = interpreters()
    asked = []
    for block in blocks:
        interpreter = "bash" if block.language in SHELL else known[block.environment]
        one: dict[str, object] = {"line": block.line, "hidden": block.hidden, "code": block.code}
        one |= (
            {"file": block.comments["file"]}
            if "file" in block.comments
            else {"interpreter": interpreter}
        )
        asked.append(one)
    home, scratch = folder / "home", folder / "scratch"
    home.mkdir()
    scratch.mkdir()
    specification = scratch / "session.json"
    specification.write_text(
        json.dumps(
            {
                "folder": os.fspath(home),
                "scratch": os.fspath(scratch),
                "own_network": has_own_networks(),
                "seconds": _SECONDS_A_BLOCK,
                "blocks": asked,
            }
        )
    )
    log = scratch / "server.log"
    with _network():
        printed = _printed(specification, _environment(home, log))
    for line in printed.splitlines():
        result = json.loads(line)
        if result["wrong"]:
            said = (
                f"\nits server:\n{log.read_text('utf-8', 'replace')[-3000:]}"
                if log.exists()
                else ""
            )
            return Failure(result["line"], result["wrong"], result["output"][-3000:] + said)
    return None


def _environment(home: Path, log: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not _NOT_PASSED_ON.match(k)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {
        "PATH": path,
        "HOME": os.fspath(home),
        "REPOSITORY": os.fspath(ROOT),
        "SERVER_LOG": os.fspath(log),
        "COLUMNS": "100",
        "NO_PROXY": "*",
    }


def _printed(specification: Path, environment: dict[str, str]) -> str:
    command = [sys.executable, os.fspath(_SESSION), os.fspath(specification)]
    if has_own_networks():
        command = ["unshare", "-rn", *command]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):  # servers that blocks have started
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise RuntimeError(f"the session ended with status {process.returncode}: {printed}")
    return printed


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Without networks of their own, one session after another has the machine's ports."""
    if has_own_networks():
        yield
        return
    with Path(tempfile.gettempdir(), "twopass-docs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
