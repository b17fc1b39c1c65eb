"""`twopass alias`: other names of collections, made, switched, removed and listed."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.terminal.failures import exit_with


def alias(
    alias: Annotated[str, typer.Argument(help="The alias; unset: only list them.")] = "",
    collection: Annotated[
        str, typer.Argument(help="The collection that it stands for from now on.")
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the alias instead.")] = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Give a collection another name, or switch that name; then list all aliases.

    Clients search `docs`; you fill a new collection, say with another encoder,
    and switch to it between two requests:

        twopass index docs-2027 docs.jsonl
        twopass alias docs docs-2027

    Calls under way finish on the old collection. No collection may have the
    name of an alias, and a collection that has aliases can't be deleted.
    """
    if alias and bool(collection) == remove:
        exit_with(f"{alias}: name the collection that it stands for, or give --remove alone")
    if remove and not alias:
        exit_with("--remove: name the alias")
    with connected(target) as client:
        aliases = client.update_aliases({alias: collection or None} if alias else {})
    _print(aliases, as_json=as_json)


def _print(aliases: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(dict(sorted(aliases.items())))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("alias")
    table.add_column("collection")
    for alias, collection in sorted(aliases.items()):
        table.add_row(alias, collection)
    Console().print(table)
