"""Options that several commands have, and the client they lead to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from twopass.client import Client, TwopassError
from twopass.commands.failures import exit_with

Target = Annotated[
    str,
    typer.Option("--target", "-t", envvar="TWOPASS_TARGET", help="The server, host:port."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]
DEFAULT_TARGET = "localhost:50051"


@contextmanager
def connected(target: str) -> Iterator[Client]:
    """A client for as long as the block lasts; a failed call ends the command with one sentence."""
    with Client(target) as client:
        try:
            yield client
        except TwopassError as error:
            exit_with(f"{target}: {error.code.name}: {error.message}")


def print_json(content: object) -> None:
    """Prints JSON, two spaces a level."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
