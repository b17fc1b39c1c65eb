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
    """Creates, switches and removes aliases, all or none; returns every alias with its collection.

    Calls that begin later use the new collection; calls under way finish on the old one. The client
    never retries this call: another client may have switched the alias meanwhile.

    Args:
        changes: For each alias the collection that it names from now on, at most 1,000. None
            removes the alias; removing an unknown alias is a no-op. An empty mapping changes
            nothing and returns all aliases.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        AlreadyExistsError: An alias has the name of a collection.
        InvalidArgumentError: A name is not valid, or an alias would name another alias.
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
        # The contract reads an empty name as a removal; here it is likely a variable never set.
        raise InvalidArgumentError(
            f"{field}: empty; None removes an alias", metadata={"field": field}
        )
    return collection_pb2.AliasChange(
        alias=text(alias, "an alias of changes"),
        collection="" if collection is None else text(collection, field),
    )
