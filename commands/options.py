"""Options that several commands share, and the client made from them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import grpc
import typer

from twopass.client import Client, TwopassError
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.json_output import print_json as print_json

Target = Annotated[
    str,
    typer.Option("--target", "-t", envvar="TWOPASS_TARGET", help="The server, host:port."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]
DEFAULT_TARGET = "localhost:50051"


@contextmanager
def connected(target: str) -> Iterator[Client]:
    """Opens a client for as long as the block lasts; a failed call ends the command.

    The API key comes from `TWOPASS_API_KEY`, since a flag would show in the list of processes.
    """
    with Client(
        target, api_key=os.environ.get("TWOPASS_API_KEY"), credentials=tls_credentials()
    ) as client:
        try:
            yield client
        except TwopassError as error:
            exit_with(f"{target}: {error.code.name}: {error.message}")


def tls_credentials() -> grpc.ChannelCredentials | None:
    """TLS credentials from `TWOPASS_CA` and its companions; None, for plain text, where unset.

    `TWOPASS_CA` is a PEM file of authorities to trust, or "system" for the machine's own;
    `TWOPASS_CLIENT_CERTIFICATE` and `TWOPASS_CLIENT_KEY` are for a server that asks for them.
    """
    authorities = os.environ.get("TWOPASS_CA")
    if not authorities:
        return None
    names = ("TWOPASS_CLIENT_CERTIFICATE", "TWOPASS_CLIENT_KEY")
    try:
        certificate, key = (
            Path(file).read_bytes() if (file := os.environ.get(name)) else None for name in names
        )
        trusted = None if authorities == "system" else Path(authorities).read_bytes()
    except OSError as error:
        exit_with(f"{error.filename}: {error.strerror}")
    return grpc.ssl_channel_credentials(trusted, key, certificate)
