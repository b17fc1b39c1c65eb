"""Runs a program beside a server that it finds in its environment: `run.py FOLDER COMMAND...`."""

import subprocess
import sys

from tests.languages.serving import served


def main(folder: str, *command: str) -> int:
    """Runs the command in the folder; returns its exit status."""
    with served() as environment:
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
