"""`twopass snapshot`: creates, lists, restores and deletes snapshots of collections."""

import dataclasses
import math
from typing import Annotated

import typer
from rich.filesize import decimal

from twopass.client import Client, NotFoundError, Snapshot
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.confirmation import Yes, confirm, ensure_unchanged
from twopass.commands.terminal.failures import NOT_FOUND, exit_with
from twopass.commands.terminal.sentences import counted, say, say_beside
from twopass.commands.terminal.tables import Table, figures, names, print_table

app = typer.Typer(
    help="Copy collections as they are at one moment, while writes go on; restore the copies.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The snapshot's name.")]


@app.command("create")
def create(
    collection: CollectionName,
    name: Annotated[str, typer.Argument(help="The snapshot's name; unset: date and time.")] = "",
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Copy a collection as it is now, while writes and searches go on.

    Snapshots stay when their collection is deleted.

        twopass snapshot create docs
        twopass snapshot create docs monday
    """
    with connected(target) as client:
        snapshot = client.create_snapshot(collection, name, timeout=math.inf)
    _print([snapshot], as_json=as_json)


@app.command("list")
def list_snapshots(
    collection: CollectionName, target: Target = DEFAULT_TARGET, as_json: AsJson = False
) -> None:
    """List a collection's snapshots, oldest first; also those of one that was deleted."""
    with connected(target) as client:
        snapshots = client.list_snapshots(collection)
        if not snapshots:
            client.get_collection(collection)  # a name that is misspelled is told
    if not (snapshots or as_json):
        say_beside(f"no snapshot; one is made by: twopass snapshot create {collection}")
        return
    _print(snapshots, as_json=as_json)


@app.command("restore")
def restore(
    collection: CollectionName,
    name: Name,
    new_collection: Annotated[str, typer.Argument(help="Name of the new collection.")],
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Make a new collection of a snapshot.

    The collection that it was made of stays as it is. Where clients search by an alias, switch it
    afterwards:

        twopass snapshot restore docs monday docs-restored
        twopass alias live docs-restored
    """
    with connected(target) as client:
        restored = client.restore_snapshot(collection, name, new_collection, timeout=math.inf)
    if as_json:
        print_json({"collection": restored.name, "num_documents": restored.num_documents})
        return
    say(f"{restored.name}: {restored.num_documents:,} documents")


@app.command("delete")
def delete(
    collection: CollectionName, name: Name, yes: Yes = False, target: Target = DEFAULT_TARGET
) -> None:
    """Delete a snapshot; the collection stays.

    It is gone for good, and may be the last copy of a collection that was deleted: you are asked
    first; a script gives `--yes`.

        twopass snapshot delete docs monday
        twopass snapshot delete docs monday --yes  in a script
    """
    with connected(target) as client:
        if not yes:
            asked = _one(client, collection, name)
            confirm(_question(client, asked), is_certain=False)
            ensure_unchanged(asked, _one(client, collection, name))
        client.delete_snapshot(collection, name)
    say(f"{collection}: snapshot {name} deleted")


def _one(client: Client, collection: str, name: str) -> Snapshot:
    found = {each.name: each for each in client.list_snapshots(collection)}
    if name not in found:
        exit_with(
            f"collection {collection!r} has no snapshot {name!r}; `twopass snapshot list "
            f"{collection}` shows those that it has",
            NOT_FOUND,
        )
    return found[name]


def _question(client: Client, snapshot: Snapshot) -> str:
    """What is asked: what is lost, and whether it may be the last copy."""
    holds = "damaged" if snapshot.damaged_reason else counted(snapshot.num_documents, "document")
    try:
        client.get_collection(snapshot.collection)
        last = ""
    except NotFoundError:
        last = "; the collection itself is deleted"
    return f"delete snapshot {snapshot.name} of {snapshot.collection} ({holds}{last}) for good"


def _print(snapshots: "list[Snapshot] | tuple[Snapshot, ...]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            [dataclasses.asdict(s) | {"create_time": s.create_time.isoformat()} for s in snapshots]
        )
        return
    table = Table(
        [*names("collection", "snapshot", "created, UTC"), *figures("documents", "size")],
        num_names=2,
    )
    for snapshot in snapshots:
        table.add(
            snapshot.collection,
            snapshot.name,
            f"{snapshot.create_time:%Y-%m-%d %H:%M:%S}",
            f"{snapshot.num_documents:,}",
            decimal(snapshot.num_bytes),
        )
    print_table(table)
    for snapshot in snapshots:
        if snapshot.damaged_reason:
            say(f"{snapshot.name}: {snapshot.damaged_reason}")
