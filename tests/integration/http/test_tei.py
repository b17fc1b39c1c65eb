import math
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.engines.errors import DeviceError
from twopass.server.edge.keys import make_key

from ..serving import Server

ENCODER = "/models/all-MiniLM-L6-v2"
RERANKER = "/models/twopass-minilm-l3"
QUERY = "What is deep learning?"
TEXTS = ["Cheese is made of milk.", "Deep learning is a kind of machine learning.", ""]
TIMES = ("x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time")
INFO = {
    "model_id",
    "model_sha",
    "model_dtype",
    "served_model_name",
    "model_type",
    "max_concurrent_requests",
    "max_input_length",
    "max_batch_tokens",
    "max_batch_requests",
    "max_client_batch_size",
    "auto_truncate",
    "tokenization_workers",
    "version",
    "sha",
    "docker_label",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("tei")
    with Server(
        data, http_address="127.0.0.1:0", max_candidates=20, max_documents=20, max_queued_pairs=30
    ) as server:
        yield server


@pytest.fixture(scope="module")
def small_answers(tmp_path_factory):
    data = tmp_path_factory.mktemp("small")
    with (
        Server(data, http_address="127.0.0.1:0", max_message_bytes=8_192) as server,
        httpx.Client(base_url=server.http_url, timeout=30) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.http_url, timeout=30) as client:
        yield client


def post(http, path, **body):
    return http.post(path, json=body)


def told(answer):
    """The status, the type and the text of a failure."""
    body = answer.json()
    return answer.status_code, body["error_type"], body["error"]


def test_rerank_answers_a_bare_list_with_the_best_first(http):
    answer = post(http, "/rerank", query=QUERY, texts=TEXTS)
    ranks = answer.json()
    assert ranks[0].keys() == {"index", "score"}
    assert ranks[0]["index"] == 1
    assert [rank["score"] for rank in ranks] == sorted((r["score"] for r in ranks), reverse=True)
    assert all(0 < rank["score"] < 1 for rank in ranks)


def test_rerank_takes_what_clients_send_and_tei_ignores(http):
    ranks = post(
        http,
        "/rerank",
        query=QUERY,
        texts=TEXTS,
        truncate=None,
        truncation_direction="Right",
        raw_scores=True,
        return_text=True,
        top_n=2,
        model="BAAI/bge-reranker-base",
        unknown={"a": [1]},
    ).json()
    assert len(ranks) == 2
    assert ranks[0]["text"] == TEXTS[1]


def test_rerank_is_told_from_that_of_others_by_its_texts(http):
    others = post(http, "/rerank", query=QUERY, documents=TEXTS).json()
    own = post(http, "/rerank", query=QUERY, texts=TEXTS).json()
    assert [r["index"] for r in others["results"]] == [r["index"] for r in own]


def test_a_long_query_is_cut_and_said_to_be_so_or_refused(http):
    chat = {"query": QUERY + " word" * 600, "texts": TEXTS}
    answer = post(http, "/rerank", **chat)
    assert (answer.status_code, answer.headers["x-twopass-query-truncated"]) == (200, "1")
    assert "x-twopass-query-truncated" not in post(http, "/rerank", query="a", texts=TEXTS).headers
    status, kind, text = told(post(http, "/rerank", **chat, truncate=False))
    assert (status, kind) == (422, "Validation")
    assert text.startswith("Input validation error: query: 60")


def test_answers_tell_what_they_took(http):
    headers = post(http, "/rerank", query=QUERY, texts=TEXTS).headers
    assert headers["x-compute-characters"] == str(3 * len(QUERY) + sum(map(len, TEXTS)))
    assert int(headers["x-compute-tokens"]) > 20
    assert all(headers[name].isdecimal() for name in (*TIMES, "x-inference-time"))
    assert "+optimized" in headers["x-compute-type"]


@pytest.mark.parametrize(
    ("inputs", "count"),
    [
        ("hello", 1),
        (["hello"], 1),
        (["hello", "world"], 2),
        ([101, 7592, 102], 1),
        ([[101, 7592, 102], "hello"], 2),
    ],
    ids=str,
)
def test_embed_answers_a_list_of_vectors_whatever_the_form_of_its_inputs(http, inputs, count):
    vectors = post(http, "/embed", inputs=inputs, normalize=None, prompt_name=None).json()
    assert len(vectors) == count
    assert all(math.isclose(np.linalg.norm(vector), 1, rel_tol=1e-3) for vector in vectors)
    np.testing.assert_allclose(vectors[0], post(http, "/embed", inputs="hello").json()[0])


@pytest.mark.parametrize(
    "inputs", [["a", 1], [1, [2]], [["a"]], {"a": 1}, 7, [True], [1.5], None], ids=str
)
def test_embed_refuses_other_inputs_as_axum_does(http, inputs):
    answer = post(http, "/embed", inputs=inputs)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("Failed to deserialize the JSON body into the target type: inp")


def test_embed_returns_as_many_dimensions_as_are_asked_for(http):
    [vector] = post(http, "/embed", inputs="hello", dimensions=128).json()
    assert len(vector) == 128
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_embed_all_answers_a_vector_for_each_token(http):
    texts = post(http, "/embed_all", inputs=["hello world", "hello"]).json()
    assert [np.shape(text) for text in texts] == [(4, 384), (3, 384)]


def test_similarity_answers_a_list_of_numbers(http):
    body = {"source_sentence": "a cat", "sentences": ["a cat", "a rocket"]}
    same, other = post(http, "/similarity", inputs=body, parameters={"truncate": True}).json()
    assert same == pytest.approx(1)
    assert other < 0.5


@pytest.mark.parametrize(
    ("inputs", "shape"),
    [
        ("text", None),
        (["query", "text"], None),
        ([["query", "text"]], 1),
        ([["text"], ["query", "text"]], 2),
    ],
    ids=str,
)
def test_predict_answers_labels_or_a_list_of_them(http, inputs, shape):
    found = post(http, "/predict", inputs=inputs).json()
    labels = [found] if shape is None else found
    assert len(labels) == (shape or 1)
    assert all(each[0].keys() == {"score", "label"} for each in labels)
    assert labels[0][0]["label"] == "LABEL_0"


@pytest.mark.parametrize("inputs", [[], ["a", "b", "c"], ["a", ["b"]], [1]], ids=str)
def test_predict_refuses_other_inputs(http, inputs):
    assert post(http, "/predict", inputs=inputs).status_code == 422


def test_tokenize_and_decode_undo_each_other(http):
    [tokens] = post(http, "/tokenize", inputs="hello, world!").json()
    assert tokens[0] == {"id": 101, "text": "[CLS]", "special": True, "start": None, "stop": None}
    assert tokens[1] == {"id": 7592, "text": "hello", "special": False, "start": 0, "stop": 5}
    ids = [token["id"] for token in tokens]
    assert post(http, "/decode", ids=ids).json() == ["hello, world!"]
    assert post(http, "/decode", ids=[ids, [7592]]).json() == ["hello, world!", "hello"]
    assert post(http, "/decode", ids=[101], skip_special_tokens=False).json() == ["[CLS]"]


def test_tokens_that_fit_no_answer_are_refused_with_limit_value_and_way_out(http):
    status, kind, text = told(post(http, "/tokenize", inputs=["!" * 2**18] * 4))
    assert (status, kind) == (422, "Validation")
    assert text == (
        "Input validation error: inputs: the 1,048,584 tokens of 4 texts take 93,323,968 bytes, "
        "at most 67,108,864 may be in one answer (max_message_bytes); send fewer or shorter texts "
        "at once"
    )
    assert len(post(http, "/tokenize", inputs="!" * 2**18).json()[0]) == 2**18 + 2


def test_answers_of_several_requests_in_one_fit_an_answer_together(small_answers):
    instance = {"inputs": "!" * 100}
    assert post(small_answers, "/vertex", instances=[instance]).status_code == 200
    status, kind, text = told(post(small_answers, "/vertex", instances=[instance] * 3))
    assert (status, kind) == (422, "Validation")
    assert "instances: their answers take" in text
    assert "at most 8,192 may be in one answer" in text


@pytest.mark.parametrize(
    ("path", "kind"), [("", "reranker"), (ENCODER, "embedding"), (RERANKER, "reranker")]
)
def test_info_describes_the_model_of_the_path_with_every_key(http, path, kind):
    info = http.get(f"{path}/info").json()
    assert info.keys() == INFO
    assert list(info["model_type"]) == [kind]
    assert info["max_client_batch_size"] == 20


@pytest.mark.parametrize("path", ["/health", "/ping", "/", f"{ENCODER}/health"])
def test_health_is_an_empty_answer(http, path):
    answer = http.get(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_root_does_what_the_body_asks_for(http):
    embedded = post(http, "/", inputs="hello").json()
    assert embedded == post(http, "/embed", inputs="hello").json()
    assert post(http, "/", inputs=["hello"]).json() == embedded
    assert post(http, ENCODER, inputs=["hello"]).json() == embedded
    ranks = post(http, "/", query=QUERY, texts=TEXTS).json()
    assert ranks == post(http, "/rerank", query=QUERY, texts=TEXTS).json()
    compared = {"source_sentence": "a", "sentences": ["a"]}
    assert post(http, "/invocations", inputs=compared).json() == [pytest.approx(1)]
    for path, inputs in (("/", [["a", "b"]]), (RERANKER, [["a", "b"]])):
        assert len(post(http, path, inputs=inputs).json()[0]) == 1
    assert post(http, RERANKER, inputs=["a", "b"]).json()[0]["label"] == "LABEL_0"


def test_vertex_answers_requests_of_any_kind(http):
    instances = [{"inputs": "hello"}, {"query": QUERY, "texts": TEXTS}, {"inputs": [["a", "b"]]}]
    answer = post(http, "/vertex", instances=instances).json()
    alone = [post(http, "/", **instance).json() for instance in instances]
    assert answer == {"predictions": alone}


def test_vertex_tells_the_failure_of_one_request(http):
    answer = post(http, "/vertex", instances=[{"inputs": "hello"}, {"inputs": ""}])
    assert told(answer)[:2] == (400, "Empty")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/rerank", {"query": "a", "texts": []}, (400, "Empty", "`texts` cannot be empty")),
        ("/embed", {"inputs": []}, (400, "Empty", "`inputs` cannot be empty")),
        (
            "/embed",
            {"inputs": ""},
            (400, "Empty", "Input validation error: `inputs` cannot be empty"),
        ),
        (
            "/rerank",
            {"query": "a", "texts": ["a"] * 21},
            (422, "Validation", "batch size 21 > maximum allowed batch size 20"),
        ),
        (
            "/embed",
            {"inputs": "word " * 300, "truncate": False},
            (
                422,
                "Validation",
                "Input validation error: `inputs` must have less than 256 tokens. Given: 302",
            ),
        ),
        (
            "/embed",
            {"inputs": "a", "prompt_name": "query"},
            (
                422,
                "Validation",
                "Input validation error: `default-prompt-name` is set to `query` but no prompts "
                "were found in the Sentence Transformers configuration",
            ),
        ),
        (
            f"{ENCODER}/rerank",
            {"query": "a", "texts": ["a"]},
            (424, "Backend", "Backend error: model is not a re-ranker model"),
        ),
        (
            f"{RERANKER}/embed",
            {"inputs": "a"},
            (424, "Backend", "Backend error: Model is not an embedding model"),
        ),
        (
            "/embed_sparse",
            {"inputs": "a"},
            (
                424,
                "Backend",
                "Backend error: Model is not an embedding model with Splade pooling",
            ),
        ),
    ],
    ids=str,
)
def test_failures_are_told_as_tei_tells_them(http, path, body, expected):
    assert told(http.post(path, json=body)) == expected


def test_a_model_that_is_not_held_is_not_found(http):
    status, kind, text = told(post(http, "/models/other/embed", inputs="a"))
    assert (status, kind) == (404, "Validation")
    assert "'other'" in text


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs":'])
def test_a_body_that_is_no_json_is_refused_as_axum_does(http, body):
    answer = http.post("/embed", content=body)
    assert answer.status_code == 400
    assert answer.text.startswith("Failed to parse the request body as JSON: ")


def test_a_body_needs_no_content_type(http):
    answer = http.post("/embed", content=b'{"inputs": "hello"}', headers={"content-type": "x/y"})
    assert answer.status_code == 200


def test_an_overloaded_server_says_so_and_when_to_try_again(server, http):
    body = {"query": "a", "texts": ["a"] * 20}
    server.reranker.gate.clear()
    server.reranker.entered.clear()
    try:
        with ThreadPoolExecutor(1) as thread:
            held = thread.submit(httpx.post, f"{server.http_url}/rerank", json=body, timeout=30)
            assert server.reranker.entered.wait(10)
            answer = http.post("/rerank", json=body)
            server.reranker.gate.set()
            assert held.result().status_code == 200
    finally:
        server.reranker.gate.set()
    assert told(answer) == (429, "Overloaded", "Model is overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert "places asked for" in answer.json()["detail"]


# What fields hold, right or wrong, and what may stand in lists and objects of them.
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-1, 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.sampled_from(["left", "Right", "query", "hello world", "\0", "[CLS]", "a " * 300]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["source_sentence", "sentences", "inputs", "texts"]), inner, max_size=2
        ),
    ),
    max_leaves=6,
)
FIELDS = ["inputs", "texts", "query", "ids", "instances", "parameters", "top_n", "dimensions"]
FIELDS += ["truncate", "truncation_direction", "prompt_name", "raw_scores", "normalize"]
PATHS = ["/", "/rerank", "/embed", "/embed_all", "/similarity", "/predict", "/tokenize", "/decode"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from([*PATHS, "/vertex", "/invocations"]),
    body=st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1, max_size=6),
)
def test_whatever_is_posted_is_no_fault_of_the_server(http, path, body):
    answer = http.post(path, json=body)
    assert answer.status_code in (200, 400, 413, 422), answer.text


def test_a_request_that_never_fits_is_refused_for_good(tmp_path):
    with (
        Server(tmp_path, http_address="127.0.0.1:0", max_queued_pairs=2) as server,
        httpx.Client(base_url=server.http_url) as http,
    ):
        answer = post(http, "/embed", inputs=["a"] * 3)
        assert told(answer)[:2] == (422, "Validation")
        assert "retry-after" not in answer.headers


def test_a_failing_engine_is_a_failed_dependency(server, http):
    server.encoder.failure = DeviceError("secret")
    try:
        status, kind, text = told(post(http, "/embed", inputs="something new"))
    finally:
        server.encoder.failure = None
    assert (status, kind) == (424, "Backend")
    assert text.startswith("Backend error: internal error; the log has the cause under ")


def test_a_wrong_key_gets_an_empty_answer_and_health_needs_none(tmp_path):
    key = make_key()
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[keys]]\nname = "search"\nsha256 = "{key.sha256}"\n')
    settings = {"http_address": "127.0.0.1:0", "keys": str(keys)}
    with Server(tmp_path / "data", **settings) as server:
        url, body = server.http_url, {"inputs": "a"}
        refused = httpx.post(f"{url}/embed", json=body, headers={"authorization": "Bearer no"})
        assert (refused.status_code, refused.content) == (401, b"")
        assert refused.headers["www-authenticate"] == "Bearer"
        named = {"authorization": f"Bearer {key.secret}"}
        assert httpx.post(f"{url}/embed", json=body, headers=named).status_code == 200
        assert httpx.get(f"{url}/health").status_code == 200
        assert httpx.get(f"{url}/info").status_code == 401
