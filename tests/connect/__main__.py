"""Calls our own rpcs over HTTP with Connect's own clients: `make connect`.

Stubs are generated from the protos by buf, for Node and for Python, into the environment of the
clients. `buf curl` is the third client. The server is the tree's.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..integration.serving import Server

_HERE = Path(__file__).parent
_PROTOS = _HERE.parent.parent / "protos"


def main(python: str, node: str) -> None:
    """Runs the three clients.

    Args:
        python: The folder of the virtual environment of Python's client.
        node: The folder where npm has installed Node's client.
    """
    buf = str(Path(sys.executable).parent / "buf")
    with (
        tempfile.TemporaryDirectory(prefix="twopass-connect-") as folder,
        Server(Path(folder) / "data", gated=False, http_address="127.0.0.1:0") as server,
    ):
        stubs = Path(folder) / "python"
        _generate(buf, _for_node(Path(node)))
        _generate(buf, _for_python(Path(python) / "bin", stubs, Path(folder)))
        (Path(node) / "every_rpc.mjs").write_text((_HERE / "every_rpc.mjs").read_text())
        _run(["node", str(Path(node) / "every_rpc.mjs"), server.http_url])
        _run(
            [str(Path(python) / "bin" / "python"), str(_HERE / "every_rpc.py"), server.http_url],
            PYTHONPATH=str(stubs),
        )
        for path, body in (
            ("ModelService/ListModels", "{}"),
            ("RerankService/Rerank", '{"query": "sky", "candidates": [{"text": "the sky"}]}'),
        ):
            url = f"{server.http_url}/twopass.v1.{path}"
            command = [buf, "curl", "--schema", str(_PROTOS), "--data", body, url]
            assert json.loads(subprocess.check_output(command))
        print("buf curl: by the protos")


def _for_node(folder: Path) -> list[dict[str, object]]:
    plugin = str(folder / "node_modules" / ".bin" / "protoc-gen-es")
    options = ["target=js", "import_extension=js"]
    return [{"local": plugin, "out": str(folder / "gen"), "opt": options}]


def _for_python(programs: Path, stubs: Path, folder: Path) -> list[dict[str, object]]:
    protoc = folder / "protoc"
    protoc.write_text(f'#!/bin/sh\nexec {programs / "python"} -m grpc_tools.protoc "$@"\n')
    protoc.chmod(0o755)
    plugin = str(programs / "protoc-gen-connectrpc")
    return [
        {"local": plugin, "out": str(stubs), "opt": ["protobuf=google"]},
        {"protoc_builtin": "python", "protoc_path": [str(protoc)], "out": str(stubs)},
    ]


def _generate(buf: str, plugins: Sequence[dict[str, object]]) -> None:
    template = {"version": "v2", "plugins": plugins}
    command = [buf, "generate", str(_PROTOS), "--template", json.dumps(template)]
    _run([*command, "--path", str(_PROTOS / "twopass")])


def _run(command: Sequence[str], **environment: str) -> None:
    subprocess.run(command, env=os.environ | environment, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
