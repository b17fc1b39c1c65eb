"""tei.v1.Rerank: the order and the scores of our own rpc, of one request or of a stream."""

from collections.abc import Iterator

import grpc
import pytest

from twopass.tei.v1 import tei_pb2
from twopass.v1 import rerank_pb2

from ..corpus import calibrated
from ..serving import Server
from .asking import QUERY, TEXTS, TIMES, failure


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
    ranks = reranker.rerank.Rerank(request).ranks
    assert sorted(rank.index for rank in ranks) == list(range(len(TEXTS)))
    assert all(rank.text == TEXTS[rank.index] for rank in ranks)


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
