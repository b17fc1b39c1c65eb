"""Queries longer than a model reads: cut and told of, or refused, over every rpc that has one."""

import grpc
import numpy as np
import pytest

from twopass.client import (
    CandidateSet,
    Client,
    InvalidArgumentError,
    Passage,
    Rerank,
    Retrieve,
    Search,
)
from twopass.v1 import embed_pb2, rerank_pb2
from twopass.v1.rerank_pb2 import Candidate, RerankRequest

from .serving import SetCall

REJECT = rerank_pb2.QUERY_TRUNCATION_REJECT
QUESTION = "What is the capital of Australia?"
PASSAGES = ("Canberra is the capital of Australia.", "Sydney is its largest city.", "The sky.")
# The encoder reads 253 tokens of a query and the reranker 256.
LONG = f"{QUESTION} {'Is it so? ' * 90}"


@pytest.fixture(scope="module")
def client(server):
    with Client(server.target) as connected:
        yield connected


def rerank(server, query, **fields):
    candidates = [Candidate(text=text) for text in PASSAGES]
    return server.rerank(RerankRequest(query=query, candidates=candidates, **fields))


def logits(response):
    return [hit.logit for hit in sorted(response.hits, key=lambda hit: hit.index)]


def test_a_long_query_is_scored_by_its_beginning(server):
    long = rerank(server, LONG)
    beginning = rerank(server, f"{QUESTION} {'Is it so? ' * 62}Is")  # 7 + 4 * 62 + 1 = 256 tokens
    assert long.query_truncated
    assert not beginning.query_truncated
    assert logits(long) == pytest.approx(logits(beginning), abs=5e-5)


@pytest.mark.parametrize(("num_words", "is_cut"), [(255, False), (256, False), (257, True)])
def test_a_query_is_cut_exactly_beyond_what_the_model_reads(server, num_words, is_cut):
    query = "word " * num_words
    assert rerank(server, query).query_truncated == is_cut
    if is_cut:
        with pytest.raises(grpc.RpcError, match="query: 257 tokens of"):
            rerank(server, query, query_truncation=REJECT)
    else:
        assert not rerank(server, query, query_truncation=REJECT).query_truncated


def test_a_set_of_a_stream_is_answered_likewise(server):
    call = SetCall(server)
    call.send("cut", *PASSAGES, query=LONG, num_candidates=3)
    call.send("refused", *PASSAGES, query=LONG, num_candidates=3, query_truncation=REJECT)
    call.send("whole", *PASSAGES, query=QUESTION, num_candidates=3, query_truncation=REJECT)
    answers = {answer.set_id: answer for answer in (call.next() for _ in range(3))}
    assert answers["cut"].result.query_truncated
    assert logits(answers["cut"].result) == pytest.approx(logits(rerank(server, LONG)), abs=5e-5)
    assert "query: " in answers["refused"].error.message
    assert not answers["whole"].result.query_truncated
    call.end()


@pytest.mark.parametrize("mode", ["dense", "hybrid", "lexical"])
def test_a_search_says_whether_a_model_that_read_the_query_cut_it(client, facts, mode):
    def cut(query: str, *, second_pass: bool) -> bool:
        return client.search(facts, query, retrieve=mode, rerank=second_pass).query_truncated

    embeds = mode != "lexical"
    assert not cut(QUESTION, second_pass=True)
    assert cut(LONG, second_pass=True)
    assert cut(LONG, second_pass=False) == embeds
    assert cut("word " * 255, second_pass=False) == embeds
    assert cut("word " * 255, second_pass=True) == embeds  # the reranker reads all of it
    assert cut("word " * 257, second_pass=True)


def test_a_query_cut_for_both_models_is_read_by_each_to_its_own_limit(client, facts):
    for num_words in (245, 246, 248, 249):  # Sydney is token 253, 254, 256 and 257
        query = f"{QUESTION} {'so ' * num_words}Sydney {'so ' * 20}"
        found = client.search(facts, query, rerank=Rerank(blend=0.0), retrieve=Retrieve("dense"))
        passages = [Passage(hit.text, title=hit.title) for hit in found.hits]
        alone = client.rerank(query, passages)
        assert found.query_truncated
        assert [hit.logit for hit in found.hits] == pytest.approx(
            [hit.logit for hit in sorted(alone.hits, key=lambda hit: hit.index)], abs=5e-5
        )


def test_search_by_words_reads_the_words_that_no_model_reads(client, facts):
    last = client.search(facts, f"{'so ' * 400}Canberra", retrieve="lexical", rerank=False)
    assert last.hits[0].id == "canberra"
    hybrid = client.search(facts, f"{'so ' * 400}Canberra", rerank=False)
    assert [hit.id for hit in hybrid.hits if hit.lexical_rank] == [hit.id for hit in last.hits]
    assert hybrid.query_truncated


def test_each_search_of_a_batch_has_its_own_word(client, facts):
    found = client.batch_search(
        [
            Search(collection=facts, query=LONG),
            Search(collection=facts, query=LONG, query_truncation="reject"),
            Search(collection=facts, query=QUESTION, query_truncation="reject"),
        ]
    )
    assert found[0].result().query_truncated
    assert isinstance(found[1].error, InvalidArgumentError)
    assert not found[2].result().query_truncated
    alone = client.search(facts, LONG)
    assert [hit.id for hit in found[0].result().hits] == [hit.id for hit in alone.hits]


def test_a_query_to_embed_is_cut_and_marked(server, client):
    request = embed_pb2.EmbedRequest(
        texts=[QUESTION, LONG, LONG + "Sydney"], role=embed_pb2.EMBED_ROLE_QUERY
    )
    for _ in range(2):  # the second time the embeddings are remembered
        answer = server.embed(request)
        assert [embedding.truncated for embedding in answer.embeddings] == [False, True, True]
    _, long, longer = (list(embedding.vector.values) for embedding in answer.embeddings)
    assert np.dot(long, longer) == pytest.approx(1, abs=1e-5)
    told = client.embed([LONG], role="query").truncated
    assert told == (True,)


def test_the_client_refuses_what_is_not_to_be_cut(client, facts):
    with pytest.raises(InvalidArgumentError, match=r"query: \d+ tokens of"):
        client.rerank(LONG, PASSAGES, query_truncation="reject")
    with pytest.raises(InvalidArgumentError, match=r"query: \d+ tokens of"):
        client.search(facts, LONG, query_truncation="reject")
    with pytest.raises(InvalidArgumentError, match=r"texts\[0\]: \d+ tokens of"):
        client.embed([LONG], role="query", query_truncation="reject")
    assert client.rerank(LONG, PASSAGES, query_truncation="truncate").query_truncated
    sets = [
        CandidateSet(how, LONG, PASSAGES, query_truncation=how) for how in ("reject", "truncate")
    ]
    answers = {answer.set_id: answer for answer in client.rerank_stream(sets)}
    assert isinstance(answers["reject"].error, InvalidArgumentError)
    assert answers["truncate"].result().query_truncated


def test_bytes_of_a_query_are_bounded_whatever_is_cut(client):
    with pytest.raises(InvalidArgumentError, match=r"query: 20,000 bytes .* at most 16,384"):
        client.rerank("a" * 20_000, PASSAGES)
