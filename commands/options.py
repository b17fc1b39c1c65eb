"""Options that several commands share, and the client made from them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from twopass.client import Client
from twopass.commands.completion import collection_names
from twopass.commands.connecting import (
    DEFAULT_TARGET,
    key_for,
    timeout,
    tls_credentials,
    told_failures,
)
from twopass.commands.terminal.json_output import print_json

__all__ = [
    "DEFAULT_TARGET",
    "AsJson",
    "CollectionName",
    "Target",
    "connected",
    "print_json",
]

Target = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        envvar="TWOPASS_TARGET",
        help="The server, host:port; without a port 50051. Several, with commas between them, are "
        "asked in turn.",
    ),
]
CollectionName = Annotated[
    str,
    typer.Argument(help="The collection's name or an alias.", autocompletion=collection_names),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]


@contextmanager
def connected(target: str) -> Iterator[Client]:
    """Opens a client for as long as the block lasts; a failed call ends the command."""
    with (
        told_failures(target),
        Client(
            target, api_key=key_for(target), credentials=tls_credentials(), timeout=timeout()
        ) as client,
    ):
        yield client
