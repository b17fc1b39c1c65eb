"""`twopass update`: the metadata of documents, by id or by filter."""

import math
from typing import Annotated, Any

import typer

from twopass.client import Condition
from twopass.commands import filters as filters_as_typed
from twopass.commands.changing import Ids, change, chosen
from twopass.commands.options import DEFAULT_TARGET, AsJson, CollectionName, Target, connected
from twopass.commands.terminal.confirmation import Yes
from twopass.commands.terminal.failures import USAGE, exit_with


def update(
    collection: CollectionName,
    ids: Ids = None,
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
    filters: filters_as_typed.Filters = None,
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
    wanted = chosen(collection, ids, filters, if_neither="one of them says what is changed")
    merge = _merge(assignments or [], removed or [])
    with connected(target) as client:

        def act(ids: list[str] | None, condition: Condition | None) -> tuple[str, int]:
            result = client.update_metadata(
                collection, ids, filter=condition, merge=merge, timeout=math.inf
            )
            return result.sequence, result.num_updated

        ended = change(
            client, wanted, act, lambda of: f"change the metadata of {of}", is_certain=yes
        )
    ended.tell("updated", as_json=as_json)


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
