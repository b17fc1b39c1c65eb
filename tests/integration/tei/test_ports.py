"""One port a model: what each tells of itself."""

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from twopass.tei.v1 import tei_pb2

from ..corpus import ENCODER, RERANKER
from ..tei_stubs import TeiStubs

SERVICES = ("Info", "Embed", "Predict", "Rerank", "Tokenize")


def test_each_port_tells_its_model_and_its_kind(reranker, encoder):
    ranks, embeds = (stubs.info(tei_pb2.InfoRequest()) for stubs in (reranker, encoder))
    assert (ranks.model_id, ranks.model_type) == (RERANKER, tei_pb2.MODEL_TYPE_RERANKER)
    assert (embeds.model_id, embeds.model_type) == (ENCODER, tei_pb2.MODEL_TYPE_EMBEDDING)
    assert embeds.model_dtype == "float32"
    assert len(embeds.model_sha) == 64
    assert embeds.max_input_length == 256
    assert min(embeds.max_client_batch_size, embeds.max_batch_tokens) > 0
    assert not embeds.HasField("max_batch_requests")


def test_health_is_that_of_the_ports_model(reranker, encoder):
    def serving(stubs: TeiStubs) -> dict[str, bool]:
        check = health_pb2_grpc.HealthStub(stubs.channel).Check
        names = {name: f"tei.v1.{name}" for name in SERVICES} | {"": ""}
        answers = {n: check(health_pb2.HealthCheckRequest(service=s)) for n, s in names.items()}
        return {n: a.status == health_pb2.HealthCheckResponse.SERVING for n, a in answers.items()}

    well = {"": True, "Info": True, "Tokenize": True}
    assert serving(reranker) == well | {"Embed": False, "Predict": True, "Rerank": True}
    assert serving(encoder) == well | {"Embed": True, "Predict": False, "Rerank": False}


def test_reflection_lists_the_services_and_has_their_messages(reranker):
    database = ProtoReflectionDescriptorDatabase(reranker.channel)
    names = set(database.get_services())
    assert {f"tei.v1.{name}" for name in SERVICES} <= names
    assert not [name for name in names if name.startswith("twopass")]
    file = database.FindFileContainingSymbol("tei.v1.RerankRequest")
    assert file.package == "tei.v1"
