"""`twopass keys`: makes an API key."""

import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from twopass.commands.terminal.failures import exit_with
from twopass.server.edge.keys import ApiKey, KeysError, make_key, read_keys
from twopass.server.request import Role


def keys(
    name: Annotated[str, typer.Argument(help="Who will use it; appears in logs and messages.")],
    file: Annotated[
        Path, typer.Option("--file", "-f", help="TOML file that `twopass serve --keys` reads.")
    ] = Path("twopass-keys.toml"),
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection", "-c", help="Collection it may use, or a pattern such as docs*; [all]."
        ),
    ] = None,
    role: Annotated[
        Role,
        typer.Option(
            help="What it may do: reader (search and read), writer (also change documents), or "
            "admin (also create, delete, copy and rename collections)."
        ),
    ] = Role.ADMIN,
    max_calls: Annotated[
        int, typer.Option(min=0, help="Most calls under way at once; 0 for no limit of its own.")
    ] = 0,
    calls_per_second: Annotated[
        float, typer.Option(min=0, help="Most calls a second; 0 for no limit of its own.")
    ] = 0.0,
) -> None:
    """Make an API key, print it, and add its hash to a file.

    The key itself is stored nowhere: whoever loses it needs a new one. A
    running server notices the change by itself. To revoke a key, delete its
    lines.
    """
    made = make_key()
    try:
        known = read_keys(file) if file.exists() else ()
        key = ApiKey(
            name=name,
            sha256=made.sha256,
            role=role,
            collections=tuple(collection or ("*",)),
            max_calls=max_calls,
            calls_per_second=calls_per_second,
        )
        if name in {other.name for other in known}:
            exit_with(f"name: {file} has a key {name!r} already; delete its lines first")
        _append(file, key)
    except ValidationError as error:
        exit_with("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors()))
    except (KeysError, OSError) as error:
        exit_with(error)
    typer.echo(made.secret)


def _append(file: Path, key: ApiKey) -> None:
    """Adds a key to a file of keys, which keeps its comments, its owner and its permissions.

    The file is written in place and its old bytes stay as they are, so that a server that reads it
    meanwhile finds the earlier keys.
    """
    import tomlkit  # only here: other commands start without it
    from tomlkit.items import Array

    # Hashes are not secret, but who may use which collection is private.
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8", newline="") as content:
        text = content.read()
        # TOML Kit would append to the last line where it has no line end.
        document = tomlkit.parse(text if text.endswith("\n") else text + "\n")
        keys = document.setdefault("keys", tomlkit.aot())
        table = tomlkit.inline_table() if isinstance(keys, Array) else tomlkit.table()
        table.update(key.model_dump(mode="json"))
        keys.append(table)
        content.seek(0)
        content.write(tomlkit.dumps(document))
        content.truncate()
