"""Keeps a data folder of this version, which every later one has to open: `make upgrade-data`.

Run once for each release, by what is released: docs/releasing.md says when.
"""

import argparse
import json
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.integration.serving import server_process
from twopass.client import Client

from . import ARCHIVES
from .contents import answers, write


def main() -> int:
    """Writes the archive, and what a server answers over it, beside the others."""
    parser = argparse.ArgumentParser(prog="make upgrade-data", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ARCHIVES, help="where they are kept")
    archive = parser.parse_args().folder / f"twopass-{version('twopass')}.tar.xz"
    if archive.exists():
        print(
            f"{archive}: is there; what was released once is never written again", file=sys.stderr
        )
        return 1
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        # Few enough changes that the derived indexes of so small collections are on disk too.
        flags = ("--merge-changes", "8")
        with server_process(data, *flags) as (process, target), Client(target) as client:
            write(client)
            process.terminate()
            process.wait()
        # Asked after a restart: what only memory knew does not count.
        with server_process(data) as (process, target), Client(target) as client:
            said = answers(client)
            process.terminate()
            process.wait()
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.with_suffix("").with_suffix(".json").write_text(
            json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf-8"
        )
        with tarfile.open(archive, "w:xz") as packed:
            packed.add(data, "data", filter=_nobody)
    print(f"{archive}: {archive.stat().st_size:,} bytes")
    return 0


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file that belongs to whoever unpacks it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    sys.exit(main())
