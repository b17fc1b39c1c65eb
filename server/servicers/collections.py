"""CollectionService: collections, their snapshots and their aliases; its bases, their documents."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.errors import CollectionAliasedError
from twopass.index.fusion import ConvexFusion
from twopass.index.lanes import Lanes
from twopass.index.schema import check_name
from twopass.index.snapshot import Snapshot
from twopass.index.summary import CollectionSummary
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError
from twopass.server.ingest.documents import Ingest
from twopass.server.models.passages import Limits, check_count
from twopass.server.models.registry import Models
from twopass.server.request import Caller, Request
from twopass.server.search.stored_defaults import with_defaults
from twopass.server.servicers.answers import page_that_fits
from twopass.server.servicers.document_reads import DocumentReads
from twopass.server.servicers.document_writes import DocumentWrites
from twopass.server.servicers.options import read_count
from twopass.server.servicers.schemas import SchemaDefaults, collection_message, read_schema
from twopass.server.servicers.search_defaults import read_search_defaults
from twopass.server.servicers.translating import Translating
from twopass.v1 import collection_pb2

_MAX_ALIAS_CHANGES = 1_000
_SNAPSHOT_TOKEN = re.compile(r"([0-9]{1,18})@(.{1,255})")

# Estimated bytes of the message that describes a collection or a snapshot.
_SUMMARY_BYTES = 300


@dataclass(frozen=True, slots=True)
class CollectionDefaults:
    """What counts where a request about collections says nothing.

    Attributes:
        language: Of new collections, as in `CollectionSchema.language`.
        convex: The convex fusion of search defaults that ask for it without an alpha.
    """

    language: str
    convex: ConvexFusion


class CollectionServicer(DocumentWrites, DocumentReads):
    """Translates; `Collections` and `Ingest` do the work."""

    def __init__(
        self,
        collections: Collections,
        models: Models,
        ingest: Ingest,
        limits: Limits,
        lanes: Lanes,
        translating: Translating,
        defaults: CollectionDefaults,
    ) -> None:
        """Takes what does the work.

        Args:
            collections: The collections.
            models: Models that the server holds.
            ingest: Takes documents in.
            limits: Bounds of requests.
            lanes: Lanes for what blocks.
            translating: Builds and reads large messages.
            defaults: What counts where a request says nothing.
        """
        DocumentWrites.__init__(self, collections, ingest, limits, translating)
        DocumentReads.__init__(self, collections, limits, lanes, translating)
        self._models = models
        self._defaults = defaults

    async def create_collection(
        self, message: collection_pb2.CreateCollectionRequest, request: Request
    ) -> collection_pb2.CreateCollectionResponse:
        """Creates an empty collection."""
        defaults = SchemaDefaults(self._defaults.language, self._collections.default_index_kind)
        schema = read_schema(message.schema, self._models, defaults)
        collection = await self._collections.create(message.name, schema, request)
        return collection_pb2.CreateCollectionResponse(
            collection=collection_message(collection, self._models)
        )

    async def get_collection(
        self, message: collection_pb2.GetCollectionRequest, request: Request
    ) -> collection_pb2.GetCollectionResponse:
        """Returns one collection."""
        collection = await self._collections.summary(message.name, request)
        return collection_pb2.GetCollectionResponse(
            collection=self._message(
                collection, request.caller, await self._collections.aliases(request)
            )
        )

    async def list_collections(
        self, message: collection_pb2.ListCollectionsRequest, request: Request
    ) -> collection_pb2.ListCollectionsResponse:
        """Returns a page of the collections that the caller may use, by name."""
        page_size = read_count("page_size", message.page_size)
        if message.page_token:
            check_name(message.page_token, "page_token")
        summaries = await self._collections.summaries(
            request, after=message.page_token, limit=page_size + 1 if page_size else None
        )
        return await self._translating.run(
            len(summaries) * _SUMMARY_BYTES,
            self._collections_page,
            summaries,
            page_size,
            request.caller,
            await self._collections.aliases(request),
            request=request,
        )

    async def delete_collection(
        self, message: collection_pb2.DeleteCollectionRequest, request: Request
    ) -> collection_pb2.DeleteCollectionResponse:
        """Deletes a collection and everything in it."""
        try:
            await self._collections.delete(message.name, request)
        except CollectionAliasedError as error:
            named = tuple(filter(request.caller.may_use, error.aliases))
            raise CollectionAliasedError(error.collection, named) from error
        return collection_pb2.DeleteCollectionResponse()

    async def rename_collection(
        self, message: collection_pb2.RenameCollectionRequest, request: Request
    ) -> collection_pb2.RenameCollectionResponse:
        """Gives a collection another name."""
        name = message.new_name
        summary = await self._collections.rename(
            message.name, name, keep_alias=message.keep_alias, request=request
        )
        aliases = await self._collections.aliases(request)
        if summary is not None:
            renamed = self._message(summary, request.caller, aliases)
        else:
            named = filter(request.caller.may_use, aliases.of(name))
            renamed = collection_pb2.Collection(name=name, aliases=named)
        return collection_pb2.RenameCollectionResponse(collection=renamed)

    async def set_search_defaults(
        self, message: collection_pb2.SetSearchDefaultsRequest, request: Request
    ) -> collection_pb2.SetSearchDefaultsResponse:
        """Replaces what a collection's searches use where their request says nothing."""
        defaults = read_search_defaults(
            message.search_defaults, self._models, self._defaults.convex
        )
        summary = await self._collections.change_settings(
            message.collection, lambda settings: with_defaults(settings, defaults), request
        )
        aliases = await self._collections.aliases(request)
        return collection_pb2.SetSearchDefaultsResponse(
            collection=self._message(summary, request.caller, aliases)
        )

    async def update_aliases(
        self, message: collection_pb2.UpdateAliasesRequest, request: Request
    ) -> collection_pb2.UpdateAliasesResponse:
        """Makes, switches and removes aliases, all or none; returns all that the caller may use."""
        if message.changes:
            advice = "change them in several calls"
            check_count("changes", len(message.changes), _MAX_ALIAS_CHANGES, advice)
        changes = [AliasChange(x.alias, x.collection or None) for x in message.changes]
        aliases = await self._collections.update_aliases(changes, request)
        return collection_pb2.UpdateAliasesResponse(
            aliases=[
                collection_pb2.Alias(alias=alias, collection=collection)
                for alias, collection in aliases.items()
                if request.caller.may_use(alias)
            ]
        )

    async def create_snapshot(
        self, message: collection_pb2.CreateSnapshotRequest, request: Request
    ) -> collection_pb2.CreateSnapshotResponse:
        """Copies a collection as it is now."""
        snapshot = await self._collections.create_snapshot(
            message.collection, message.name, request
        )
        return collection_pb2.CreateSnapshotResponse(snapshot=_snapshot_message(snapshot))

    async def list_snapshots(
        self, message: collection_pb2.ListSnapshotsRequest, request: Request
    ) -> collection_pb2.ListSnapshotsResponse:
        """Returns a page of a collection's snapshots, oldest first."""
        page_size = read_count("page_size", message.page_size)
        after = _read_snapshot_token(message.page_token)
        snapshots = await self._collections.list_snapshots(message.collection, request)
        following = [snapshot for snapshot in snapshots if _place(snapshot) > after]
        return await self._translating.run(
            len(following) * _SUMMARY_BYTES,
            _snapshots_page,
            following,
            page_size,
            self._limits.max_answer_bytes,
            request=request,
        )

    async def delete_snapshot(
        self, message: collection_pb2.DeleteSnapshotRequest, request: Request
    ) -> collection_pb2.DeleteSnapshotResponse:
        """Deletes a snapshot."""
        await self._collections.delete_snapshot(message.collection, message.name, request)
        return collection_pb2.DeleteSnapshotResponse()

    async def restore_snapshot(
        self, message: collection_pb2.RestoreSnapshotRequest, request: Request
    ) -> collection_pb2.RestoreSnapshotResponse:
        """Restores a snapshot into a new collection."""
        restored = await self._collections.restore(
            message.collection, message.name, message.new_collection, request
        )
        return collection_pb2.RestoreSnapshotResponse(
            collection=collection_message(restored, self._models)
        )

    def _collections_page(
        self,
        summaries: Sequence[CollectionSummary],
        page_size: int,
        caller: Caller,
        aliases: Aliases,
    ) -> collection_pb2.ListCollectionsResponse:
        messages = (self._message(summary, caller, aliases) for summary in summaries)
        page, has_more = page_that_fits(messages, page_size, self._limits.max_answer_bytes)
        return collection_pb2.ListCollectionsResponse(
            collections=page, next_page_token=page[-1].name if has_more else ""
        )

    def _message(
        self, collection: CollectionSummary, caller: Caller, aliases: Aliases
    ) -> collection_pb2.Collection:
        """A collection as a message, with those of its aliases that the caller may use."""
        own = filter(caller.may_use, aliases.of(collection.name))
        return collection_message(collection, self._models, own)


def _snapshots_page(
    snapshots: Sequence[Snapshot], page_size: int, max_bytes: int
) -> collection_pb2.ListSnapshotsResponse:
    page, has_more = page_that_fits(map(_snapshot_message, snapshots), page_size, max_bytes)
    token = "{}@{}".format(*_place(snapshots[len(page) - 1])) if has_more else ""
    return collection_pb2.ListSnapshotsResponse(snapshots=page, next_page_token=token)


def _place(snapshot: Snapshot) -> tuple[int, str]:
    """The sort key of snapshots: creation time, then name."""
    return snapshot.create_time_us, snapshot.name


def _read_snapshot_token(token: str) -> tuple[int, str]:
    """Reads the sort key after which a page begins."""
    if not token:
        return -1, ""
    if (match := _SNAPSHOT_TOKEN.fullmatch(token)) is None:
        raise InvalidRequestError(
            f"page_token: {token[:64]!r} is no token of ListSnapshots; begin with an empty one"
        )
    return int(match[1]), match[2]


def _snapshot_message(snapshot: Snapshot) -> collection_pb2.Snapshot:
    """A snapshot as a message."""
    message = collection_pb2.Snapshot(
        name=snapshot.name,
        collection=snapshot.collection,
        sequence=snapshot.sequence,
        num_documents=snapshot.num_documents,
        num_bytes=snapshot.num_bytes,
        sha256=snapshot.sha256,
        damaged_reason=snapshot.damaged_reason,
    )
    message.create_time.FromMicroseconds(snapshot.create_time_us)
    return message
