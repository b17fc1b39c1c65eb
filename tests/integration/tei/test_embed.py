"""tei.v1.Embed: the embeddings of our own rpc, of one text, of a stream, and of each token."""

import math
import threading

import grpc
import numpy as np
import pytest

from twopass.tei.v1 import tei_pb2
from twopass.v1 import embed_pb2

from ..serving import Server
from .asking import TEXTS, TIMES, failure


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
    answers = encoder.embed.EmbedStream(iter(requests))
    assert [len(next(answers).embeddings) for _ in range(2)] == [384, 384]
    with pytest.raises(grpc.RpcError, match="message 3: ") as raised:
        next(answers)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


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
