"""The rpc of CollectionService that gives collections other names."""

from twopass.index.store.aliases import AliasChange
from twopass.server.collections import Collections
from twopass.server.models.passages import check_count
from twopass.server.request import Request
from twopass.v1 import collection_pb2

_MAX_CHANGES = 1_000


class AliasRpcs:
    """Translates; `Collections` does the work."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    async def update_aliases(
        self, message: collection_pb2.UpdateAliasesRequest, request: Request
    ) -> collection_pb2.UpdateAliasesResponse:
        """Makes, switches and removes aliases, all or none; returns those there are then."""
        if message.changes:
            advice = "change them in several calls"
            check_count("changes", len(message.changes), _MAX_CHANGES, advice)
        changes = [AliasChange(x.alias, x.collection or None) for x in message.changes]
        aliases = await self._collections.update_aliases(changes, request)
        return collection_pb2.UpdateAliasesResponse(
            aliases=[
                collection_pb2.Alias(alias=alias, collection=collection)
                for alias, collection in aliases.items()
                if request.caller.may_use(alias)
            ]
        )
