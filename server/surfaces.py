"""The surfaces of a server: services of gRPC and endpoints of HTTP, over the same rooms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from twopass.engines.base.sequences import Float32s
from twopass.index.base.store import Store
from twopass.index.fusion import ConvexFusion, ReciprocalRankFusion
from twopass.index.lanes import Lane, Lanes
from twopass.server.collections import Collections
from twopass.server.config import ServerConfig
from twopass.server.config_values import FusionChoice
from twopass.server.edge.gate import Gate
from twopass.server.edge.rpc import Edge
from twopass.server.edge.standard import StandardServices, open_services, service_of
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.http.calls import HttpEdge
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoints import all_endpoints
from twopass.server.http.named_models import NamedModels
from twopass.server.http.origins import Origins
from twopass.server.http.parts import HttpParts
from twopass.server.http.routes import Routes
from twopass.server.http.unpacking import Unpacking
from twopass.server.ingest.documents import Ingest
from twopass.server.models.caches import ByteCache
from twopass.server.models.embedding import Embedding
from twopass.server.models.passages import Limits
from twopass.server.models.registry import Models
from twopass.server.models.texts import EmbedTexts
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.batch import BatchSearching
from twopass.server.search.defaults import RetrieveDefaults
from twopass.server.search.first_pass import FirstPass
from twopass.server.search.parts import SearchParts
from twopass.server.search.pipeline import SearchPipeline
from twopass.server.search.reranking import Reranking
from twopass.server.search.score_cache import ScoreCache
from twopass.server.search.second_pass import SecondPass
from twopass.server.servicers.collections import CollectionDefaults, CollectionServicer
from twopass.server.servicers.embed import EmbedServicer
from twopass.server.servicers.feedback import FeedbackServicer
from twopass.server.servicers.models import ModelServicer
from twopass.server.servicers.report import ReportServicer
from twopass.server.servicers.rerank import RerankServicer
from twopass.server.servicers.search import SearchServicer
from twopass.server.servicers.server import ServerServicer
from twopass.server.servicers.translating import Translating
from twopass.server.shadowing.aftermath import Aftermath, open_shadowing
from twopass.server.shadowing.reordering import ShadowParts
from twopass.server.shadowing.results import ShadowResult
from twopass.server.store_watch import StoreWatch
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.served import TeiParts
from twopass.server.tei.serving import TeiServers, TeiServingParts
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.relevance import Relevance
from twopass.server.telemetry.tracing import Tracer
from twopass.server.workers.worker import WorkerState
from twopass.v1 import (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceParts:
    """What a server holds for all of its calls.

    Attributes:
        config: The settings.
        models: The models.
        arbiter: Feeds their engines.
        tokenizing: Tokenises what calls bring.
        document_tokenizing: Tokenises documents, in threads of its own.
        queries: Embeddings of queries that came lately.
        scores: Scores of pairs that were computed lately.
        store: Keeps the collections.
        store_watch: Knows whether it answers.
        lanes: The store's threads.
        messages: The thread that reads and builds large messages.
        unpacking: The thread that undoes gzip.
        all_lanes: Every lane, to tell of them.
        feedback: What came in on answers.
        aftermath: What follows an answer; its shadows are opened with the surfaces.
        relevance: What second passes changed.
        gate: Admits calls.
        metrics: Where calls are counted.
        tracer: Traces them; None to trace none.
        num_threads: Threads of a forward pass.
        workers: States of the processes apart that compute the models.
        is_well: Whether the server serves.
        grpc_port: Where it listens for gRPC; 0 where that is no port.
    """

    config: ServerConfig
    models: Models
    arbiter: Arbiter
    tokenizing: Tokenizing
    document_tokenizing: Tokenizing
    queries: ByteCache[Float32s]
    scores: ScoreCache
    store: Store
    store_watch: StoreWatch
    lanes: Lanes
    messages: Lane
    unpacking: Lane
    all_lanes: tuple[Lane, ...]
    feedback: FeedbackRecords
    aftermath: Aftermath
    relevance: Relevance
    gate: Gate
    metrics: Metrics
    tracer: Tracer | None
    num_threads: int
    workers: Callable[[], list[WorkerState]]
    is_well: Callable[[], bool]
    grpc_port: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Surfaces:
    """What answers calls.

    Attributes:
        edge: Calls of twopass.v1.
        standard: Health and reflection beside them.
        tei: The ports of tei.v1.
        http: Calls over HTTP, an ASGI application.
    """

    edge: Edge
    standard: StandardServices
    tei: TeiServers
    http: HttpEdge


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rooms:
    """What the surfaces translate into."""

    limits: Limits
    defaults: RetrieveDefaults
    translating: Translating
    collections: Collections
    pipeline: SearchPipeline
    batches: BatchSearching
    reranking: Reranking
    texts: EmbedTexts
    ingest: Ingest
    shadows: Callable[[], Sequence[ShadowResult]]


def open_surfaces(parts: SurfaceParts) -> Surfaces:
    """Joins what a server holds into what answers its calls; nothing listens yet.

    Raises:
        ConfigError: The server does not hold the model of a shadow.
    """
    rooms = _rooms(parts)
    config = parts.config
    make_edge = partial(
        Edge,
        parts.gate,
        parts.metrics,
        parts.tracer,
        open_services=open_services(config),
        max_message_bytes=config.max_message_bytes,
        max_value_bytes=max(config.max_passage_bytes, config.max_query_bytes),
    )
    edge = make_edge()
    servicers = _servicers(parts, rooms)
    services = [service_of(module) for module in servicers]
    for service, servicer in zip(services, servicers.values(), strict=True):
        edge.add_service(service, servicer)
    operations = TeiOperations(
        TeiParts(
            config=config,
            models=parts.models,
            arbiter=parts.arbiter,
            tokenizing=parts.tokenizing,
            reranking=rooms.reranking,
            limits=rooms.limits,
        )
    )
    tei = TeiServers(
        TeiServingParts(
            config=config,
            models=parts.models,
            operations=operations,
            translating=rooms.translating,
            make_edge=make_edge,
        )
    )
    standard = StandardServices(edge, [service.full_name for service in services])
    return Surfaces(edge, standard, tei, _http(parts, rooms, edge, operations))


def _rooms(parts: SurfaceParts) -> _Rooms:
    config, models, arbiter = parts.config, parts.models, parts.arbiter
    limits = Limits(
        max_candidates=config.max_candidates,
        max_documents=config.max_documents,
        max_passage_bytes=config.max_passage_bytes,
        max_query_bytes=config.max_query_bytes,
        max_message_bytes=config.max_message_bytes,
        max_answer_bytes=config.max_answer_bytes,
    )
    embedding = Embedding(arbiter, parts.queries)
    second_pass = SecondPass(arbiter, parts.scores)
    collections = Collections(parts.store, parts.aftermath, on_delete=parts.relevance.forget)
    search_parts = SearchParts(
        models=models,
        arbiter=arbiter,
        tokenizing=parts.tokenizing,
        first_pass=FirstPass(models, arbiter, embedding),
        second_pass=second_pass,
        relevance=parts.relevance,
        defaults=_retrieve_defaults(config),
        observer=parts.aftermath,
    )
    shadowing = open_shadowing(
        config, ShadowParts(models, arbiter, parts.tokenizing, collections), parts.feedback
    )
    parts.aftermath.shadowing = shadowing
    pipeline = SearchPipeline(collections, search_parts)
    return _Rooms(
        limits=limits,
        defaults=search_parts.defaults,
        translating=Translating(parts.messages),
        collections=collections,
        pipeline=pipeline,
        batches=BatchSearching(pipeline, search_parts.first_pass, models),
        reranking=Reranking(models, arbiter, parts.tokenizing, second_pass),
        texts=EmbedTexts(models, arbiter, parts.tokenizing, embedding, limits),
        ingest=Ingest(models, arbiter, parts.document_tokenizing, embedding, parts.messages),
        shadows=shadowing.results,
    )


def _servicers(parts: SurfaceParts, rooms: _Rooms) -> Mapping[ModuleType, object]:
    """The servicers of twopass.v1, by the module of their service."""
    convex = rooms.defaults.convex
    limits, translating = rooms.limits, rooms.translating
    return {
        rerank_pb2: RerankServicer(rooms.reranking, limits, translating),
        search_pb2: SearchServicer(rooms.pipeline, rooms.batches, limits, convex, translating),
        collection_pb2: CollectionServicer(
            rooms.collections,
            parts.models,
            rooms.ingest,
            limits,
            parts.lanes,
            translating,
            CollectionDefaults(parts.config.language, convex),
        ),
        embed_pb2: EmbedServicer(rooms.texts, limits, translating),
        feedback_pb2: FeedbackServicer(
            parts.feedback, rooms.shadows, rooms.collections, limits, translating
        ),
        model_pb2: ModelServicer(parts.models),
        report_pb2: ReportServicer(
            rooms.collections, parts.relevance, parts.feedback, rooms.shadows
        ),
        server_pb2: ServerServicer(
            parts.config,
            parts.store_watch,
            parts.gate,
            parts.arbiter,
            parts.metrics,
            parts.all_lanes,
            num_threads=parts.num_threads,
            workers=parts.workers,
        ),
    }


def _http(parts: SurfaceParts, rooms: _Rooms, edge: Edge, operations: TeiOperations) -> HttpEdge:
    config = parts.config
    unpacking = Unpacking(parts.unpacking)
    endpoints = all_endpoints(
        HttpParts(
            config=config,
            models=parts.models,
            named_models=NamedModels(parts.models, config.http_unknown_model),
            arbiter=parts.arbiter,
            tokenizing=parts.tokenizing,
            reranking=rooms.reranking,
            texts=rooms.texts,
            tei=operations,
            limits=rooms.limits,
            translating=rooms.translating,
            unpacking=unpacking,
            metrics=parts.metrics,
            edge=edge,
            is_well=parts.is_well,
            grpc_port=parts.grpc_port,
        )
    )
    return HttpEdge(
        edge.shared,
        Routes(endpoints, health_is_open=config.open_health),
        Origins(config),
        SHARED,
        unpacking,
        max_body_bytes=min(config.max_http_body_bytes, config.max_message_bytes),
    )


def _retrieve_defaults(config: ServerConfig) -> RetrieveDefaults:
    convex = ConvexFusion(config.fusion_alpha)
    return RetrieveDefaults(
        mode=config.retrieve_mode,
        fusion=ReciprocalRankFusion() if config.fusion is FusionChoice.RRF else convex,
        convex=convex,
    )
