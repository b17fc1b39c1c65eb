"""Health and reflection, by which tools use a server that know nothing of its contract."""

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from .corpus import BLEND, ENCODER, RERANKER
from .serving import Server

SERVICES = {
    "twopass.v1.CollectionService",
    "twopass.v1.EmbedService",
    "twopass.v1.FeedbackService",
    "twopass.v1.ModelService",
    "twopass.v1.ReportService",
    "twopass.v1.RerankService",
    "twopass.v1.SearchService",
    "twopass.v1.ServerService",
}
REFLECTION = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
STANDARD = {"grpc.health.v1.Health", *REFLECTION}


@pytest.mark.parametrize("service", ["", *sorted(SERVICES)], ids=lambda name: name or "all")
def test_every_service_reports_that_it_serves(server, service):
    health = health_pb2_grpc.HealthStub(server.channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_all_services_is_listed(server):
    listed = health_pb2_grpc.HealthStub(server.channel).List(health_pb2.HealthListRequest())
    assert set(listed.statuses) == {"", *SERVICES}
    serving = health_pb2.HealthCheckResponse.SERVING
    assert {each.status for each in listed.statuses.values()} == {serving}


def test_a_service_that_does_not_exist_has_no_health(server):
    health = health_pb2_grpc.HealthStub(server.channel)
    with pytest.raises(grpc.RpcError) as raised:
        health.Check(health_pb2.HealthCheckRequest(service="twopass.v1.Guess"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("content", [b"\x0a\x80\x40" + b"x" * 8_192, b"\xff"], ids=["long", "bad"])
@pytest.mark.parametrize("rpc", ["Check", "List", "Watch"])
def test_what_names_no_service_is_refused_undecoded(server, rpc, content):
    path = f"/grpc.health.v1.Health/{rpc}"
    with pytest.raises(grpc.RpcError) as raised:
        list(server.channel.unary_stream(path)(content))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", REFLECTION)
def test_reflection_refuses_what_is_longer_than_a_name(server, name):
    call = server.channel.stream_stream(f"/{name}/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError, match="8,195 bytes given, at most 4,096") as raised:
        list(call(iter([b"\x22\x80\x40" + b"x" * 8_192])))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module", params=REFLECTION)
def database(server: Server, request) -> ProtoReflectionDescriptorDatabase:
    """What asks the server under one of the two names that reflection has."""
    database = ProtoReflectionDescriptorDatabase(server.channel)
    database._stub.ServerReflectionInfo = server.channel.stream_stream(
        f"/{request.param}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return database


@pytest.fixture(scope="module")
def call(server: Server, database):
    """Calls an rpc with JSON, by what reflection says and nothing else."""
    pool = descriptor_pool.DescriptorPool(database)

    def run(service: str, rpc: str, content: dict) -> dict:
        method = pool.FindServiceByName(service).methods_by_name[rpc]
        request_class = message_factory.GetMessageClass(method.input_type)
        response_class = message_factory.GetMessageClass(method.output_type)
        stub = server.channel.unary_unary(
            f"/{service}/{rpc}", request_class.SerializeToString, response_class.FromString
        )
        request = json_format.ParseDict(content, request_class(), descriptor_pool=pool)
        return json_format.MessageToDict(stub(request), descriptor_pool=pool)

    return run


def test_reflection_lists_every_service(database):
    assert set(database.get_services()) == SERVICES | STANDARD


@pytest.mark.parametrize("name", [*sorted(SERVICES), *sorted(STANDARD)])
def test_reflection_describes_every_service_that_it_lists(database, name):
    pool = descriptor_pool.DescriptorPool(database)
    assert pool.FindServiceByName(name).methods


def test_an_unknown_service_is_not_described(database):
    with pytest.raises(KeyError):
        descriptor_pool.DescriptorPool(database).FindServiceByName("twopass.v1.Guess")


def test_a_search_can_be_made_from_reflection_alone(call, facts):
    answer = call(
        "twopass.v1.SearchService",
        "Search",
        {
            "collection": facts,
            "query": "What is the capital of Australia?",
            "topN": 2,
            "rerank": {"blend": 0.5},
            "timeBudget": "60s",
        },
    )
    assert answer["rerankStatus"] == "RERANK_STATUS_COMPLETE"
    assert answer["hits"][0]["id"] == "canberra"
    assert answer["hits"][0]["metadata"] == {"place": 0}
    assert len(answer["hits"]) == 2


def test_a_rerank_can_be_made_from_reflection_alone(call):
    answer = call(
        "twopass.v1.RerankService",
        "Rerank",
        {"query": "fruit", "candidates": [{"text": "a stone"}, {"text": "an apple, ripe fruit"}]},
    )
    assert [hit.get("index", 0) for hit in answer["hits"]] == [1, 0]


def test_models_are_described_defaults_first(call):
    models = call("twopass.v1.ModelService", "ListModels", {})["models"]
    assert [model["id"] for model in models] == [ENCODER, RERANKER]
    assert all(model["default"] for model in models)
    assert [model["kind"] for model in models] == ["MODEL_KIND_ENCODER", "MODEL_KIND_RERANKER"]
    assert models[0]["dimension"] == 384
    assert models[1]["blend"] == BLEND
    assert [model["maxSeqLen"] for model in models] == [256, 512]
    assert [model.get("maxPassageTokens") for model in models] == [None, 240]
    one = call("twopass.v1.ModelService", "GetModel", {"id": RERANKER})
    assert one["model"] == models[1]
