"""Embeddings on OpenAI's paths, as the clients of each service that shares them send and read."""

import base64
import concurrent.futures

import httpx
import numpy as np
import pytest

from twopass.client import Client
from twopass.server.config import ServerConfig

from ..serving import Server, places_taken

TEXTS = ["Bees make honey.", "What is the capital of Australia?", "The moon pulls at the sea."]
WIDTH, ENCODER, RERANKER = 384, "all-MiniLM-L6-v2", ServerConfig().reranker
LONG = "word " * 600  # the encoder reads 256 tokens
PATHS = ["/v1/embeddings", "/embeddings", "/infinity/embeddings", "/v1/embeddings/"]


@pytest.fixture(scope="module")
def expected(http_server):
    """What the server answers over gRPC."""
    with Client(http_server.target) as client:
        return np.array(client.embed(TEXTS).vectors, np.float32)


@pytest.fixture
def embed(http):
    def embed(path="/v1/embeddings", **body):
        return http.post(path, json={"input": TEXTS} | body)

    return embed


def vectors_of(response) -> np.ndarray:
    assert response.status_code == 200, response.text[:300]
    data = response.json()["data"]
    assert [item["index"] for item in data] == list(range(len(data)))
    return np.array([item["embedding"] for item in data], np.float32)


def refusal(response, status=400) -> str:
    """The message, which every client finds in the field that it reads."""
    assert response.status_code == status, response.text[:300]
    body = response.json()
    message = body["error"]["message"]
    assert body["message"] == body["detail"] == message
    assert body["code"] == body["error"]["code"] == status
    assert body["type"] == body["error"]["type"]
    return message


@pytest.mark.parametrize("path", PATHS)
def test_numbers_are_those_of_grpc_bit_for_bit(embed, expected, path):
    np.testing.assert_array_equal(vectors_of(embed(path, encoding_format="float")), expected)


def test_base64_holds_the_same_numbers(embed, expected):
    data = embed(encoding_format="base64").json()["data"]
    found = [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in data]
    np.testing.assert_array_equal(np.array(found), expected)


def test_an_answer_has_every_field_of_openais(embed):
    body = embed(model="text-embedding-3-small", user="somebody").json()
    assert (body["object"], body["model"]) == ("list", ENCODER)
    assert {item["object"] for item in body["data"]} == {"embedding"}
    assert set(body) == {"object", "data", "model", "usage"}
    # "Bees make honey." is 4 tokens and 2 special ones.
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 3 * 6


def test_infinitys_answers_have_an_id_and_a_time(embed):
    body = embed("/infinity/embeddings", model="default/not-specified", dimensions=0).json()
    assert body["id"]
    assert body["created"] > 1_700_000_000


def test_one_text_needs_no_list(http, expected):
    found = vectors_of(http.post("/v1/embeddings", json={"input": TEXTS[0]}))
    np.testing.assert_array_equal(found, expected[:1])


def test_texts_may_come_in_objects(embed, expected):
    found = vectors_of(embed(input=[{"text": TEXTS[0]}, TEXTS[1], {"text": TEXTS[2]}]))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("field", ["dimensions", "output_dimension"])
def test_fewer_dimensions_are_the_first_scaled_to_length_one(embed, expected, field):
    found = vectors_of(embed(**{field: 100}))
    first = expected[:, :100] / np.linalg.norm(expected[:, :100], axis=1, keepdims=True)
    np.testing.assert_allclose(found, first, rtol=1e-6)


@pytest.mark.parametrize("field", ["normalized", "normalize"])
def test_cut_embeddings_may_keep_their_length(embed, expected, field):
    found = vectors_of(embed(dimensions=8, **{field: False}))
    np.testing.assert_array_equal(found, expected[:, :8])


@pytest.mark.parametrize("kind", ["int8", "uint8", "binary", "ubinary"])
def test_voyages_types_come_as_numbers_and_in_base64(embed, expected, kind):
    dtype = np.dtype(np.uint8 if kind.startswith("u") else np.int8)
    numbers = embed(output_dtype=kind).json()["data"]
    in_base64 = embed(output_dtype=kind, encoding_format="base64").json()["data"]
    for row, (item, encoded) in enumerate(zip(numbers, in_base64, strict=True)):
        found = np.array(item["embedding"], dtype)
        bytes_ = base64.b64decode(encoded["embedding"])
        np.testing.assert_array_equal(np.frombuffer(bytes_, dtype), found)
        if kind.endswith("binary"):
            bits = np.unpackbits(
                (found.astype(int) + (128 if kind == "binary" else 0)).astype("u1")
            )
            np.testing.assert_array_equal(bits, expected[row] > 0)
        else:
            assert len(found) == WIDTH
            less = 128 if kind == "uint8" else 0
            cosine = (found.astype(float) - less) @ expected[row]
            assert cosine / np.linalg.norm(found.astype(float) - less) > 0.999


@pytest.mark.parametrize("kind", ["base64", ["base64"]])
def test_jinas_clients_ask_for_base64_by_a_field_of_their_own(embed, expected, kind):
    data = embed(embedding_type=kind).json()["data"]
    found = np.frombuffer(base64.b64decode(data[0]["embedding"]), "<f4")
    np.testing.assert_array_equal(found, expected[0])


NULLS = ["dimensions", "encoding_format", "input_type", "truncate", "truncation", "user", "model"]


@pytest.mark.parametrize("field", [*NULLS, "output_dtype", "output_dimension", "something"])
def test_null_is_the_same_as_nothing(embed, expected, field):
    np.testing.assert_array_equal(vectors_of(embed(**{field: None})), expected)


def test_unknown_fields_and_odd_content_types_do_no_harm(http, expected):
    body = b'{"input": "Bees make honey.", "unknown": {"a": [1]}}'
    for content_type in ("application/x-www-form-urlencoded", "text/plain", ""):
        response = http.post("/v1/embeddings", content=body, headers={"content-type": content_type})
        np.testing.assert_array_equal(vectors_of(response), expected[:1])


def test_a_long_text_is_cut_and_the_answer_says_so(embed):
    response = embed(input=["short", LONG, LONG])
    assert response.headers["x-twopass-texts-truncated"] == "2"
    assert "x-twopass-texts-truncated" not in embed().headers


def test_half_a_surrogate_pair_is_an_unknown_character(http, embed):
    found = vectors_of(http.post("/v1/embeddings", content=rb'{"input": "bee \ud83d"}'))
    np.testing.assert_array_equal(found, vectors_of(embed(input="bee \ufffd")))


def test_text_of_any_length_and_with_nuls_is_read(embed):
    for kind in ("query", "passage"):
        response = embed(input=["word " * 60_000, "bees\0honey"], input_type=kind)
        assert response.headers["x-twopass-texts-truncated"] == "1"
        words = vectors_of(embed(input=["bees honey"], input_type=kind))
        np.testing.assert_allclose(vectors_of(response)[1], words[0], atol=1e-6)


@pytest.mark.parametrize(
    ("field", "value", "way_out"),
    [
        ("truncate", "NONE", "set truncate to END"),
        ("truncate", False, "set truncate to true"),
        ("truncation", False, "set truncation to true"),
    ],
)
def test_a_long_text_is_refused_where_it_must_not_be_cut(embed, field, value, way_out):
    message = refusal(embed(input=["short", LONG], **{field: value}))
    assert message.startswith("input[1]:")
    assert "254" in message
    assert message.endswith(way_out)


@pytest.mark.parametrize(("truncate", "kept"), [("END", slice(254)), ("START", slice(-254, None))])
def test_a_long_text_is_cut_at_the_side_that_is_asked_for(embed, truncate, kept):
    """Each word is one token, and the encoder reads 256 with the two special ones."""
    words = [
        "bee",
        "honey",
        "moon",
        "sea",
        "tide",
        "city",
        "bread",
        "war",
        "king",
        "ship",
        "gold",
        "rain",
    ] * 30
    whole = vectors_of(embed(input=[" ".join(words)], truncate=truncate))
    read = vectors_of(embed(input=[" ".join(words[kept])], truncate="NONE"))
    np.testing.assert_array_equal(whole, read)


@pytest.mark.parametrize(("most", "num_words"), [(5, 3), (1, 1), (-1, 9), (0, 9), (None, 9)])
def test_vllms_clients_say_how_many_tokens_are_read_special_ones_included(embed, most, num_words):
    words = ["bee", "honey", "moon", "sea", "tide", "city", "bread", "war", "king"]
    cut = vectors_of(embed(input=[" ".join(words)], truncate_prompt_tokens=most))
    read = vectors_of(embed(input=[" ".join(words[:num_words])]))
    np.testing.assert_array_equal(cut, read)


@pytest.mark.parametrize("kind", ["query", "search_query", "passage", "document"])
def test_texts_of_every_kind_are_embedded(embed, expected, kind):
    """The shipped encoder has no prefixes, so queries and passages are read alike."""
    np.testing.assert_allclose(vectors_of(embed(input_type=kind)), expected, atol=1e-6)


def test_a_long_query_is_cut_too(embed):
    response = embed(input=[LONG], input_type="query")
    assert (response.status_code, response.headers["x-twopass-texts-truncated"]) == (200, "1")


WRONG = [
    ({"input": []}, "input: none given, at least 1 is needed"),
    ({"input": ""}, "input: empty"),
    ({"input": ["a", " "]}, "input[1]: empty"),
    ({"input": [1, 2, 3]}, "input[0]: token ids given"),
    ({"input": [[1, 2], [3]]}, "check_embedding_ctx_length=False"),
    ({"input": ["a"] * 2_049}, "input: 2,049 given, at most 2,048"),
    ({"input": None}, "input: Expected"),
    ({"input": ["a", 1.5]}, "input[1]: Expected"),
    ({"input": [{"image": "data:"}]}, "input[0].text: missing"),
    ({"dimensions": 385}, "dimensions: 385 given, embeddings of all-MiniLM-L6-v2 have 384"),
    ({"dimensions": -1}, "dimensions: -1 given"),
    ({"output_dimension": 1_024}, "output_dimension: 1,024 given"),
    ({"dimensions": "8"}, "dimensions: Expected"),
    ({"encoding_format": "binary"}, "encoding_format: 'binary' given, float or base64"),
    ({"output_dtype": "int4"}, "output_dtype: 'int4' given, one of float, int8"),
    ({"embedding_type": ["float", "int8"]}, "embedding_type: 2 given"),
    ({"input_type": "image"}, "input_type: 'image' given"),
    ({"task": "image"}, "task: 'image' given"),
    ({"truncate": "MIDDLE"}, "truncate: 'MIDDLE' given, one of NONE, START, END"),
    ({"modality": "audio"}, "modality: 'audio' given"),
    ({"model": RERANKER}, f"model: {RERANKER} is a reranker, it embeds no texts"),
]


@pytest.mark.parametrize(("body", "told"), WRONG, ids=[str(told) for _, told in WRONG])
def test_what_is_wrong_is_refused_by_field_limit_and_value(embed, body, told):
    status = 404 if "model" in body else 400
    assert told in refusal(embed(**body), status)


def test_openais_clients_are_told_the_field(embed):
    error = embed(dimensions=385).json()["error"]
    assert (error["param"], error["type"]) == ("dimensions", "invalid_request_error")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b"\xff", b'{"model": "a"}'])
def test_a_body_that_is_no_request_is_refused(http, body):
    refusal(http.post("/v1/embeddings", content=body))


def test_a_models_prefix_names_the_model(http, expected):
    path = f"/models/{ENCODER}/v1/embeddings"
    found = vectors_of(http.post(path, json={"input": TEXTS, "model": "unknown"}))
    np.testing.assert_array_equal(found, expected)
    refusal(http.post("/models/nobody/v1/embeddings", json={"input": TEXTS}), 404)


def test_many_large_requests_at_once_are_answered_like_one(http, embed):
    texts = [f"text number {i}" for i in range(300)]
    alone = vectors_of(embed(input=texts))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: vectors_of(embed(input=texts)), range(4)):
            np.testing.assert_array_equal(found, alone)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server whose queue has four places."""
    data = tmp_path_factory.mktemp("narrow")
    with Server(data, http_address="127.0.0.1:0", max_queued_pairs=4) as running:
        yield running


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v2/embed", "/weaviate/vectors"])
def test_a_full_server_says_when_to_try_again(narrow, path):
    body = {"input": ["a", "b"], "texts": ["a", "b"]}
    with httpx.Client(base_url=narrow.http_url) as client:
        with places_taken(narrow, 3):
            response = client.post(path, json=body)
            assert response.status_code == 429
            assert int(response.headers["retry-after"]) >= 1
            assert int(response.headers["retry-after-ms"]) >= 1
            assert "x-should-retry" not in response.headers
        assert client.post(path, json=body).status_code == 200


def test_more_texts_than_there_ever_are_places_are_not_sent_again(narrow):
    with httpx.Client(base_url=narrow.http_url) as client:
        response = client.post("/v1/embeddings", json={"input": ["a"] * 5})
    assert refusal(response, 413).startswith("queue: 5 places asked for, it has 4 in all")
    assert response.headers["x-should-retry"] == "false"
    assert "retry-after" not in response.headers


def test_an_answer_that_would_be_late_is_a_504(narrow):
    narrow.encoder.gate.clear()
    try:
        with httpx.Client(base_url=narrow.http_url) as client:
            headers = {"x-request-timeout-ms": "100"}
            response = client.post("/v1/embeddings", json={"input": "late"}, headers=headers)
    finally:
        narrow.encoder.gate.set()
    refusal(response, 504)
