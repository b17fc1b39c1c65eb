"""Classification as Infinity's clients ask for it: the labels of a reranker and their scores."""

import numpy as np
import pytest

from twopass.client import Client
from twopass.server.config import ServerConfig

QUERY, PASSAGES = "Who makes honey?", ["Bees make honey.", "The moon pulls at the sea."]


@pytest.fixture
def classify(http):
    def classify(**body):
        return http.post("/infinity/classify", json={"input": PASSAGES} | body)

    return classify


def test_texts_have_a_score_for_each_label(classify):
    body = classify(model="default/not-specified").json()
    assert (body["object"], body["model"]) == ("classify", ServerConfig().reranker)
    assert len(body["data"]) == len(PASSAGES)
    for labels in body["data"]:
        assert all(0 <= label["score"] <= 1 and label["label"] for label in labels)
    assert body["usage"]["total_tokens"] > 0
    assert body["id"]
    assert body["created"] > 1_700_000_000


def test_pairs_have_the_scores_of_a_rerank(http_server, classify):
    with Client(http_server.target) as client:
        hits = client.rerank(QUERY, PASSAGES).hits
    by_place = sorted(hits, key=lambda hit: hit.index)
    pairs = [[QUERY, passage] for passage in PASSAGES]
    scores = [labels[0]["score"] for labels in classify(input=pairs).json()["data"]]
    np.testing.assert_allclose(scores, [hit.score for hit in by_place], rtol=1e-6)
    raw = [labels[0]["score"] for labels in classify(input=pairs, raw_scores=True).json()["data"]]
    np.testing.assert_allclose(raw, [hit.logit for hit in by_place], rtol=1e-6)


WRONG = [
    ({"input": []}, "input: none given"),
    ({"input": ["a", " "]}, "input[1]: empty"),
    ({"input": "a"}, "input: Expected `array`"),
    ({"input": [["a", "b", "c"]]}, "3 texts given"),
]


@pytest.mark.parametrize(("body", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_is_refused_by_field_and_value(classify, body, told):
    response = classify(**body)
    assert response.status_code == 400
    assert told in response.json()["error"]["message"]


def test_an_encoder_has_no_labels(classify):
    assert classify(model=ServerConfig().encoder).status_code == 404
