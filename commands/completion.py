"""What the Tab key offers in place of names that only the server knows."""

import contextlib
import io
import os

import typer

from twopass.client import Client, TwopassError
from twopass.commands.connecting import DEFAULT_TARGET, api_key, tls_credentials

_SECONDS = 1.0


def collection_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Collections and aliases that begin so; none where the server can't be asked at once.

    Nothing is printed, whatever is wrong: it would stand amid what a person types.
    """
    target = ctx.params.get("target") or os.environ.get("TWOPASS_TARGET") or DEFAULT_TARGET
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            with Client(
                target,
                api_key=api_key(),
                credentials=tls_credentials(),
                timeout=_SECONDS,
                options=[("grpc.enable_retries", 0)],
            ) as client:
                found = client.list_collections()
        except (TwopassError, typer.Exit):
            return []
    names = {name for each in found for name in (each.name, *each.aliases)}
    return sorted(name for name in names if name.startswith(incomplete))
