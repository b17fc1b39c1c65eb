"""`twopass update`: the metadata of documents, by id or by filter."""

import math
from typing import Annotated, Any

import typer

from twopass.client import Client, Condition, UpdateResult
from twopass.commands import filters as filters_as_typed
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.confirmation import Yes, confirm
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.sentences import counted, say

# At most so many ids go into one request by the contract.
_AT_ONCE = 10_000


def update(
    collection: CollectionName,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="The documents' ids.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field and its new value: JSON, else text. An object is merged into the one "
            "that is there. Repeat it for several.",
        ),
    ] = None,
    removed: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="FIELD", help="A field to remove. Repeat it for several."),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help=filters_as_typed.HELP),
    ] = None,
    yes: Yes = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Change the metadata of documents, by their ids or of all that pass filters.

    Other fields stay as they are; nothing is embedded again. Unknown ids are counted and no
    failure. By filter, the documents are counted first, and you are asked; a script gives `--yes`.

        twopass update docs sky --set year=1871 --unset draft
        twopass update docs --set old=true -f "year<1950"
    """
    if ids and filters:
        exit_with("both ids and --filter given; give one of them", USAGE)
    if not (ids or filters):
        exit_with("neither ids nor --filter given; one of them says what is changed", USAGE)
    merge = _merge(assignments or [], removed or [])
    with connected(target) as client:
        if ids:
            wanted = list(dict.fromkeys(ids))
            result = _update_ids(client, collection, wanted, merge)
            num_unknown = len(wanted) - result.num_updated
        else:
            condition = filters_as_typed.parsed(filters or [])
            result = _update_passing(client, collection, condition, merge, is_certain=yes)
            num_unknown = 0
    if as_json:
        print_json(
            {
                "collection": collection,
                "num_updated": result.num_updated,
                "num_unknown": num_unknown,
                "sequence": result.sequence,
            }
        )
        return
    unknown = f", {num_unknown:,} unknown" if num_unknown else ""
    say(f"{collection}: {counted(result.num_updated, 'document')} updated{unknown}")


def _merge(assignments: list[str], removed: list[str]) -> dict[str, Any]:
    """The changes as a JSON Merge Patch (RFC 7396), in which null removes a field."""
    merge: dict[str, Any] = {}
    for given in assignments:
        name, equals, value = given.partition("=")
        if not (name and equals):
            exit_with(f"--set {given}: FIELD=VALUE is needed, as in year=1913", USAGE)
        merge[name] = filters_as_typed.value_as_typed(value)
        if merge[name] is None:
            exit_with(f"--set {given}: null can't be stored so; --unset {name} removes it", USAGE)
    for name in removed:
        if name in merge:
            exit_with(f"{name}: given by --set and by --unset; give one of them", USAGE)
        merge[name] = None
    if not merge:
        exit_with("nothing to change; give --set FIELD=VALUE or --unset FIELD", USAGE)
    return merge


def _update_ids(
    client: Client, collection: str, ids: list[str], merge: dict[str, Any]
) -> UpdateResult:
    results = [
        client.update_metadata(
            collection, ids[start : start + _AT_ONCE], merge=merge, timeout=math.inf
        )
        for start in range(0, len(ids), _AT_ONCE)
    ]
    return UpdateResult(results[-1].sequence, sum(each.num_updated for each in results))


def _update_passing(
    client: Client,
    collection: str,
    condition: Condition | None,
    merge: dict[str, Any],
    *,
    is_certain: bool,
) -> UpdateResult:
    if not is_certain:
        passing = client.count(collection, filter=condition, timeout=math.inf)
        found = client.get_collection(collection)
        if passing == 0:
            return UpdateResult(found.sequence, 0)
        some = counted(passing, "document")
        confirm(
            f"change the metadata of {some} of the {found.num_documents:,} in {collection}",
            is_certain=False,
        )
    return client.update_metadata(collection, filter=condition, merge=merge, timeout=math.inf)
