"""Aliases: other names of collections."""

from collections.abc import Mapping

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._values import text
from twopass.client.errors import InvalidArgumentError
from twopass.v1 import collection_pb2


def update_aliases(
    changes: Mapping[str, str | None], *, timeout: float | None = None
) -> Call[dict[str, str]]:
    """Makes, switches and removes aliases, all or none; returns the collection of each there is.

    Calls that begin later use the new collection; those under way end with the one they began with.
    It is not tried again by itself: another client may have switched the alias meanwhile.

    Args:
        changes: The collection that each alias stands for from now on; None removes the alias, if
            it is there. At most 1,000; none to learn what aliases there are.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        AlreadyExistsError: An alias has the name of a collection.
        InvalidArgumentError: A name is none, or an alias is to stand for another.
        NotFoundError: No such collection.
    """

    def updated(response: collection_pb2.UpdateAliasesResponse) -> dict[str, str]:
        return {x.alias: x.collection for x in response.aliases}

    request = collection_pb2.UpdateAliasesRequest(
        changes=[_change_message(alias, collection) for alias, collection in changes.items()]
    )
    return Call(_rpcs.UPDATE_ALIASES, request, updated, timeout)


def _change_message(alias: str, collection: str | None) -> collection_pb2.AliasChange:
    field = f"changes[{alias!r}]"
    if collection == "":
        # In the contract it removes the alias; here it is rather a name that was never set.
        raise InvalidArgumentError(f"{field}: empty; None removes an alias")
    return collection_pb2.AliasChange(
        alias=text(alias, "an alias of changes"),
        collection="" if collection is None else text(collection, field),
    )
