"""`twopass delete`: documents, by id or by filter."""

import math

from twopass.client import Condition
from twopass.commands import filters as filters_as_typed
from twopass.commands.changing import Ids, change, chosen
from twopass.commands.options import DEFAULT_TARGET, AsJson, CollectionName, Target, connected
from twopass.commands.terminal.confirmation import Yes


def delete(
    collection: CollectionName,
    ids: Ids = None,
    filters: filters_as_typed.Filters = None,
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
    wanted = chosen(
        collection,
        ids,
        filters,
        if_neither="`twopass collections delete` deletes a whole collection",
    )
    with connected(target) as client:

        def act(ids: list[str] | None, condition: Condition | None) -> tuple[str, int]:
            result = client.delete(collection, ids, filter=condition, timeout=math.inf)
            return result.sequence, result.num_deleted

        ended = change(client, wanted, act, lambda of: f"delete {of} for good", is_certain=yes)
    ended.tell("deleted", as_json=as_json)
