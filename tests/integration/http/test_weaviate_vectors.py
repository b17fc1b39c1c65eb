"""Vectors as Weaviate's module text2vec-transformers asks for them."""

import numpy as np
import pytest

from twopass.client import Client

TEXTS = ["Bees make honey.", "The moon pulls at the sea."]


@pytest.fixture(scope="module")
def expected(http_server):
    with Client(http_server.target) as client:
        return np.array(client.embed(TEXTS).vectors, np.float32)


def test_one_text_gets_a_vector(http, expected):
    """All fields of the module's request, which it sends with their zeros."""
    config = {"pooling_strategy": "masked_mean"}
    body = {"text": TEXTS[0], "dims": 0, "vector": None, "error": "", "config": config}
    answer = http.post("/weaviate/vectors", json=body).json()
    np.testing.assert_array_equal(np.array(answer["vector"], np.float32), expected[0])
    assert (answer["text"], answer["dim"], answer["dims"]) == (TEXTS[0], 384, 384)


def test_many_texts_get_a_vector_each(http, expected):
    body = {"texts": TEXTS, "config": {"task_type": "passage"}}
    answer = http.post("/weaviate/vectors/", json=body).json()
    np.testing.assert_array_equal(np.array(answer["vectors"], np.float32), expected)
    assert answer["dims"] == 384


def test_fewer_dimensions(http, expected):
    body = {"texts": TEXTS, "config": {"task_type": "query", "dimensions": 16}}
    answer = http.post("/weaviate/vectors", json=body).json()
    first = expected[:, :16] / np.linalg.norm(expected[:, :16], axis=1, keepdims=True)
    np.testing.assert_allclose(answer["vectors"], first, atol=1e-6)
    assert answer["dims"] == 16


WRONG = [
    ({"text": ""}, "text: empty"),
    ({"texts": ["a", ""]}, "texts[1]: empty"),
    ({"texts": []}, "texts: none given"),
    ({"text": "a", "config": {"task_type": "image"}}, "config.task_type: 'image' given"),
    ({"text": "a", "config": {"dimensions": 385}}, "config.dimensions: 385 given"),
    ({}, "text: missing"),
]


@pytest.mark.parametrize(("body", "told"), WRONG, ids=[told for _, told in WRONG])
def test_failures_stand_where_the_module_reads_them(http, body, told):
    response = http.post("/weaviate/vectors", json=body)
    assert (response.status_code, set(response.json())) == (400, {"error"})
    assert response.json()["error"].startswith(told)
