"""`twopass snapshot`: creates, lists, restores and deletes snapshots of collections."""

import dataclasses
import math
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from twopass.client import Snapshot
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json

app = typer.Typer(
    help="Copy collections as they are at one moment, while writes go on; restore the copies.",
    no_args_is_help=True,
)

Collection = Annotated[str, typer.Argument(help="The collection's name.")]
Name = Annotated[str, typer.Argument(help="The snapshot's name.")]


@app.command("create")
def create(
    collection: Collection,
    name: Annotated[str, typer.Argument(help="The snapshot's name; unset: date and time.")] = "",
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Copy a collection as it is now."""
    with connected(target) as client:
        snapshot = client.create_snapshot(collection, name, timeout=math.inf)
    _print([snapshot], as_json=as_json)


@app.command("list")
def list_snapshots(
    collection: Collection, target: Target = DEFAULT_TARGET, as_json: AsJson = False
) -> None:
    """List a collection's snapshots, oldest first."""
    with connected(target) as client:
        snapshots = client.list_snapshots(collection)
    _print(snapshots, as_json=as_json)


@app.command("restore")
def restore(
    collection: Collection,
    name: Name,
    new_collection: Annotated[str, typer.Argument(help="Name of the new collection.")],
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Make a new collection of a snapshot."""
    with connected(target) as client:
        restored = client.restore_snapshot(collection, name, new_collection, timeout=math.inf)
    if as_json:
        print_json({"collection": restored.name, "num_documents": restored.num_documents})
        return
    Console().print(f"{restored.name}: {restored.num_documents:,} documents")


@app.command("delete")
def delete(collection: Collection, name: Name, target: Target = DEFAULT_TARGET) -> None:
    """Delete a snapshot."""
    with connected(target) as client:
        client.delete_snapshot(collection, name)


def _print(snapshots: "list[Snapshot] | tuple[Snapshot, ...]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            [dataclasses.asdict(s) | {"create_time": s.create_time.isoformat()} for s in snapshots]
        )
        return
    table = Table(box=None, header_style="bold")
    for column in ("collection", "snapshot", "created"):
        table.add_column(column)
    for column in ("documents", "size"):
        table.add_column(column, justify="right")
    for snapshot in snapshots:
        table.add_row(
            snapshot.collection,
            snapshot.name,
            f"{snapshot.create_time:%Y-%m-%d %H:%M:%S} UTC",
            f"{snapshot.num_documents:,}",
            decimal(snapshot.num_bytes),
        )
    Console().print(table)
    for snapshot in snapshots:
        if snapshot.damaged_reason:
            Console().print(f"{snapshot.name}: {snapshot.damaged_reason}", soft_wrap=True)
