"""Which fields a request must have, and within which bounds, as far as a schema can say it.

The contract states them in comments and the servicers check them; here they are for readers of the
OpenAPI document. A test sends what is just beyond each to a server, which must refuse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from twopass.server.models.passages import Limits

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "AliasChange": ("alias",),
    "BatchSearchRequest": ("searches",),
    "Chunking": ("window_tokens",),
    "CountDocumentsRequest": ("collection",),
    "CreateCollectionRequest": ("name",),
    "CreateSnapshotRequest": ("collection",),
    "DeleteCollectionRequest": ("name",),
    "DeleteDocumentsRequest": ("collection",),
    "DeleteFeedbackRequest": ("collection",),
    "DeleteSnapshotRequest": ("collection", "name"),
    "Document": ("id",),
    "EmbedRequest": ("texts",),
    "ExportFeedbackRequest": ("collection",),
    "FacetRequest": ("field",),
    "FeedbackEvent": ("document_id", "kind"),
    "FieldCondition": ("field",),
    "GetCollectionRequest": ("name",),
    "GetDocumentsRequest": ("collection", "ids"),
    "GetFacetsRequest": ("collection", "facets"),
    "GetModelRequest": ("id",),
    "IdCondition": ("ids",),
    "IndexedField": ("field",),
    "ListDocumentsRequest": ("collection",),
    "ListSnapshotsRequest": ("collection",),
    "LiteralList": ("values",),
    "RecordFeedbackRequest": ("collection", "events"),
    "RenameCollectionRequest": ("name", "new_name"),
    "RerankRequest": ("query", "candidates"),
    "RestoreSnapshotRequest": ("collection", "name", "new_collection"),
    "SearchRequest": ("collection",),
    "SetSearchDefaultsRequest": ("collection",),
    "UpdateMetadataRequest": ("collection",),
    "UpsertDocumentsRequest": ("collection", "documents"),
    "Vector": ("values",),
}
"""By the name of the message."""

EXACTLY_ONE = frozenset(
    {
        "Condition.condition",
        "FieldCondition.test",
        "Literal.literal",
        "UpdateMetadataRequest.change",
        "WordClause.clause",
    }
)
"""Groups of fields of which one must be given; of other groups at most one may be."""

NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,63}$"
"""Names of collections, aliases and snapshots."""

NAMES = frozenset(
    {
        "AliasChange.alias",
        "CountDocumentsRequest.collection",
        "CreateCollectionRequest.name",
        "CreateSnapshotRequest.collection",
        "DeleteCollectionRequest.name",
        "DeleteDocumentsRequest.collection",
        "DeleteFeedbackRequest.collection",
        "DeleteSnapshotRequest.collection",
        "DeleteSnapshotRequest.name",
        "ExportFeedbackRequest.collection",
        "GetCollectionRequest.name",
        "GetDocumentsRequest.collection",
        "GetFacetsRequest.collection",
        "ListDocumentsRequest.collection",
        "RecordFeedbackRequest.collection",
        "RenameCollectionRequest.name",
        "RenameCollectionRequest.new_name",
        "RestoreSnapshotRequest.new_collection",
        "SearchRequest.collection",
        "SetSearchDefaultsRequest.collection",
        "UpdateMetadataRequest.collection",
        "UpsertDocumentsRequest.collection",
    }
)
"""Fields that are such names; others that may be empty have no pattern."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value of a number, or length of a list.

    Attributes:
        least: None for no bound.
        greatest: None for no bound.
    """

    least: int | None = None
    greatest: int | None = None


NUMBERS: Mapping[str, Bounds] = {
    "Chunking.overlap_tokens": Bounds(0),
    "Chunking.window_tokens": Bounds(16),
    "CollectionSchema.dimension": Bounds(0, 8_192),
    "ConvexFusion.alpha": Bounds(0, 1),
    "EmbedRequest.dimensions": Bounds(0),
    "ExportFeedbackRequest.page_size": Bounds(0, 10_000),
    "FacetRequest.limit": Bounds(0, 10_000),
    "FeedbackEvent.grade": Bounds(0, 100),
    "ListCollectionsRequest.page_size": Bounds(0),
    "ListDocumentsRequest.page_size": Bounds(0, 1_000),
    "ListSnapshotsRequest.page_size": Bounds(0),
    "ReciprocalRankFusion.k": Bounds(0),
    "RerankOptions.blend": Bounds(0, 1),
    "RerankOptions.depth": Bounds(0),
    "RerankRequest.blend": Bounds(0, 1),
    "RerankRequest.top_n": Bounds(0),
    "RetrieveOptions.k": Bounds(0, 2_048),
    "SearchDefaults.blend": Bounds(0, 1),
    "SearchDefaults.depth": Bounds(0),
    "SearchDefaults.k": Bounds(0, 2_048),
    "SearchRequest.offset": Bounds(0, 2_048),
    "SearchRequest.top_n": Bounds(0, 2_048),
}


def lists(limits: Limits) -> Mapping[str, Bounds]:
    """Bounds on the lengths of lists, some of which are the server's settings."""
    return {
        "BatchSearchRequest.searches": Bounds(1, 256),
        "CollectionSchema.indexed_fields": Bounds(0, 64),
        "DeleteDocumentsRequest.ids": Bounds(0, 10_000),
        "DeleteFeedbackRequest.query_ids": Bounds(0, limits.max_documents),
        "EmbedRequest.texts": Bounds(1, limits.max_documents),
        "GetDocumentsRequest.ids": Bounds(1, 1_000),
        "GetFacetsRequest.facets": Bounds(1, 16),
        "IdCondition.ids": Bounds(1, 10_000),
        "LiteralList.values": Bounds(1, 1_000),
        "RecordFeedbackRequest.events": Bounds(1, limits.max_documents),
        "RerankRequest.candidates": Bounds(1, limits.max_candidates),
        "UpdateAliasesRequest.changes": Bounds(0, 1_000),
        "UpdateMetadataRequest.ids": Bounds(0, 10_000),
        "UpsertDocumentsRequest.documents": Bounds(1, limits.max_documents),
        "Vector.values": Bounds(1),
    }
