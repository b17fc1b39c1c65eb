"""Whether anything here answers: any hit's score against a threshold, and whose threshold it is."""

import json
import shutil

import numpy as np
import pytest

from twopass.client import Client, Rerank, SearchDefaults
from twopass.engines.model.folder import open_model

from .command_line import answer, invoke
from .corpus import RERANKER, fill
from .serving import Server

QUERY = "Which city is the capital of Australia?"


@pytest.fixture
def client(server):
    with Client(server.target) as made:
        yield made


@pytest.fixture
def docs(server, client):
    fill(server, "answers")
    yield "answers"
    client.delete_collection("answers")


def best_score(client, name):
    return max(hit.score for hit in client.search(name, QUERY).hits)


def next_above(score):
    return float(np.nextafter(np.float32(score), np.float32(2)))


def test_without_a_threshold_nothing_is_said(client, facts):
    result = client.search(facts, QUERY)
    assert (result.answerable, result.answer_threshold) == (None, None)


def test_a_score_that_equals_the_threshold_answers_and_the_next_number_does_not(client, facts):
    best = best_score(client, facts)
    for threshold, answers in ((best, True), (next_above(best), False), (0.0, True)):
        result = client.search(facts, QUERY, rerank=Rerank(answer_threshold=threshold))
        assert (result.answerable, result.answer_threshold) == (answers, threshold)


def test_it_leaves_out_no_hit(client, facts):
    plain = client.search(facts, QUERY)
    result = client.search(facts, QUERY, rerank=Rerank(answer_threshold=1.0))
    assert [hit.id for hit in result.hits] == [hit.id for hit in plain.hits]


def test_the_page_that_is_asked_for_does_not_matter(client, facts):
    best = best_score(client, facts)
    wanted = Rerank(answer_threshold=best)
    assert client.search(facts, QUERY, top_n=2, offset=8, rerank=wanted).answerable is True


def test_what_min_score_leaves_out_answers_nothing(client, facts):
    best = best_score(client, facts)
    wanted = Rerank(answer_threshold=0.0, min_score=next_above(best))
    result = client.search(facts, QUERY, rerank=wanted)
    assert (result.hits, result.answerable) == ((), False)


def test_where_nothing_is_found_nothing_answers(client, docs):
    client.delete(docs, [x.id for x in client.documents(docs)])
    assert client.search(docs, QUERY, rerank=Rerank(answer_threshold=0.5)).answerable is False


def test_without_a_second_pass_nothing_is_said(client, docs):
    client.set_search_defaults(docs, SearchDefaults(answer_threshold=0.5))
    result = client.search(docs, QUERY, rerank=False)
    assert (result.answerable, result.answer_threshold) == (None, None)


def test_the_requests_threshold_is_before_the_collections_and_that_before_the_models(tmp_path):
    folder = tmp_path / "reranker"
    shutil.copytree(open_model(RERANKER).path, folder)
    settings = json.loads((folder / "twopass.json").read_text())
    (folder / "twopass.json").write_text(json.dumps(settings | {"answer_threshold": 0.3}))
    assert open_model(str(folder)).spec.revision == open_model(RERANKER).spec.revision
    server = Server(tmp_path / "data", reranker=str(folder))
    with server, Client(server.target) as client:
        fill(server, "docs")
        assert client.search("docs", QUERY).answer_threshold == float(np.float32(0.3))
        client.set_search_defaults("docs", SearchDefaults(answer_threshold=0.5))
        assert client.search("docs", QUERY).answer_threshold == 0.5
        asked = Rerank(answer_threshold=0.75)
        assert client.search("docs", QUERY, rerank=asked).answer_threshold == 0.75


def test_the_command_says_it_plainly(server, client, docs):
    at = ("--target", server.target)
    client.set_search_defaults(docs, SearchDefaults(answer_threshold=1.0))
    assert (
        "Nothing here answers: no score reaches 1.000." in invoke("search", docs, QUERY, *at).stdout
    )
    assert answer("search", docs, QUERY, *at)["answerable"] is False
    client.set_search_defaults(docs, SearchDefaults(answer_threshold=0.0))
    assert "Something here answers" in invoke("search", docs, QUERY, *at).stdout


@pytest.mark.parametrize(
    ("threshold", "given"), [(float("nan"), "NaN"), (2.0, "2"), (-0.5, "-0.5")]
)
def test_a_threshold_that_no_score_can_be_is_refused(client, facts, threshold, given):
    with pytest.raises(Exception, match=rf"rerank\.answer_threshold: {given} given"):
        client.search(facts, QUERY, rerank=Rerank(answer_threshold=threshold))
