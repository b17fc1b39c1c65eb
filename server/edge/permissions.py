"""Which permission each rpc needs, and what each role may do.

Every rpc that the server registers must be in the table: a missing rpc stops the start, so that no
rpc is open by oversight.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum

from google.protobuf.descriptor import ServiceDescriptor

from twopass.server.request import Role


class Permission(IntEnum):
    """What a caller must be allowed to do; each level includes those below it."""

    OPEN = 0
    """Nothing: no API key is needed."""
    READ = 1
    """Search, read documents, and use the models."""
    WRITE = 2
    """Write and delete documents."""
    ADMIN = 3
    """Create, delete, copy and rename collections and set what their searches use by default, which
    affects other callers."""


PERMISSIONS: Mapping[str, Permission] = {
    "http.unknown": Permission.OPEN,
    "http.openapi": Permission.OPEN,
    "http.docs": Permission.OPEN,
    "http.ui": Permission.OPEN,
    "cohere.v1.rerank": Permission.READ,
    "cohere.v2.rerank": Permission.READ,
    "fireworks.rerank": Permission.READ,
    "llamacpp.rerank": Permission.READ,
    "vllm.rerank": Permission.READ,
    "vllm.score": Permission.READ,
    "nim.ranking": Permission.READ,
    "infinity.rerank": Permission.READ,
    "weaviate.rerank": Permission.READ,
    "weaviate.meta": Permission.READ,
    "weaviate.live": Permission.READ,
    "weaviate.ready": Permission.READ,
    "http.metrics": Permission.READ,
    "openai.embeddings": Permission.READ,
    "openai.models.list": Permission.READ,
    "openai.models.get": Permission.READ,
    "cohere.v1.embed": Permission.READ,
    "cohere.v2.embed": Permission.READ,
    "infinity.embeddings": Permission.READ,
    "infinity.classify": Permission.READ,
    "infinity.models": Permission.READ,
    "infinity.health": Permission.READ,
    "nim.health.live": Permission.READ,
    "nim.health.ready": Permission.READ,
    "nim.metadata": Permission.READ,
    "weaviate.vectors": Permission.READ,
    "twopass.v1.SearchService.Search": Permission.READ,
    "twopass.v1.SearchService.BatchSearch": Permission.READ,
    "twopass.v1.RerankService.Rerank": Permission.READ,
    "twopass.v1.RerankService.RerankStream": Permission.READ,
    "twopass.v1.EmbedService.Embed": Permission.READ,
    "twopass.v1.FeedbackService.ListShadows": Permission.READ,
    # Not READ: keys of readers stand in programs that others hold, and who records feedback decides
    # what reports and tuning call good; what is exported tells what others asked and chose.
    "twopass.v1.FeedbackService.RecordFeedback": Permission.WRITE,
    "twopass.v1.FeedbackService.ExportFeedback": Permission.WRITE,
    "twopass.v1.FeedbackService.DeleteFeedback": Permission.WRITE,
    "twopass.v1.ModelService.ListModels": Permission.READ,
    "twopass.v1.ModelService.GetModel": Permission.READ,
    "twopass.v1.ReportService.GetReport": Permission.READ,
    "twopass.v1.ReportService.ListReports": Permission.READ,
    "twopass.v1.ServerService.GetServerInfo": Permission.READ,
    "twopass.v1.CollectionService.GetCollection": Permission.READ,
    "twopass.v1.CollectionService.ListCollections": Permission.READ,
    "twopass.v1.CollectionService.CountDocuments": Permission.READ,
    "twopass.v1.CollectionService.GetDocuments": Permission.READ,
    "twopass.v1.CollectionService.GetFacets": Permission.READ,
    "twopass.v1.CollectionService.ListDocuments": Permission.READ,
    "twopass.v1.CollectionService.ListSnapshots": Permission.READ,
    "twopass.v1.CollectionService.UpsertDocuments": Permission.WRITE,
    "twopass.v1.CollectionService.UpsertDocumentsStream": Permission.WRITE,
    "twopass.v1.CollectionService.DeleteDocuments": Permission.WRITE,
    "twopass.v1.CollectionService.UpdateMetadata": Permission.WRITE,
    "twopass.v1.CollectionService.CreateCollection": Permission.ADMIN,
    "twopass.v1.CollectionService.DeleteCollection": Permission.ADMIN,
    "twopass.v1.CollectionService.RenameCollection": Permission.ADMIN,
    "twopass.v1.CollectionService.SetSearchDefaults": Permission.ADMIN,
    "twopass.v1.CollectionService.UpdateAliases": Permission.ADMIN,
    "twopass.v1.CollectionService.CreateSnapshot": Permission.ADMIN,
    "twopass.v1.CollectionService.DeleteSnapshot": Permission.ADMIN,
    "twopass.v1.CollectionService.RestoreSnapshot": Permission.ADMIN,
    "twopass.engine.v1.EngineService.Describe": Permission.READ,
    "twopass.engine.v1.EngineService.Compute": Permission.READ,
    "tei.v1.Info.Info": Permission.READ,
    "tei.v1.Embed.Embed": Permission.READ,
    "tei.v1.Embed.EmbedStream": Permission.READ,
    "tei.v1.Embed.EmbedSparse": Permission.READ,
    "tei.v1.Embed.EmbedSparseStream": Permission.READ,
    "tei.v1.Embed.EmbedAll": Permission.READ,
    "tei.v1.Embed.EmbedAllStream": Permission.READ,
    "tei.v1.Predict.Predict": Permission.READ,
    "tei.v1.Predict.PredictPair": Permission.READ,
    "tei.v1.Predict.PredictStream": Permission.READ,
    "tei.v1.Predict.PredictPairStream": Permission.READ,
    "tei.v1.Rerank.Rerank": Permission.READ,
    "tei.v1.Rerank.RerankStream": Permission.READ,
    "tei.v1.Tokenize.Tokenize": Permission.READ,
    "tei.v1.Tokenize.TokenizeStream": Permission.READ,
    "tei.v1.Tokenize.Decode": Permission.READ,
    "tei.v1.Tokenize.DecodeStream": Permission.READ,
    "tei.root": Permission.READ,
    "tei.rerank": Permission.READ,
    "tei.predict": Permission.READ,
    "tei.embed": Permission.READ,
    "tei.embed_all": Permission.READ,
    "tei.embed_sparse": Permission.READ,
    "tei.similarity": Permission.READ,
    "tei.tokenize": Permission.READ,
    "tei.decode": Permission.READ,
    "tei.vertex": Permission.READ,
    "tei.info": Permission.READ,
    "tei.health": Permission.READ,
    "rerank": Permission.READ,
    "grpc.health.v1.Health.Check": Permission.READ,
    "grpc.health.v1.Health.List": Permission.READ,
    "grpc.health.v1.Health.Watch": Permission.READ,
    "grpc.reflection.v1.ServerReflection.ServerReflectionInfo": Permission.READ,
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": Permission.READ,
}
"""By the full name of the rpc, or the name of the endpoint of HTTP. Health and reflection are
opened by `--open-health` and `--open-reflection`."""

_GRANTED = {
    Role.READER: Permission.READ,
    Role.WRITER: Permission.WRITE,
    Role.ADMIN: Permission.ADMIN,
}


class UndeclaredRpcError(Exception):
    """An rpc has no permission in the table, so the server must not start."""


def permissions_of(
    service: ServiceDescriptor, *, open_services: Collection[str] = ()
) -> dict[str, Permission]:
    """The permission that each rpc of a service needs, by the rpc's full name.

    Args:
        service: The service.
        open_services: Full names of the services that need no API key.

    Raises:
        UndeclaredRpcError: The table lacks an rpc of the service.
    """
    names = [method.full_name for method in service.methods]
    _ensure_declared(names)
    is_open = service.full_name in open_services
    return {name: Permission.OPEN if is_open else PERMISSIONS[name] for name in names}


def permission_of(endpoint: str) -> Permission:
    """The permission that an endpoint of HTTP needs.

    Args:
        endpoint: Its name.

    Raises:
        UndeclaredRpcError: The table lacks it.
    """
    _ensure_declared([endpoint])
    return PERMISSIONS[endpoint]


def may(role: Role, permission: Permission) -> bool:
    """Whether a role includes a permission."""
    return permission <= _GRANTED[role]


def roles_with(permission: Permission) -> list[Role]:
    """The roles that include a permission, the least first."""
    return [role for role in Role if may(role, permission)]


def _ensure_declared(names: Iterable[str]) -> None:
    if missing := [name for name in names if name not in PERMISSIONS]:
        raise UndeclaredRpcError(
            f"permissions: {', '.join(missing)} not declared in server/edge/permissions.py"
        )
