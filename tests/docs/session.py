"""Runs the blocks of one page in order, as a reader would who types them into one terminal.

`python session.py SPECIFICATION` reads a JSON file, and prints one JSON line for each block it ran.
In a network of its own (`unshare --net`) a page may use the ports that it names, whatever else the
machine does.
"""

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40  # linux/sockios.h, linux/if.h


class Worker:
    """A process that runs one file after another, and says after each that it is done."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, file: Path, seconds: float) -> str:
        """Runs one file, its output beside it as `.out`. Returns what went wrong, or ''."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return f"it had not ended after {seconds:g} s"
        answer = self._process.stdout.readline().strip()
        return "" if answer == "done" else answer or "the interpreter ended"


def raise_loopback() -> None:
    """Lets programs reach each other by 127.0.0.1 in a network that was just made."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh", b"lo", _IFF_UP | _IFF_RUNNING)
        fcntl.ioctl(control, _SIOCSIFFLAGS, request)


def main(specification: Path) -> None:
    """Runs the blocks that the file lists, and stops after the first that fails."""
    asked = json.loads(specification.read_text("utf-8"))
    folder = Path(asked["folder"])
    if asked["own_network"]:
        raise_loopback()
    scratch = Path(asked["scratch"])
    workers: dict[str, Worker] = {}
    output = scratch / "none.out"
    output.write_text("")
    for block in asked["blocks"]:
        if "file" in block:
            path = folder / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["code"], "utf-8")
            continue
        interpreter = block["interpreter"]
        if interpreter not in workers:
            script = "shell.sh" if interpreter == "bash" else "interpreter.py"
            workers[interpreter] = Worker([interpreter, os.fspath(_HERE / script)], folder)
        file = scratch / f"line-{block['line']}"
        # In quotes that bash and Python both know.
        about = f"OUTPUT={os.fspath(output)!r}\n" if block["hidden"] == "check" else ""
        file.write_text(about + block["code"], "utf-8")
        wrong = workers[interpreter].run(file, asked["seconds"])
        printed = file.with_name(f"{file.name}.out")
        said = printed.read_text("utf-8", "replace") if printed.exists() else ""
        print(json.dumps({"line": block["line"], "wrong": wrong, "output": said}), flush=True)
        if wrong:
            return
        if not block["hidden"]:
            output = printed


if __name__ == "__main__":
    main(Path(sys.argv[1]))
