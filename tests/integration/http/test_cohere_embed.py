"""Embeddings as Cohere's clients ask for them, in both versions."""

import base64

import numpy as np
import pytest

from twopass.client import Client

TEXTS = ["Bees make honey.", "What is the capital of Australia?"]
LONG = "word " * 600
TYPES = ["float", "int8", "uint8", "binary", "ubinary", "base64"]


@pytest.fixture(scope="module")
def expected(http_server):
    with Client(http_server.target) as client:
        return np.array(client.embed(TEXTS).vectors, np.float32)


@pytest.fixture(params=["v1", "v2"])
def version(request):
    return request.param


@pytest.fixture
def embed(http, version):
    def embed(**body):
        asked = {"model": "embed-v4.0", "input_type": "search_document", "texts": TEXTS}
        return http.post(f"/{version}/embed", json=asked | body)

    return embed


def answer_of(response) -> dict:
    assert response.status_code == 200, response.text[:300]
    body = response.json()
    assert body["id"]
    return body


def refusal(response) -> str:
    assert response.status_code == 400, response.text[:300]
    return response.json()["message"]


def test_floats_are_those_of_grpc_bit_for_bit(embed, expected):
    body = answer_of(embed(embedding_types=["float"]))
    assert body["response_type"] == "embeddings_by_type"
    np.testing.assert_array_equal(np.array(body["embeddings"]["float"], np.float32), expected)
    assert body["texts"] == TEXTS


def test_without_types_version_1_has_a_list_and_version_2_floats(embed, expected, version):
    body = answer_of(embed())
    if version == "1" or version == "v1":
        assert body["response_type"] == "embeddings_floats"
        found = body["embeddings"]
    else:
        assert body["response_type"] == "embeddings_by_type"
        found = body["embeddings"]["float"]
    np.testing.assert_array_equal(np.array(found, np.float32), expected)


def test_every_type_comes_under_its_name(embed, expected):
    found = answer_of(embed(embedding_types=TYPES))["embeddings"]
    assert list(found) == TYPES
    in_base64 = [np.frombuffer(base64.b64decode(row), "<f4") for row in found["base64"]]
    np.testing.assert_array_equal(np.array(in_base64), expected)
    bits = np.unpackbits(np.array(found["ubinary"], np.uint8), axis=1)
    np.testing.assert_array_equal(bits, expected > 0)
    np.testing.assert_array_equal(np.array(found["binary"]) + 128, found["ubinary"])
    np.testing.assert_array_equal(np.array(found["int8"]) + 128, found["uint8"])


def test_tokens_are_told_where_langchains_client_reads_them(embed, version):
    meta = answer_of(embed())["meta"]
    assert meta["billed_units"]["input_tokens"] > 6
    assert meta["api_version"]["version"] == version[1:]
    assert "warnings" not in meta


def test_fewer_dimensions(embed, expected):
    body = answer_of(embed(output_dimension=64, embedding_types=["float"]))
    first = expected[:, :64] / np.linalg.norm(expected[:, :64], axis=1, keepdims=True)
    np.testing.assert_allclose(body["embeddings"]["float"], first, rtol=1e-6)


def test_inputs_are_texts_in_parts(embed, expected):
    inputs = [{"content": [{"type": "text", "text": text}]} for text in TEXTS]
    body = answer_of(embed(texts=None, inputs=inputs, embedding_types=["float"]))
    np.testing.assert_array_equal(np.array(body["embeddings"]["float"], np.float32), expected)
    assert body["texts"] == TEXTS


NULLS = ["embedding_types", "truncate", "output_dimension", "inputs", "images", "max_tokens"]


@pytest.mark.parametrize("field", [*NULLS, "priority", "input_type"])
def test_null_is_the_same_as_nothing(embed, field):
    answer_of(embed(**{field: None}))


@pytest.mark.parametrize("kind", ["search_query", "classification", "clustering"])
def test_every_type_of_input_is_embedded(embed, kind):
    answer_of(embed(input_type=kind))


@pytest.mark.parametrize("truncate", [None, "END", "START", "end"])
def test_long_texts_are_cut_and_the_answer_says_so(embed, truncate):
    response = embed(texts=[LONG, "short"], truncate=truncate)
    warnings = answer_of(response)["meta"]["warnings"]
    assert warnings == ["1 of the texts were longer than all-MiniLM-L6-v2 reads, and were cut"]
    assert response.headers["x-twopass-texts-truncated"] == "1"


def test_fewer_tokens_are_read_where_a_request_says_so(embed):
    body = answer_of(embed(texts=["bee honey moon", "bee honey"], max_tokens=2))
    assert body["meta"]["billed_units"]["input_tokens"] == 2 * 4
    assert len(body["meta"]["warnings"]) == 1


def test_long_texts_are_refused_where_they_must_not_be_cut(embed):
    message = refusal(embed(texts=["short", LONG], truncate="NONE"))
    assert message.startswith("texts[1]:")
    assert message.endswith("set truncate to END")


WRONG = [
    ({"texts": None}, "texts: missing"),
    ({"texts": []}, "texts: none given"),
    ({"texts": ["a", ""]}, "texts[1]: empty"),
    ({"texts": ["a", 1]}, "texts[1]: Expected `str`, got `int`"),
    ({"texts": None, "images": ["data:image/png;base64,AA"]}, "images: given"),
    ({"input_type": "image"}, "images: given"),
    ({"input_type": "passages"}, "input_type: 'passages' given"),
    ({"embedding_types": ["float", "int4"]}, "embedding_types: 'int4' given"),
    ({"output_dimension": 385}, "output_dimension: 385 given"),
    ({"truncate": "MIDDLE"}, "truncate: 'MIDDLE' given"),
    (
        {"texts": None, "inputs": [{"content": [{"type": "image_url", "image_url": {}}]}]},
        "inputs[0].content[0]: 'image_url' given",
    ),
]


@pytest.mark.parametrize(("body", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_is_refused_by_field_limit_and_value(embed, body, told):
    assert told in refusal(embed(**body))
