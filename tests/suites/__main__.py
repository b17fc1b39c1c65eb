"""Runs other projects' tests of document stores against a server: `make suites`.

The suites and what they need are in an environment of their own, with the client. The server runs
in a process, from the tree, and is reached over a socket. The adapters here are no more than the
suites ask for; they are tests, not a distribution.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twopass.server.local import LocalServer

_HERE = Path(__file__).parent


def main(python: str, *arguments: str) -> int:
    """Runs the suites; returns pytest's exit status.

    Args:
        python: The interpreter of the environment that has the suites.
        arguments: More arguments for pytest.
    """
    with (
        tempfile.TemporaryDirectory(prefix="twopass-suites-") as data,
        LocalServer(Path(data)) as server,
    ):
        command = [python, "-m", "pytest", "-q", "-c", str(_HERE / "pytest.ini"), str(_HERE)]
        environment = os.environ | {"TWOPASS_TARGET": server.target}
        return subprocess.run(  # the interpreter that make has given
            [*command, *arguments], env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
