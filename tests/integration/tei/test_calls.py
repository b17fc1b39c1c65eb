"""What the edge does for every call of tei.v1, and how failures look there."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twopass.engines.errors import DeviceError
from twopass.server.edge.keys import make_key
from twopass.tei.v1 import tei_pb2

from ...waiting import wait_until
from ..corpus import ENCODER
from ..serving import Server, places_taken
from ..tei_stubs import TeiStubs
from .asking import QUERY, TEXTS, failure


def test_an_empty_stream_has_no_answers(encoder):
    assert list(encoder.embed.EmbedStream(iter([]))) == []
    assert list(encoder.tokenize.TokenizeStream(iter([]))) == []


def test_a_prompt_that_does_not_exist_is_refused(encoder):
    for call, request in (
        (encoder.embed.Embed, tei_pb2.EmbedRequest(inputs="x", prompt_name="guess")),
        (encoder.tokenize.Tokenize, tei_pb2.EncodeRequest(inputs="x", prompt_name="guess")),
    ):
        code, message = failure(call, request)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "`guess`" in message


@pytest.mark.parametrize("service", ["rerank", "predict", "embed"])
def test_a_model_of_another_kind_is_a_failed_precondition(reranker, encoder, service):
    pair = tei_pb2.PredictPairRequest(inputs=["a", "b"])
    streamed = tei_pb2.RerankStreamRequest(query="a", text="b")
    calls = {
        "rerank": [
            (encoder.rerank.Rerank, tei_pb2.RerankRequest(query="a", texts=["b"])),
            (encoder.rerank.RerankStream, iter([streamed])),
        ],
        "predict": [
            (encoder.predict.PredictPair, pair),
            (encoder.predict.PredictPairStream, iter([pair])),
        ],
        "embed": [
            (reranker.embed.Embed, tei_pb2.EmbedRequest(inputs="a")),
            (reranker.embed.EmbedStream, iter([tei_pb2.EmbedRequest(inputs="a")])),
            (reranker.embed.EmbedAll, tei_pb2.EmbedAllRequest(inputs="a")),
            (reranker.embed.EmbedAllStream, iter([tei_pb2.EmbedAllRequest(inputs="a")])),
        ],
    }
    for call, request in calls[service]:
        code, message = failure(call, request)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert "odel is not " in message


def test_bytes_that_are_no_message_are_an_invalid_argument(reranker):
    call = reranker.channel.unary_unary("/tei.v1.Rerank/Rerank")
    assert failure(call, b"\xff\xff")[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_an_rpc_that_does_not_exist_is_unimplemented(reranker):
    for path in ("/tei.v1.Rerank/Guess", "/twopass.v1.RerankService/Rerank"):
        code, _ = failure(reranker.channel.unary_unary(path), b"")
        assert code is grpc.StatusCode.UNIMPLEMENTED


def test_an_engine_that_fails_is_a_failed_precondition(served, reranker):
    watched = health_pb2.HealthCheckRequest(service="tei.v1.Rerank")
    told = health_pb2_grpc.HealthStub(reranker.channel).Watch(watched, timeout=60)
    states = health_pb2.HealthCheckResponse
    assert next(told).status == states.SERVING
    served.reranker.failure = DeviceError("the device is gone")
    try:
        request = tei_pb2.RerankRequest(query="a", texts=["b"])
        code, message = failure(reranker.rerank.Rerank, request)
        assert next(told).status == states.NOT_SERVING
    finally:
        served.reranker.failure = None
    assert next(told).status == states.SERVING  # so that the tests after this one find it well
    told.cancel()
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert message.startswith("Backend error: ")
    assert "the device is gone" not in message  # it is in the log


def test_an_engine_that_does_not_answer_is_told_on_its_own_port_alone(tmp_path: Path):
    states = health_pb2.HealthCheckResponse
    addresses = ["127.0.0.1:0", f"127.0.0.1:0={ENCODER}"]
    with Server(tmp_path, tei_address=addresses) as server:
        healths = [health_pb2_grpc.HealthStub(TeiStubs(t).channel) for t in server.tei_targets]
        watched = health_pb2.HealthCheckRequest(service="tei.v1.Rerank")
        told = healths[0].Watch(watched, timeout=60)
        assert next(told).status == states.SERVING
        server.reranker.failure = DeviceError("gone")
        request = tei_pb2.RerankRequest(query="a", texts=["b"])
        failure(TeiStubs(server.tei_targets[0]).rerank.Rerank, request)
        assert next(told).status == states.NOT_SERVING
        embed = health_pb2.HealthCheckRequest(service="tei.v1.Embed")
        assert healths[1].Check(embed).status == states.SERVING
        info = health_pb2.HealthCheckRequest(service="tei.v1.Info")
        assert healths[0].Check(info).status == states.SERVING
        server.reranker.failure = None
        assert next(told).status == states.SERVING
        told.cancel()


def test_a_deadline_ends_calls_that_wait_for_the_engine(tmp_path: Path):
    request = tei_pb2.EmbedRequest(inputs="x")
    with Server(tmp_path, tei_address=[f"127.0.0.1:0={ENCODER}"]) as server:
        embed = TeiStubs(server.tei_targets[0]).embed
        server.encoder.gate.clear()
        streamed = embed.EmbedStream(iter([request]), timeout=0.5)
        code, _ = failure(embed.Embed, request, timeout=0.5)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert failure(lambda: streamed)[0] is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Iterator[Server]:
    """A server with few places."""
    addresses = ["127.0.0.1:0", f"127.0.0.1:0={ENCODER}"]
    data = tmp_path_factory.mktemp("small")
    with Server(data, tei_address=addresses, max_queued_pairs=10) as running:
        yield running


def test_a_full_queue_refuses_a_request(small):
    reranker, encoder = map(TeiStubs, small.tei_targets)
    with places_taken(small, 10):
        for call, request in (
            (reranker.rerank.Rerank, tei_pb2.RerankRequest(query="a", texts=["b"])),
            (encoder.embed.Embed, tei_pb2.EmbedRequest(inputs="a")),
        ):
            assert failure(call, request) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "Model is overloaded",
            )


def test_a_stream_waits_for_places_in_a_full_queue(small):
    encoder = TeiStubs(small.tei_targets[1])
    small.encoder.entered.clear()
    with places_taken(small, 10):
        answers = encoder.embed.EmbedStream(tei_pb2.EmbedRequest(inputs=t) for t in TEXTS)
        wait_until(lambda: small._app._gate.num_calls == 2)  # with the one that holds the places
        assert not small.encoder.entered.is_set()
    assert len(list(answers)) == len(TEXTS)


def test_a_stream_may_be_longer_than_the_queue(small):
    reranker, encoder = map(TeiStubs, small.tei_targets)
    texts = [f"text {i}" for i in range(100)]
    embedded = encoder.embed.EmbedStream(tei_pb2.EmbedRequest(inputs=t) for t in texts)
    assert len(list(embedded)) == 100
    pairs = [tei_pb2.PredictPairRequest(inputs=[QUERY, text]) for text in texts]
    assert len(list(reranker.predict.PredictPairStream(iter(pairs)))) == 100


def test_a_cancelled_stream_frees_its_places(small):
    encoder = TeiStubs(small.tei_targets[1])
    small.encoder.gate.clear()
    small.encoder.entered.clear()
    try:
        answers = encoder.embed.EmbedStream(tei_pb2.EmbedRequest(inputs=t) for t in TEXTS[:10])
        assert small.encoder.entered.wait(10)
        answers.cancel()
    finally:
        small.encoder.gate.set()
    embedded = encoder.embed.EmbedStream(tei_pb2.EmbedRequest(inputs=t) for t in TEXTS[:10])
    assert len(list(embedded)) == 10


def test_keys_and_quotas_hold_on_every_port(tmp_path: Path):
    key, few = make_key(), make_key()
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[[keys]]\nname = "all"\nsha256 = "{key.sha256}"\n'
        f'[[keys]]\nname = "few"\nsha256 = "{few.sha256}"\ncalls_per_second = 0.001\n'
    )
    with Server(tmp_path / "data", tei_address=["127.0.0.1:0"], keys=str(keys)) as server:
        (target,) = server.tei_targets
        for stubs in (TeiStubs(target), TeiStubs(target, api_key=make_key().secret)):
            code, _ = failure(stubs.info, tei_pb2.InfoRequest())
            assert code is grpc.StatusCode.UNAUTHENTICATED
            health = health_pb2_grpc.HealthStub(stubs.channel)  # needs no key, as in TEI
            request = health_pb2.HealthCheckRequest(service="tei.v1.Rerank")
            assert health.Check(request).status == health_pb2.HealthCheckResponse.SERVING
        TeiStubs(target, api_key=key.secret).info(tei_pb2.InfoRequest())
        limited = TeiStubs(target, api_key=few.secret)
        limited.info(tei_pb2.InfoRequest())
        code, message = failure(limited.info, tei_pb2.InfoRequest())
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert message.startswith("calls: the key 'few' may make 0.001 a second")
