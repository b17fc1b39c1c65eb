"""`twopass alias`: other names of collections, made, switched, removed and listed."""

from collections.abc import Mapping
from typing import Annotated

import typer

from twopass.client import AlreadyExistsError, Client
from twopass.commands.completion import collection_names
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.sentences import say_beside
from twopass.commands.terminal.tables import Table, names, print_table


def alias(
    alias: Annotated[str, typer.Argument(help="The alias; unset: only list them.")] = "",
    collection: Annotated[
        str,
        typer.Argument(
            help="The collection that it stands for from now on.", autocompletion=collection_names
        ),
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

    Calls under way finish on the old collection. A collection that has aliases can't be deleted.
    No collection may have the name of an alias. Where `docs` is one, rename it and keep the name:

        twopass collections rename docs docs-2026 --keep-alias

    Without arguments it lists them; this removes one:

        twopass alias --remove docs
    """
    if alias and bool(collection) == remove:
        exit_with(
            f"{alias}: name the collection that it stands for, as in `twopass alias {alias} "
            f"COLLECTION`, or remove it by `twopass alias --remove {alias}`",
            USAGE,
        )
    if remove and not alias:
        exit_with("--remove: name the alias, as in `twopass alias --remove docs`", USAGE)
    with connected(target) as client:
        try:
            aliases = client.update_aliases({alias: collection or None} if alias else {})
        except AlreadyExistsError:
            _refuse_taken(client, alias, collection)
    _print(aliases, as_json=as_json)


def _refuse_taken(client: Client, alias: str, collection: str) -> None:
    """Says how the name of a collection becomes an alias without anything being deleted."""
    taken = {each.name for each in client.list_collections()}
    number = next(n for n in range(1, len(taken) + 2) if f"{alias}-{n}" not in taken)
    renamed = f"{alias}-{number}"
    if collection == alias:
        exit_with(
            f"{alias} is a collection; this gives it another name and makes {alias} its alias:\n"
            f"  twopass collections rename {alias} {renamed} --keep-alias"
        )
    exit_with(
        f"{alias} is a collection; give it another name, then this one is free:\n"
        f"  twopass collections rename {alias} {renamed} --keep-alias\n"
        f"  twopass alias {alias} {collection}"
    )


def _print(aliases: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(dict(sorted(aliases.items())))
        return
    if not aliases:
        say_beside("no alias; one is made by: twopass alias ALIAS COLLECTION")
        return
    table = Table(names("alias", "collection"), num_names=1)
    for alias, collection in sorted(aliases.items()):
        table.add(alias, collection)
    print_table(table)
