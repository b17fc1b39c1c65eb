"""Passages longer than the model reads: whole by their best window, or cut at their beginning."""

import pytest

from twopass.client import Client, Document, Passage, Rerank, Schema

FILLER = "The committee met on Tuesday and adjourned without a decision. " * 120
ANSWER = "Canberra is the capital city of Australia."
LONG = FILLER + ANSWER + " " + FILLER
QUESTION = "What is the capital of Australia?"


@pytest.fixture(scope="module")
def client(server):
    with Client(server.target) as connected:
        yield connected


def test_rerank_reads_to_the_end_and_says_where_it_found_it(client):
    passages = [FILLER, Passage(LONG, title="Minutes")]
    best = client.rerank(QUESTION, passages, truncation="max_window").hits[0]
    assert best.index == 1
    assert not best.truncated
    whole = f"Minutes {LONG}"
    assert ANSWER in whole[best.window.start : best.window.end]
    assert best.window.end - best.window.start < 4_000
    cut = {hit.index: hit for hit in client.rerank(QUESTION, passages).hits}
    assert cut[1].truncated
    assert cut[1].window is None
    assert cut[1].score < best.score


def test_a_short_passage_is_one_window_with_the_score_it_has_anyway(client):
    (alone,) = client.rerank(QUESTION, [ANSWER]).hits
    (window,) = client.rerank(QUESTION, [ANSWER], truncation="max_window").hits
    assert window.logit == pytest.approx(alone.logit, abs=5e-5)
    assert (window.window.start, window.window.end) == (0, len(ANSWER))


@pytest.fixture
def collection(client):
    """Of documents that are not split."""
    client.create_collection("whole", Schema(whole_documents=True))
    yield "whole"
    client.delete_collection("whole")


def test_search_reads_stored_passages_in_windows(client, collection):
    documents = [Document("long", LONG, title="Minutes"), Document("filler", FILLER)]
    client.upsert(collection, documents)
    found = client.search(
        collection, QUESTION, rerank=Rerank(truncation="max_window", blend=0.0), top_n=2
    )
    best = found.hits[0]
    assert best.id == "long"
    assert ANSWER in f"Minutes {LONG}"[best.span.start : best.span.end]
    assert not best.truncated
    cut = client.search(collection, QUESTION, rerank=Rerank(blend=0.0), top_n=2)
    assert all(hit.span is None and hit.truncated for hit in cut.hits)


def test_what_is_beyond_the_last_token_read_is_marked(client):
    (hit,) = client.rerank(QUESTION, [LONG * 8], truncation="max_window").hits
    assert hit.truncated
