"""Scores of pairs at `/score`, as vLLM has them."""

from typing import Any

import httpx
import pytest

from twopass.v1 import rerank_pb2

from ..serving import Server, places_taken

QUERIES = ["How many people live in Berlin?", "What do cats eat?", "Which city is on the Seine?"]
DOCUMENTS = ["Berlin has 3.7 million people.", "Cats eat mice.", "Paris lies on the river Seine."]


def scores(response: httpx.Response) -> list[float]:
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [score["index"] for score in data] == list(range(len(data)))
    return [score["score"] for score in data]


def expected(server: Server, query: str, document: str) -> Any:
    request = rerank_pb2.RerankRequest(query=query, candidates=[{"text": document}])
    return server.rerank(request).hits[0]


@pytest.mark.parametrize("path", ["/score", "/v1/score"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("queries", "documents"), ("queries", "items"), ("data_1", "data_2"), ("text_1", "text_2")],
)
def test_one_text_is_scored_with_many_in_input_order(http, http_server, path, first, second):
    for one in (QUERIES[0], [QUERIES[0]]):
        told = scores(http.post(path, json={first: one, second: DOCUMENTS}))
        assert told == [expected(http_server, QUERIES[0], text).score for text in DOCUMENTS]


def test_as_many_texts_are_scored_each_with_its_own(http, http_server):
    queries, documents = [*QUERIES, QUERIES[0]], [*DOCUMENTS, DOCUMENTS[2]]
    told = scores(http.post("/score", json={"text_1": queries, "text_2": documents}))
    assert told == [
        expected(http_server, query, document).score
        for query, document in zip(queries, documents, strict=True)
    ]


def test_hundreds_of_pairs_keep_their_places(http, http_server):
    queries = [f"How many people live in town {i % 70}?" for i in range(200)]
    documents = [f"Town {i % 90} has {i} people." for i in range(200)]
    told = scores(http.post("/score", json={"text_1": queries, "text_2": documents}))
    for i in (0, 1, 69, 70, 71, 89, 90, 139, 140, 199):
        assert told[i] == expected(http_server, queries[i], documents[i]).score


def test_a_single_pair_may_be_two_texts_or_objects(http, http_server):
    pair = expected(http_server, QUERIES[1], DOCUMENTS[1]).score
    assert scores(http.post("/score", json={"text_1": QUERIES[1], "text_2": DOCUMENTS[1]})) == [
        pair
    ]
    body = {"queries": {"text": QUERIES[1]}, "documents": [{"text": DOCUMENTS[1]}]}
    assert scores(http.post("/score", json=body)) == [pair]


def test_scores_without_activation_are_the_logits(http, http_server):
    body = {"text_1": QUERIES[0], "text_2": DOCUMENTS, "use_activation": False}
    told = scores(http.post("/score", json=body))
    assert told == [expected(http_server, QUERIES[0], text).logit for text in DOCUMENTS]


def test_an_answer_has_the_fields_of_vllm(http):
    body = {"text_1": QUERIES[0], "text_2": DOCUMENTS, "model": "BAAI/bge-reranker-v2-m3"}
    answer = http.post("/score", json=body).json()
    assert set(answer) == {"id", "object", "created", "model", "data", "usage"}
    assert answer["object"] == "list"
    assert answer["model"] == "twopass-minilm-l3"
    assert answer["data"][0].keys() == {"index", "object", "score"}
    assert answer["data"][0]["object"] == "score"
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] > 0


def test_tokens_of_all_pairs_are_counted(http):
    def tokens(queries: list[str], documents: list[str]) -> int:
        body = {"text_1": queries, "text_2": documents}
        count: int = http.post("/score", json=body).json()["usage"]["total_tokens"]
        return count

    alone = [tokens([query], [text]) for query, text in zip(QUERIES, DOCUMENTS, strict=True)]
    assert tokens(QUERIES, DOCUMENTS) == sum(alone)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text_1": "a"}, "queries: no pairs given; queries and documents, text_1 and text_2"),
        ({"text_1": ["a", "b"], "text_2": ["c", "d", "e"]}, "text_1: 2 given, text_2 has 3; one"),
        ({"text_1": ["a", "b"], "text_2": ["c"]}, "text_1: 2 given, text_2 has 1; one"),
        ({"text_1": "a", "text_2": []}, "text_2: none given, at least 1 is needed"),
        ({"text_1": [], "text_2": ["a"]}, "text_1: 0 given, text_2 has 1; one"),
        ({"queries": ["a", " "], "items": ["c", "d"]}, "queries[1]: empty, at least one word"),
        ({"text_1": "a", "text_2": [{"image": "b"}]}, "text_2[0].text: missing, a text is needed"),
        ({"text_1": "a", "text_2": ["b"] * 10_001}, "text_2: 10,001 given, at most 10,000"),
    ],
)
def test_a_bad_request_is_told_its_field_and_the_way_out(http, body, message):
    refused = http.post("/score", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith(message)


def test_pairs_are_admitted_all_or_none(tmp_path):
    settings = {"http_address": "127.0.0.1:0", "max_queued_pairs": 3}
    with Server(tmp_path, **settings) as server, httpx.Client(base_url=server.http_url) as http:
        body = {"text_1": QUERIES, "text_2": DOCUMENTS}
        with places_taken(server, 1):
            assert http.post("/score", json=body).status_code == 429
        assert len(scores(http.post("/score", json=body))) == 3
        too_many = {"text_1": [*QUERIES, "one more"], "text_2": [*DOCUMENTS, "one more"]}
        assert http.post("/score", json=too_many).status_code == 413
        assert len(scores(http.post("/score", json=body))) == 3
