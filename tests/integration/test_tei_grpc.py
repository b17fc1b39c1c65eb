"""tei.v1 over gRPC: one port a model, and on each what a server of TEI does."""

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from twopass.engines.errors import DeviceError
from twopass.server.edge.keys import make_key
from twopass.tei.v1 import tei_pb2
from twopass.v1 import embed_pb2, rerank_pb2

from .corpus import ENCODER, FACTS, RERANKER, calibrated
from .serving import Server, places_taken
from .tei_stubs import TeiStubs

QUERY = "How do I parse a date?"
TEXTS = list(FACTS.values())
SERVICES = ("Info", "Embed", "Predict", "Rerank", "Tokenize")
TIMES = ("total", "tokenization", "queue", "inference")


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Server]:
    """A server with a port for its reranker and one for its encoder."""
    addresses = ["127.0.0.1:0", f"127.0.0.1:0={ENCODER}"]
    with Server(tmp_path_factory.mktemp("tei"), tei_address=addresses, precision="f32") as running:
        yield running


@pytest.fixture(scope="module")
def reranker(served: Server) -> TeiStubs:
    return TeiStubs(served.tei_targets[0])


@pytest.fixture(scope="module")
def encoder(served: Server) -> TeiStubs:
    return TeiStubs(served.tei_targets[1])


def failure(call, *arguments, **options) -> tuple[grpc.StatusCode, str]:
    """The status that a call ends with, and its message."""

    def run() -> None:
        answer = call(*arguments, **options)
        if not isinstance(answer, Message | bytes):
            list(answer)

    with pytest.raises(grpc.RpcError) as raised:
        run()
    return raised.value.code(), raised.value.details()


# --- info, health, reflection ------------------------------------------------


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


# --- rerank ------------------------------------------------------------------


def our_ranks(served: Server, texts: list[str]) -> list[tuple[int, float]]:
    request = rerank_pb2.RerankRequest(
        query=QUERY, candidates=[rerank_pb2.Candidate(text=text) for text in texts]
    )
    return [(hit.index, hit.logit) for hit in served.rerank(request).hits]


def test_texts_are_ordered_as_by_our_own_rpc(served, reranker):
    request = tei_pb2.RerankRequest(query=QUERY, texts=TEXTS, raw_scores=True)
    ranks = reranker.rerank.Rerank(request).ranks
    assert [(rank.index, rank.score) for rank in ranks] == our_ranks(served, TEXTS)
    assert not any(rank.HasField("text") for rank in ranks)


def test_scores_are_calibrated_unless_raw_ones_are_asked_for(served, reranker):
    ranks = reranker.rerank.Rerank(tei_pb2.RerankRequest(query=QUERY, texts=TEXTS)).ranks
    expected = [calibrated(logit) for _, logit in our_ranks(served, TEXTS)]
    assert [rank.score for rank in ranks] == pytest.approx(expected, abs=1e-6)


def test_texts_are_returned_when_asked_for(reranker):
    request = tei_pb2.RerankRequest(query=QUERY, texts=TEXTS, return_text=True)
    for rank in reranker.rerank.Rerank(request).ranks:
        assert rank.text == TEXTS[rank.index]


def test_what_an_answer_took_stands_in_it_and_before_it(reranker):
    query = f"{QUERY} Of all, I mean"  # nobody has asked that before
    request = tei_pb2.RerankRequest(query=query, texts=TEXTS)
    answer, call = reranker.rerank.Rerank.with_call(request)
    metadata, headers = answer.metadata, dict(call.initial_metadata())
    assert metadata.compute_chars == sum(len(query) + len(text) for text in TEXTS)
    assert metadata.compute_tokens > 5 * len(TEXTS)
    assert 0 < metadata.inference_time_ns < metadata.total_time_ns
    assert headers["x-compute-type"] == "cpu+optimized"
    assert headers["x-compute-characters"] == str(metadata.compute_chars)
    assert headers["x-compute-tokens"] == str(metadata.compute_tokens)
    assert headers["x-compute-time"] == headers["x-total-time"]
    for name in TIMES:
        nanoseconds = getattr(metadata, f"{name}_time_ns")
        assert headers[f"x-{name}-time"] == str(nanoseconds // 1_000_000)


def stream_of(texts: list[str], **fields) -> Iterator[tei_pb2.RerankStreamRequest]:
    return iter([tei_pb2.RerankStreamRequest(text=t, **{"query": QUERY} | fields) for t in texts])


@pytest.mark.parametrize("count", [1, 12, 63, 64, 65, 200], ids="texts={}".format)
def test_a_stream_is_ordered_as_one_request(reranker, count):
    texts = [f"{TEXTS[i % len(TEXTS)]} Number {i}." for i in range(count)]
    streamed = reranker.rerank.RerankStream(stream_of(texts))
    together = reranker.rerank.Rerank(tei_pb2.RerankRequest(query=QUERY, texts=texts))
    assert streamed.ranks == together.ranks
    assert streamed.metadata.compute_tokens == together.metadata.compute_tokens
    assert streamed.metadata.compute_chars == together.metadata.compute_chars


def test_equal_texts_of_a_stream_are_in_the_order_in_which_they_came(reranker):
    texts = ["the same"] * 130
    assert [r.index for r in reranker.rerank.RerankStream(stream_of(texts)).ranks] == list(
        range(130)
    )


def test_each_message_of_a_stream_has_a_query_of_its_own(reranker):
    pairs = [("capital of Australia", TEXTS[0]), ("chess", TEXTS[0]), ("chess", TEXTS[-1])]
    messages = [tei_pb2.RerankStreamRequest(query=q, text=t, raw_scores=True) for q, t in pairs]
    by_index = {r.index: r.score for r in reranker.rerank.RerankStream(iter(messages)).ranks}
    for index, (query, text) in enumerate(pairs):
        request = tei_pb2.RerankRequest(query=query, texts=[text], raw_scores=True)
        assert by_index[index] == reranker.rerank.Rerank(request).ranks[0].score


def test_the_first_message_of_a_stream_says_what_is_returned(reranker):
    first = tei_pb2.RerankStreamRequest(query=QUERY, text="a", return_text=True, raw_scores=True)
    second = tei_pb2.RerankStreamRequest(query=QUERY, text="b")
    ranks = {r.index: r for r in reranker.rerank.RerankStream(iter([first, second])).ranks}
    assert [ranks[0].text, ranks[1].text] == ["a", "b"]
    alone = tei_pb2.RerankRequest(query=QUERY, texts=["b"], raw_scores=True)
    assert ranks[1].score == reranker.rerank.Rerank(alone).ranks[0].score


def test_the_end_of_a_stream_carries_what_it_took(reranker):
    answer, call = reranker.rerank.RerankStream.with_call(stream_of(TEXTS))
    headers = dict(call.initial_metadata())
    assert headers["x-compute-tokens"] == str(answer.metadata.compute_tokens)


def test_a_stream_without_a_message_is_an_invalid_argument(reranker):
    code, message = failure(reranker.rerank.RerankStream, iter([]))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "no message" in message


@pytest.mark.parametrize("truncate", [False, True])
def test_a_long_text_is_cut_only_where_that_is_asked_for(reranker, truncate):
    texts = [TEXTS[1] + " and so on" * 2_000, "x"]
    request = tei_pb2.RerankRequest(query=QUERY, texts=texts, truncate=truncate)
    if truncate:
        streamed = stream_of(texts, truncate=True)
        for call, sent in (
            (reranker.rerank.Rerank, request),
            (reranker.rerank.RerankStream, streamed),
        ):
            answer, done = call.with_call(sent)
            assert len(answer.ranks) == 2
            assert dict(done.initial_metadata())["x-twopass-documents-truncated"] == "1"
    else:
        for call, sent in (
            (reranker.rerank.Rerank, request),
            (reranker.rerank.RerankStream, stream_of(texts)),
        ):
            code, message = failure(call, sent)
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            assert message.startswith("Input validation error: ")


def test_no_texts_are_an_invalid_argument(reranker):
    request = tei_pb2.RerankRequest(query=QUERY)
    expected = grpc.StatusCode.INVALID_ARGUMENT, "`texts` cannot be empty"
    assert failure(reranker.rerank.Rerank, request) == expected


# --- embed -------------------------------------------------------------------


def our_embedding(served: Server, text: str) -> np.ndarray:
    answer = served.embed(embed_pb2.EmbedRequest(texts=[text]))
    return np.array(answer.embeddings[0].vector.values)


def test_a_text_is_embedded_as_by_our_own_rpc(served, encoder):
    answer = encoder.embed.Embed(tei_pb2.EmbedRequest(inputs=TEXTS[0]))
    np.testing.assert_allclose(answer.embeddings, our_embedding(served, TEXTS[0]), atol=1e-6)
    assert answer.metadata.compute_chars == len(TEXTS[0])


def test_embeddings_have_length_1_unless_that_is_declined(encoder):
    for asked, is_normal in ((None, True), (True, True), (False, False)):
        request = tei_pb2.EmbedRequest(inputs=TEXTS[0], normalize=asked, dimensions=64)
        length = math.hypot(*encoder.embed.Embed(request).embeddings)
        assert (length == pytest.approx(1, abs=1e-6)) is is_normal


@pytest.mark.parametrize("dimensions", [0, 385])
def test_more_components_than_there_are_are_refused(encoder, dimensions):
    request = tei_pb2.EmbedRequest(inputs="x", dimensions=dimensions)
    code, message = failure(encoder.embed.Embed, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"dimensions: {dimensions} given" in message
    assert "384" in message


def test_a_long_text_is_refused_by_default_and_cut_at_the_end_that_is_named(encoder):
    text = "first " * 300 + "last " * 300
    code, message = failure(encoder.embed.Embed, tei_pb2.EmbedRequest(inputs=text))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "must have less than 256 tokens" in message
    vectors = {}
    for direction in (0, 1):
        request = tei_pb2.EmbedRequest(inputs=text, truncate=True, truncation_direction=direction)
        vectors[direction] = np.array(encoder.embed.Embed(request).embeddings)
    for direction, word in ((0, "first "), (1, "last ")):
        of_word = tei_pb2.EmbedRequest(inputs=word * 254)
        expected = encoder.embed.Embed(of_word).embeddings
        np.testing.assert_allclose(vectors[direction], expected, atol=1e-6)


def test_a_direction_that_does_not_exist_is_refused(encoder):
    request = tei_pb2.EmbedRequest(inputs="x", truncation_direction=7)
    code, message = failure(encoder.embed.Embed, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "truncation_direction: 7 given" in message


def test_a_stream_is_answered_in_the_order_in_which_it_was_sent(encoder):
    """More texts than are under way at once, of unlike lengths."""
    texts = [f"number {i} " + "word " * (i * 37 % 50) for i in range(600)]
    answers = encoder.embed.EmbedStream(tei_pb2.EmbedRequest(inputs=t, dimensions=8) for t in texts)
    streamed = np.array([answer.embeddings for answer in answers])
    assert len(streamed) == len(texts)
    for i in (0, 1, 255, 256, 257, 599):
        request = tei_pb2.EmbedRequest(inputs=texts[i], dimensions=8)
        np.testing.assert_array_equal(streamed[i], encoder.embed.Embed(request).embeddings)


def test_an_answer_of_a_stream_comes_before_the_next_message_is_sent(encoder):
    sent, may_send = [], threading.Semaphore(1)

    def messages():
        for text in ("one", "two", "three"):
            may_send.acquire()
            sent.append(text)
            yield tei_pb2.EmbedRequest(inputs=text)

    for number, answer in enumerate(encoder.embed.EmbedStream(messages()), 1):
        assert len(sent) == number
        assert answer.metadata.compute_tokens == 3
        may_send.release()


def test_a_bad_message_ends_a_stream_after_the_answers_before_it(encoder):
    requests = [tei_pb2.EmbedRequest(inputs=text) for text in ("a", "b", "", "c")]
    answers = []
    with pytest.raises(grpc.RpcError, match="message 3: ") as raised:
        answers.extend(encoder.embed.EmbedStream(iter(requests)))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(answers) in (0, 2)  # `extend` keeps what came before, or nothing


def test_an_empty_stream_has_no_answers(encoder):
    assert list(encoder.embed.EmbedStream(iter([]))) == []
    assert list(encoder.tokenize.TokenizeStream(iter([]))) == []


def test_each_token_of_a_text_is_embedded(served, encoder):
    """The mean of the tokens' vectors, scaled to length 1, is the text's, as the model pools."""
    answer, call = encoder.embed.EmbedAll.with_call(tei_pb2.EmbedAllRequest(inputs=TEXTS[0]))
    tokens = encoder.tokenize.Tokenize(
        tei_pb2.EncodeRequest(inputs=TEXTS[0], add_special_tokens=True)
    ).tokens
    vectors = np.array([token.embeddings for token in answer.token_embeddings])
    assert vectors.shape == (len(tokens), 384)
    assert answer.metadata.compute_tokens == len(tokens)
    assert dict(call.initial_metadata())["x-compute-tokens"] == str(len(tokens))
    mean = vectors.mean(axis=0)
    expected = our_embedding(served, TEXTS[0])
    np.testing.assert_allclose(mean / np.linalg.norm(mean), expected, atol=1e-5)


def test_tokens_of_a_stream_are_embedded_in_order(encoder):
    texts = [" ".join(["word"] * count) for count in range(1, 40)]
    requests = [tei_pb2.EmbedAllRequest(inputs=text) for text in texts]
    counts = [len(a.token_embeddings) for a in encoder.embed.EmbedAllStream(iter(requests))]
    assert counts == [count + 2 for count in range(1, 40)]


def test_a_long_text_has_as_many_vectors_as_the_model_reads_tokens(encoder):
    request = tei_pb2.EmbedAllRequest(inputs="word " * 900)
    assert failure(encoder.embed.EmbedAll, request)[0] is grpc.StatusCode.INVALID_ARGUMENT
    request.truncate = True
    assert len(encoder.embed.EmbedAll(request).token_embeddings) == 256


def test_no_model_weighs_words(encoder, reranker):
    request = tei_pb2.EmbedSparseRequest(inputs="x")
    for stubs in (encoder, reranker):
        calls = (stubs.embed.EmbedSparse, request), (stubs.embed.EmbedSparseStream, iter([request]))
        for call, sent in calls:
            code, message = failure(call, sent)
            assert code is grpc.StatusCode.FAILED_PRECONDITION
            assert "SPLADE" in message


# --- predict -----------------------------------------------------------------


def test_a_pair_is_classified_by_the_score_of_reranking(reranker):
    request = tei_pb2.PredictPairRequest(inputs=[QUERY, TEXTS[1]])
    (prediction,) = reranker.predict.PredictPair(request).predictions
    ranked = reranker.rerank.Rerank(tei_pb2.RerankRequest(query=QUERY, texts=[TEXTS[1]]))
    assert prediction.score == pytest.approx(ranked.ranks[0].score, abs=1e-6)
    assert prediction.label
    request.raw_scores = True
    (raw,) = reranker.predict.PredictPair(request).predictions
    assert calibrated(raw.score) == pytest.approx(prediction.score, abs=1e-6)


def test_pairs_and_texts_of_a_stream_are_answered_in_order(reranker):
    inputs = [[QUERY, TEXTS[1]], [TEXTS[2]], [QUERY, TEXTS[3]]]
    requests = [tei_pb2.PredictPairRequest(inputs=texts, raw_scores=True) for texts in inputs]
    streamed = [a.predictions for a in reranker.predict.PredictPairStream(iter(requests))]
    assert streamed == [reranker.predict.PredictPair(request).predictions for request in requests]
    singles = [tei_pb2.PredictRequest(inputs=text) for text in TEXTS]
    streamed = [a.predictions for a in reranker.predict.PredictStream(iter(singles))]
    assert streamed == [reranker.predict.Predict(request).predictions for request in singles]


@pytest.mark.parametrize("count", [0, 3])
def test_one_text_or_two_are_classified(reranker, count):
    request = tei_pb2.PredictPairRequest(inputs=["x"] * count)
    code, message = failure(reranker.predict.PredictPair, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.endswith(f"`inputs` must have a single or two elements. Given: {count}")


# --- tokenize ----------------------------------------------------------------


def test_tokens_tell_their_part_of_the_text(encoder):
    request = tei_pb2.EncodeRequest(inputs="Hello world", add_special_tokens=True)
    tokens = encoder.tokenize.Tokenize(request).tokens
    assert [(t.id, t.text, t.special) for t in tokens] == [
        (101, "[CLS]", True),
        (7592, "Hello", False),
        (2088, "world", False),
        (102, "[SEP]", True),
    ]
    assert not tokens[0].HasField("start")
    assert [(t.start, t.stop) for t in tokens[1:3]] == [(0, 5), (6, 11)]


def test_special_tokens_are_added_only_when_asked_for(encoder):
    tokens = encoder.tokenize.Tokenize(tei_pb2.EncodeRequest(inputs="Hello")).tokens
    assert [token.id for token in tokens] == [7592]


def test_tokens_become_the_text_again(encoder):
    request = tei_pb2.DecodeRequest(ids=[101, 7592, 2088, 102])
    assert encoder.tokenize.Decode(request).text == "[CLS] hello world [SEP]"
    request.skip_special_tokens = True
    assert encoder.tokenize.Decode(request).text == "hello world"


def test_streams_of_the_tokenizer_keep_their_order(encoder):
    requests = [tei_pb2.EncodeRequest(inputs=f"number {i}") for i in range(300)]
    encoded = list(encoder.tokenize.TokenizeStream(iter(requests)))
    rows = [[token.id for token in answer.tokens] for answer in encoded]
    decoded = encoder.tokenize.DecodeStream(tei_pb2.DecodeRequest(ids=ids) for ids in rows)
    assert [answer.text for answer in decoded] == [f"number {i}" for i in range(300)]


def test_a_prompt_that_does_not_exist_is_refused(encoder):
    for call, request in (
        (encoder.embed.Embed, tei_pb2.EmbedRequest(inputs="x", prompt_name="guess")),
        (encoder.tokenize.Tokenize, tei_pb2.EncodeRequest(inputs="x", prompt_name="guess")),
    ):
        code, message = failure(call, request)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "`guess`" in message


# --- what the edge does for every call ----------------------------------------


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
    with places_taken(small, 10):
        answers = encoder.embed.EmbedStream(tei_pb2.EmbedRequest(inputs=t) for t in TEXTS)
        assert answers.is_active()
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


# --- what TEI itself measures with ---------------------------------------------


def test_the_calls_of_teis_load_scripts_are_answered(encoder):
    """load_tests/load_grpc.js and load_grpc_stream.js: a text of more tokens than are read, cut."""
    text = "approximately 330 metres east of the corner, then " * 60
    request = tei_pb2.EmbedRequest(inputs=text, truncate=True)
    answer, call = encoder.embed.Embed.with_call(request)
    headers = dict(call.initial_metadata())
    assert {f"x-{name}-time" for name in TIMES} <= headers.keys()
    assert headers["x-twopass-texts-truncated"] == "1"
    assert len(answer.embeddings) == 384
    (streamed,) = encoder.embed.EmbedStream(iter([request]))
    assert streamed.embeddings == answer.embeddings
