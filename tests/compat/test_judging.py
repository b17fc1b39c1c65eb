"""What counts as right: a judge that lets wrong answers pass proves nothing."""

import numpy as np
import pytest

from .judging import judge
from .questions import LONG_QUERY, LONG_TEXT, QUERY, TEXTS
from .relay import Exchange
from .servers import DEFAULT_RERANKER, RERANKER, Reference

SCORES = [(0.1, -2.0), (0.2, -1.5), (0.4, -0.4), (0.9, 2.0), (0.05, -3.0), (0.7, 1.0)]
ORDER = [3, 5, 2, 1, 0, 4]
RANKED = [[index, SCORES[index][0]] for index in ORDER]
VECTORS = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)


@pytest.fixture
def reference():
    others = [(1 - score, -logit) for score, logit in SCORES]
    return Reference(
        {
            (RERANKER, QUERY): SCORES,
            (RERANKER, LONG_QUERY): others,
            (DEFAULT_RERANKER, QUERY): others,
        },
        dict(zip([*TEXTS, LONG_TEXT], VECTORS, strict=True)),
    )


def exchange(status, *, began=1.0, path="/v1/rerank", **headers):
    return Exchange(began, "POST", path, status, began + 0.1, headers)


def answered(check, values, **fields):
    line = {"check": check, "kind": "rerank", "values": values, "model": RERANKER, "scale": "score"}
    return line | fields


def refused(check, name="sdk.Error", status="", message=""):
    return {"check": check, "error": {"class": name, "status": status, "message": message}}


def test_the_best_passages_in_order_are_right(reference):
    assert judge(answered("rerank", RANKED), [], reference).ok
    assert judge(answered("rerank", RANKED[:4]), [], reference).ok


def test_what_was_asked_for_is_told(reference):
    exchanges = [exchange(200, path="/v1/models"), exchange(200), exchange(200)]
    told = judge(answered("rerank", RANKED), exchanges, reference).detail
    assert told == "POST /v1/models, POST /v1/rerank"


@pytest.mark.parametrize(
    "ranked",
    [
        [RANKED[1], RANKED[0], *RANKED[2:]],
        RANKED[:2],
        RANKED[1:5],
        [[3, 0.9 + 3e-6], *RANKED[1:]],
        [[3, float("nan")], *RANKED[1:]],
        [],
    ],
    ids=["order", "too few", "without the best", "score", "no number", "none"],
)
def test_another_ranking_is_wrong(reference, ranked):
    assert judge(answered("rerank", ranked), [], reference).ok is False


def test_logits_count_as_logits_alone(reference):
    logits = [[index, SCORES[index][1]] for index in ORDER]
    assert judge(answered("rerank", logits, scale="logit"), [], reference).ok
    assert judge(answered("rerank", logits), [], reference).ok is False
    assert judge(answered("rerank", RANKED, scale="logit"), [], reference).ok is False


def test_a_foreign_name_is_answered_by_the_default_model(reference):
    line = answered("foreign", RANKED, model="rerank-v3.5")
    assert judge(line, [], reference).ok is False
    other = [[index, 1 - SCORES[index][0]] for index in reversed(ORDER)]
    assert judge(line | {"values": other}, [], reference).ok


def test_embeddings_are_those_of_the_texts_in_order(reference):
    right = VECTORS[:4].tolist()
    line = answered("embed", right, kind="embed")
    assert judge(line, [], reference).ok
    assert judge(line | {"values": right[::-1]}, [], reference).ok is False
    assert judge(line | {"values": right[:3]}, [], reference).ok is False
    assert judge(line | {"values": [row[:4] for row in right]}, [], reference).ok is False
    assert judge(line | {"check": "long", "values": [VECTORS[4].tolist()]}, [], reference).ok


def test_similarities_are_those_of_the_embeddings(reference):
    line = answered("embed: similarity", [(VECTORS[1:4] @ VECTORS[0]).tolist()], kind="embed")
    assert judge(line, [], reference).ok
    assert judge(line | {"values": [[0.5, 0.5, 0.5]]}, [], reference).ok is False


def test_a_refusal_counts_by_the_status_on_the_wire(reference):
    line = refused("model", status="404")
    assert judge(line, [exchange(404)], reference).ok
    assert judge(line, [exchange(500)], reference).ok is False


def test_a_refusal_over_grpc_counts_by_its_code(reference):
    assert judge(refused("key", status="UNAUTHENTICATED"), [], reference).ok
    assert judge(refused("key", status="UNKNOWN"), [], reference).ok is False


def test_an_error_that_is_swallowed_is_wrong(reference):
    assert judge(answered("key", []), [exchange(401)], reference).ok is False


def test_overload_needs_to_say_when_to_try_again(reference):
    told = exchange(429, **{"retry-after": "1"})
    assert judge(refused("load"), [told], reference).ok
    assert judge(refused("load"), [exchange(429)], reference).ok is False


def test_waiting_is_told_beside_what_was_asked_for(reference):
    exchanges = [
        exchange(200, began=0.0),
        exchange(429, began=1.0, **{"retry-after": "2"}),
        exchange(200, began=3.1),
    ]
    result = judge(answered("retry", RANKED), exchanges, reference)
    assert result.ok
    assert result.detail == "tried again after 2.0 s (asked: 2); answered"


def test_what_does_not_apply_is_neither_right_nor_wrong(reference):
    result = judge({"check": "model", "skipped": "names no model"}, [], reference)
    assert (result.ok, result.detail) == (None, "names no model")


def test_a_client_may_find_out_itself_that_a_model_is_unknown(reference):
    listed = exchange(200, path="/v1/models")
    listed.method = "GET"
    assert judge(refused("model"), [listed], reference).ok
    assert judge(refused("model"), [listed, exchange(200)], reference).ok is False
    assert judge(refused("key"), [listed], reference).ok is False
