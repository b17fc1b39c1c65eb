"""Calls every rpc from stubs that other languages generate: `make languages`.

A table tells what became of each. Then the examples run, as they stand in `examples/`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.languages import standard_protos
from tests.languages.serving import served
from twopass.server.edge.permissions import PERMISSIONS

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_DETAILS = "an error's details"
# What the contract and the services beside it have; endpoints of HTTP have no stubs.
RPCS = [name for name in PERMISSIONS if name.startswith(("twopass.v1.", "grpc."))] + [_DETAILS]
# What has no answer over HTTP, and need not have one.
_UNSERVED = [name for name in RPCS if name.endswith("Stream") or name.startswith("grpc.")]


@dataclass(frozen=True)
class Language:
    """How a program that calls every rpc is built and run.

    Attributes:
        name: The language, its stubs and the wire.
        folder: Where the program is.
        needs: Commands without which it is left out.
        build: Builds it.
        run: Runs it; prints a line for each rpc: its name, a tab, and what became of it.
    """

    name: str
    folder: str
    needs: Sequence[str]
    build: Sequence[str]
    run: Sequence[str]


_NODE = ("npm", "run", "--silent", "build")
LANGUAGES = [
    Language(
        "Node, gRPC", "node", ("node",), _NODE, ("node", "build/every_rpc.js", "grpc", "node-grpc")
    ),
    Language(
        "Node, Connect",
        "node",
        ("node",),
        (),
        ("node", "build/every_rpc.js", "connect", "node-connect"),
    ),
    Language(
        "Go, gRPC",
        "go",
        ("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc"),
        ("bash", "build.sh"),
        ("build/every_rpc", "go"),
    ),
    Language(
        "Java, gRPC",
        "java",
        ("javac", "protoc", "grpc_java_plugin"),
        ("bash", "build.sh"),
        ("java", "-cp", "build/classes:/usr/share/java/*", "EveryRpc", "java"),
    ),
]


def main() -> int:
    """Runs all programs; returns 1 where an rpc failed, or was not called."""
    results: dict[str, Mapping[str, str]] = {}
    examples: dict[str, bool] = {}
    standard_protos.write()
    with served() as environment:
        for language in LANGUAGES:
            if missing := [need for need in language.needs if shutil.which(need) is None]:
                print(f"{language.name}: left out, {', '.join(missing)} not installed")
                continue
            results[language.name] = _called(language, environment)
        examples["examples/node"] = _node_example_works(environment)
        if (example := _HERE / "go" / "build" / "example").exists():
            examples["examples/go"] = _shows_a_search([str(example)], _ROOT, environment)
    table = Table("rpc", *results)
    for rpc in RPCS:
        table.add_row(rpc, *(found.get(rpc, "not called") for found in results.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for example, works in examples.items():
        print(f"{example}: {'works' if works else 'fails'}")
    called = [(rpc, found.get(rpc, "")) for found in results.values() for rpc in RPCS]
    failures = sum(
        outcome != "works" and not (outcome == "not served" and rpc in _UNSERVED)
        for rpc, outcome in called
    )
    failures += sum(not works for works in examples.values())
    print(f"{len(called) + len(examples) - failures} passed, {failures} failed")
    return 1 if failures or not called else 0


def _called(language: Language, environment: Mapping[str, str]) -> Mapping[str, str]:
    """What became of each rpc that a program calls."""
    folder = _HERE / language.folder
    if language.build:
        subprocess.run(language.build, cwd=folder, env=os.environ, check=True)
    run = subprocess.run(
        language.run, cwd=folder, env=environment, check=False, stdout=subprocess.PIPE, text=True
    )
    return dict(line.split("\t", 1) for line in run.stdout.splitlines() if "\t" in line)


def _node_example_works(environment: Mapping[str, str]) -> bool:
    """Runs the example with the client as npm would have it, packed and installed."""
    with tempfile.TemporaryDirectory(prefix="twopass-example-") as folder:
        client = _ROOT / "client" / "typescript"
        pack = ("npm", "pack", "--silent", "--pack-destination", folder)
        subprocess.run(pack, cwd=client, check=True, stdout=subprocess.DEVNULL)
        (packed,) = Path(folder).glob("*.tgz")
        shutil.copytree(_ROOT / "examples" / "node", folder, dirs_exist_ok=True)
        install = ("npm", "install", "--no-save", "--silent", str(packed))
        subprocess.run(install, cwd=folder, check=True)
        return _shows_a_search(["node", "search.js"], Path(folder), environment)


def _shows_a_search(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> bool:
    """Whether an example ends well, having found its document and read its error."""
    run = subprocess.run(
        command, cwd=folder, env=environment, check=False, stdout=subprocess.PIPE, text=True
    )
    return run.returncode == 0 and "strptime" in run.stdout and "INVALID_FIELD top_n" in run.stdout


if __name__ == "__main__":
    sys.exit(main())
