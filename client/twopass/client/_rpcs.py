"""The rpcs of the contract, how their messages are coded, and which may be made twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from twopass.v1 import collection_pb2 as collection
from twopass.v1 import embed_pb2 as embed
from twopass.v1 import feedback_pb2 as feedback
from twopass.v1 import model_pb2 as model
from twopass.v1 import report_pb2 as report
from twopass.v1 import rerank_pb2 as rerank
from twopass.v1 import search_pb2 as search
from twopass.v1 import server_pb2 as server

Request = TypeVar("Request")
Response = TypeVar("Response")
RequestMessage = TypeVar("RequestMessage", bound=Message)
ResponseMessage = TypeVar("ResponseMessage", bound=Message)


@dataclass(frozen=True, slots=True)
class Rpc(Generic[Request, Response]):
    """One rpc.

    Attributes:
        service: Full name of its service.
        method: Its name within the service.
        serialize: Turns a request into bytes.
        parse: Turns bytes into a response.
        is_repeatable: Whether sending it twice does what sending it once does.
        is_read: Whether it changes nothing, so that it may even be sent twice at once.
    """

    service: str
    method: str
    serialize: Callable[[Request], bytes]
    parse: Callable[[bytes], Response]
    is_repeatable: bool = False
    is_read: bool = False

    @property
    def path(self) -> str:
        """Its path in gRPC, /service/method."""
        return f"/{self.service}/{self.method}"


def _rpc(
    name: str,
    request: type[RequestMessage],
    response: type[ResponseMessage],
    *,
    is_repeatable: bool = False,
    is_read: bool = False,
) -> Rpc[RequestMessage, ResponseMessage]:
    service, method = name.split(".")
    return Rpc(
        f"twopass.v1.{service}",
        method,
        request.SerializeToString,
        response.FromString,
        is_repeatable or is_read,
        is_read,
    )


SEARCH = _rpc("SearchService.Search", search.SearchRequest, search.SearchResponse, is_read=True)
BATCH_SEARCH = _rpc(
    "SearchService.BatchSearch",
    search.BatchSearchRequest,
    search.BatchSearchResponse,
    is_read=True,
)
RERANK = _rpc("RerankService.Rerank", rerank.RerankRequest, rerank.RerankResponse, is_read=True)
RERANK_STREAM = _rpc(
    "RerankService.RerankStream", rerank.RerankStreamRequest, rerank.RerankStreamResponse
)
EMBED = _rpc("EmbedService.Embed", embed.EmbedRequest, embed.EmbedResponse, is_read=True)
LIST_MODELS = _rpc(
    "ModelService.ListModels",
    model.ListModelsRequest,
    model.ListModelsResponse,
    is_read=True,
)
GET_MODEL = _rpc(
    "ModelService.GetModel", model.GetModelRequest, model.GetModelResponse, is_read=True
)
GET_REPORT = _rpc(
    "ReportService.GetReport", report.GetReportRequest, report.GetReportResponse, is_read=True
)
LIST_REPORTS = _rpc(
    "ReportService.ListReports",
    report.ListReportsRequest,
    report.ListReportsResponse,
    is_read=True,
)
GET_SERVER_INFO = _rpc(
    "ServerService.GetServerInfo",
    server.GetServerInfoRequest,
    server.GetServerInfoResponse,
    is_read=True,
)
# Recording the same feedback again, or deleting it again, changes nothing.
RECORD_FEEDBACK = _rpc(
    "FeedbackService.RecordFeedback",
    feedback.RecordFeedbackRequest,
    feedback.RecordFeedbackResponse,
    is_repeatable=True,
)
EXPORT_FEEDBACK = _rpc(
    "FeedbackService.ExportFeedback",
    feedback.ExportFeedbackRequest,
    feedback.ExportFeedbackResponse,
    is_read=True,
)
DELETE_FEEDBACK = _rpc(
    "FeedbackService.DeleteFeedback",
    feedback.DeleteFeedbackRequest,
    feedback.DeleteFeedbackResponse,
    is_repeatable=True,
)
LIST_SHADOWS = _rpc(
    "FeedbackService.ListShadows",
    feedback.ListShadowsRequest,
    feedback.ListShadowsResponse,
    is_read=True,
)
# Neither creating, renaming nor deleting a collection or a snapshot is repeated: after an answer
# was lost, the second try would fail with ALREADY_EXISTS or NOT_FOUND. Neither is an update of
# aliases, since another client may have switched them meanwhile.
CREATE_COLLECTION = _rpc(
    "CollectionService.CreateCollection",
    collection.CreateCollectionRequest,
    collection.CreateCollectionResponse,
)
DELETE_COLLECTION = _rpc(
    "CollectionService.DeleteCollection",
    collection.DeleteCollectionRequest,
    collection.DeleteCollectionResponse,
)
GET_COLLECTION = _rpc(
    "CollectionService.GetCollection",
    collection.GetCollectionRequest,
    collection.GetCollectionResponse,
    is_read=True,
)
LIST_COLLECTIONS = _rpc(
    "CollectionService.ListCollections",
    collection.ListCollectionsRequest,
    collection.ListCollectionsResponse,
    is_read=True,
)
RENAME_COLLECTION = _rpc(
    "CollectionService.RenameCollection",
    collection.RenameCollectionRequest,
    collection.RenameCollectionResponse,
)
SET_SEARCH_DEFAULTS = _rpc(
    "CollectionService.SetSearchDefaults",
    collection.SetSearchDefaultsRequest,
    collection.SetSearchDefaultsResponse,
)
UPDATE_ALIASES = _rpc(
    "CollectionService.UpdateAliases",
    collection.UpdateAliasesRequest,
    collection.UpdateAliasesResponse,
)
UPSERT_DOCUMENTS_STREAM = _rpc(
    "CollectionService.UpsertDocumentsStream",
    collection.UpsertDocumentsStreamRequest,
    collection.UpsertDocumentsStreamResponse,
)
DELETE_DOCUMENTS = _rpc(
    "CollectionService.DeleteDocuments",
    collection.DeleteDocumentsRequest,
    collection.DeleteDocumentsResponse,
    is_repeatable=True,
)
# Repeated after an answer was lost, it could undo what another client has changed meanwhile.
UPDATE_METADATA = _rpc(
    "CollectionService.UpdateMetadata",
    collection.UpdateMetadataRequest,
    collection.UpdateMetadataResponse,
)
GET_DOCUMENTS = _rpc(
    "CollectionService.GetDocuments",
    collection.GetDocumentsRequest,
    collection.GetDocumentsResponse,
    is_read=True,
)
LIST_DOCUMENTS = _rpc(
    "CollectionService.ListDocuments",
    collection.ListDocumentsRequest,
    collection.ListDocumentsResponse,
    is_read=True,
)
COUNT_DOCUMENTS = _rpc(
    "CollectionService.CountDocuments",
    collection.CountDocumentsRequest,
    collection.CountDocumentsResponse,
    is_read=True,
)
GET_FACETS = _rpc(
    "CollectionService.GetFacets",
    collection.GetFacetsRequest,
    collection.GetFacetsResponse,
    is_read=True,
)
CREATE_SNAPSHOT = _rpc(
    "CollectionService.CreateSnapshot",
    collection.CreateSnapshotRequest,
    collection.CreateSnapshotResponse,
)
LIST_SNAPSHOTS = _rpc(
    "CollectionService.ListSnapshots",
    collection.ListSnapshotsRequest,
    collection.ListSnapshotsResponse,
    is_read=True,
)
DELETE_SNAPSHOT = _rpc(
    "CollectionService.DeleteSnapshot",
    collection.DeleteSnapshotRequest,
    collection.DeleteSnapshotResponse,
)
RESTORE_SNAPSHOT = _rpc(
    "CollectionService.RestoreSnapshot",
    collection.RestoreSnapshotRequest,
    collection.RestoreSnapshotResponse,
)
