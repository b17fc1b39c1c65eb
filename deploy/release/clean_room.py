"""Installs what is in dist/ as a stranger would: on a clean Debian, with Python and no compiler.

Each system is the smallest that Debian's packages make, with python3, its venv and certificates.
Files in dist/ stand in for the index where they will be published; all else comes from there.
Needs root, mmdebstrap, and Linux with unshare; where one is missing it says so and ends with 0.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deploy.release.version import ROOT

SYSTEMS = {"bookworm": "Debian 12", "trixie": "Debian 13", "forky": "Debian testing"}
PACKAGES = "python3,python3-venv,ca-certificates"
_ROOM = "PATH=/venv/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8"


class RoomError(Exception):
    """A command failed in a clean room; what it printed is in the message."""


class Room:
    """A system in a folder, which is thrown away in the end."""

    def __init__(self, base: Path, folder: Path, wheels: Path) -> None:
        """Unpacks a system and puts the wheels and the examples into it."""
        self.folder = folder
        subprocess.run(["tar", "xf", base, "-C", folder], check=True)  # noqa: S603, S607
        shutil.copytree(wheels, folder / "dist")
        for example in sorted(ROOT.glob("integrations/*/example.py")):
            target = folder / "examples" / example.parent.name
            target.mkdir(parents=True)
            shutil.copy(example, target)
        shutil.copy("/etc/resolv.conf", folder / "etc")
        # The machine's own certificates, where its way to the index needs them.
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "etc/ssl/certs")

    def run(self, command: str) -> str:
        """Runs a command in the system, with a /proc of its own, and returns what it prints.

        Raises:
            RoomError: It failed.
        """
        inside = f"env -i {_ROOM} /bin/sh -euc {_quoted(command)}"
        script = f"mount -t proc proc {self.folder}/proc && chroot {self.folder} {inside}"
        ended = subprocess.run(  # noqa: S603
            ["unshare", "--mount", "--pid", "--fork", "/bin/sh", "-c", script],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise RoomError(f"{command}\n{ended.stdout}")
        return ended.stdout


def prove(system: str, base: Path, wheels: Path, shown: bool) -> None:
    """Installs and tries everything on one system, and prints a row for each step.

    Raises:
        RoomError: A step failed.
    """
    with tempfile.TemporaryDirectory(prefix=f"{system}-") as folder:
        room = Room(base, Path(folder), wheels)
        python = room.run("python3 --version").strip()
        name = f"{SYSTEMS[system]}, {python}"
        if found := room.run("command -v cc gcc g++ clang make || true").strip():
            raise RoomError(f"{name}: a compiler is there: {found}")

        def step(what: str, command: str) -> str:
            began = time.monotonic()
            printed = room.run(command)
            size = room.run("du -sm /venv | cut -f1").strip()
            print(f"| {name} | {what} | {time.monotonic() - began:.1f} | {size} |", flush=True)
            if shown:
                print(printed, file=sys.stderr)
            return printed

        step("`python3 -m venv`", "python3 -m venv /venv")
        install = "pip install --quiet --only-binary :all: --find-links /dist"
        step("`pip install twopass`", f"{install} twopass")
        versions = step("`twopass --version`", "twopass --version")
        # The portable kernels are for correctness: no processor that is sold is served by them.
        if "core portable" in versions or "does not load" in versions:
            raise RoomError(f"{name}: the core does not use this processor:\n{versions}")
        answered = step("`twopass demo`", "cd /root && twopass demo --no-stay")
        if "second pass" not in answered:
            raise RoomError(f"{name}: the demo shows no second pass:\n{answered}")
        # The room shares the machine's network, and so its ports.
        with socket.create_server(("127.0.0.1", 0)) as free:
            target = f"127.0.0.1:{free.getsockname()[1]}"
        serve = (
            f"export TWOPASS_TARGET={target}; "
            f"twopass serve --data /root/data --address {target} 2> /root/log & server=$!; "
            "until twopass info > /dev/null 2>&1; do "
            "kill -0 $server || { cat /root/log; exit 1; }; sleep 0.5; "
            "done; "
        )
        for example in sorted((room.folder / "examples").iterdir()):
            step(f"`pip install {example.name}`", f"{install} {example.name}")
            step(
                f"{example.name}: `python example.py`",
                f"{serve} python /examples/{example.name}/example.py; "
                "kill $server; wait $server || true",
            )


def _quoted(text: str) -> str:
    escaped = text.replace("'", "'\\''")
    return f"'{escaped}'"


def missing() -> str:
    """What this machine lacks; empty if nothing."""
    if os.geteuid() != 0:
        return "root is needed for chroot"
    for command, package in {"mmdebstrap": "mmdebstrap", "unshare": "util-linux"}.items():
        if shutil.which(command) is None:
            return f"{command} is not installed; Debian's package {package} has it"
    return ""


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "systems",
        nargs="*",
        default=["bookworm", "trixie"],
        metavar="SYSTEM",
        help=f"of {', '.join(SYSTEMS)}; bookworm and trixie unless told",
    )
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist", help="dist unless told")
    parser.add_argument("--show", action="store_true", help="what the commands print, on stderr")
    arguments = parser.parse_args()
    if reason := missing():
        print(f"skipped: {reason}")
        return 0
    bases = ROOT / ".cache" / "clean-room"
    bases.mkdir(parents=True, exist_ok=True)
    print("Seconds are those of this machine now; MB is all that is installed then.\n")
    print("| system | step | seconds | MB |\n|---|---|---|---|")
    try:
        for system in arguments.systems:
            base = bases / f"{system}.tar"
            if not base.exists():
                made = base.with_suffix(".new.tar")
                command = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", system, made]
                subprocess.run([*command, "http://deb.debian.org/debian"], check=True)  # noqa: S603
                made.rename(base)
            prove(system, base, arguments.wheels, arguments.show)
    except (RoomError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
