"""`twopass delete`: documents, by id or by filter."""

import math
from typing import Annotated

import typer

from twopass.client import Client, Condition, DeleteResult
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


def delete(
    collection: CollectionName,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="The documents' ids.")
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help=filters_as_typed.HELP),
    ] = None,
    yes: Yes = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Delete documents, by their ids or all that pass filters.

    Unknown ids are counted and no failure, so that it can be repeated. By filter, the documents are
    counted first, and you are asked; a script gives `--yes`.

        twopass delete docs sky dates
        twopass delete docs -f "year<1950" -f draft=true
    """
    if ids and filters:
        exit_with("both ids and --filter given; give one of them", USAGE)
    if not (ids or filters):
        exit_with(
            "neither ids nor --filter given; `twopass collections delete` deletes a whole "
            "collection",
            USAGE,
        )
    with connected(target) as client:
        if ids:
            wanted = list(dict.fromkeys(ids))
            result = _delete_ids(client, collection, wanted)
            num_unknown = len(wanted) - result.num_deleted
        else:
            result = _delete_passing(
                client, collection, filters_as_typed.parsed(filters or []), is_certain=yes
            )
            num_unknown = 0
    if as_json:
        print_json(
            {
                "collection": collection,
                "num_deleted": result.num_deleted,
                "num_unknown": num_unknown,
                "sequence": result.sequence,
            }
        )
        return
    unknown = f", {num_unknown:,} unknown" if num_unknown else ""
    say(f"{collection}: {counted(result.num_deleted, 'document')} deleted{unknown}")


def _delete_ids(client: Client, collection: str, ids: list[str]) -> DeleteResult:
    results = [
        client.delete(collection, ids[start : start + _AT_ONCE], timeout=math.inf)
        for start in range(0, len(ids), _AT_ONCE)
    ]
    return DeleteResult(results[-1].sequence, sum(each.num_deleted for each in results))


def _delete_passing(
    client: Client, collection: str, condition: Condition | None, *, is_certain: bool
) -> DeleteResult:
    if not is_certain:
        passing = client.count(collection, filter=condition, timeout=math.inf)
        if passing == 0:
            return DeleteResult(client.get_collection(collection).sequence, 0)
        total = client.get_collection(collection).num_documents
        confirm(
            f"delete {counted(passing, 'document')} of the {total:,} in {collection} for good",
            is_certain=False,
        )
    return client.delete(collection, filter=condition, timeout=math.inf)
