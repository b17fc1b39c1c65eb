"""Tries our own rpcs over HTTP with the tools of others: `make openapi`.

openapi-spec-validator reads the document that a server makes of itself, and Schemathesis makes
requests of it: valid ones, and such that break one rule. No answer may have a status or a body
that the document does not describe, none may be a fault of the server, and what breaks a rule of
the document must be refused. The other way round is not demanded: the contract has rules that no
schema can say, such as that a query must not be empty unless there is a vector.

Schemathesis' phase "coverage", which breaks every rule of every field once, takes a quarter of an
hour of a core, nearly all of it to think of requests: `make openapi ARGS=--phases=coverage`. What
it reports is a null beside the one field that is chosen, as in `{"ids": {}, "filter": null}`: the
server takes null for unset, and the document does not say so of fields of which one is needed.

Both are in an environment of their own. The server is the tree's.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from ..integration.corpus import fill
from ..integration.serving import Server

_HERE = Path(__file__).parent
_VALIDATE = "import json, sys; import openapi_spec_validator as v; v.validate(json.load(sys.stdin))"


def main(folder: str, *arguments: str) -> int:
    """Runs both; returns Schemathesis' exit status.

    Args:
        folder: The environment that has the tools.
        arguments: More arguments for Schemathesis.
    """
    programs = Path(folder) / "bin"
    with (
        tempfile.TemporaryDirectory(prefix="twopass-openapi-") as data,
        Server(Path(data), gated=False, http_address="127.0.0.1:0") as server,
    ):
        fill(server, "docs")
        url = f"{server.http_url}/openapi.json"
        document = httpx.get(url).content
        subprocess.run([programs / "python", "-c", _VALIDATE], input=document, check=True)
        print(f"{url}: {len(document):,} bytes, valid", flush=True)
        command = [
            programs / "schemathesis",
            f"--config-file={_HERE / 'schemathesis.toml'}",
            "run",
            url,
            "--mode=all",
            "--phases=examples,fuzzing",
            "--generation-database=none",
            "--seed=1",
            *arguments,
        ]
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(_HERE)}
        return subprocess.run(command, cwd=data, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
