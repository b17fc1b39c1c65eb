"""Rerank on the paths that Cohere, Jina, vLLM, Voyage, Fireworks and llama.cpp share."""

import json
from typing import Any

import httpx
import pytest

from twopass.v1 import rerank_pb2

from ..serving import Server, places_taken

QUERY = "How many people live in Berlin?"
DOCUMENTS = [
    "Paris is the capital of France.",
    "Berlin has 3.7 million people within its limits.",
    "",
    "The cat sat on the mat, which it liked.",
]
PATHS = ["/rerank", "/v1/rerank", "/v2/rerank", "/inference/v1/rerank", "/reranking"]
FILLER = "The report goes on about the weather in the mountains and about the harvest. " * 30
ANSWER_AT_ITS_END = FILLER + "Berlin has 3.7 million people within its limits."


def rerank(http: httpx.Client, path: str = "/v1/rerank", **fields: Any) -> httpx.Response:
    body = {"query": QUERY, "documents": DOCUMENTS} | fields
    return http.post(path, json={name: value for name, value in body.items() if value != "absent"})


def results(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def refusal(response: httpx.Response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    message: str = response.json()["message"]
    return message


@pytest.mark.parametrize("path", [*PATHS, "/v1/reranking"])
def test_the_order_and_the_scores_are_those_of_grpc(http, http_server: Server, path):
    expected = http_server.rerank(
        rerank_pb2.RerankRequest(
            query=QUERY, candidates=[{"text": text} for text in DOCUMENTS if text]
        )
    )
    documents = [text for text in DOCUMENTS if text]
    told = results(rerank(http, path, documents=documents))
    assert [(hit["index"], hit["relevance_score"]) for hit in told] == [
        (hit.index, hit.score) for hit in expected.hits
    ]


def test_an_answer_has_what_the_clients_of_every_dialect_read(http):
    answer = rerank(http, model="twopass-minilm-l3", return_documents=True).json()
    assert answer["object"] == "list"
    assert answer["id"]
    assert answer["model"] == "twopass-minilm-l3"
    assert answer["data"] == answer["results"]
    assert set(answer["results"][0]) == {"index", "relevance_score", "document"}
    num_tokens = answer["usage"]["total_tokens"]
    assert answer["usage"] == {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
    assert answer["meta"] == {
        "api_version": {"version": "1"},
        "billed_units": {"search_units": 1},
        "tokens": {"input_tokens": num_tokens, "output_tokens": 0},
    }
    assert rerank(http, "/v2/rerank").json()["meta"]["api_version"] == {"version": "2"}


def test_tokens_are_counted_as_the_model_read_them(http, http_server: Server):
    request = rerank_pb2.RerankRequest(query=QUERY, candidates=[{"text": DOCUMENTS[0]}])
    expected = http_server.rerank(request).num_tokens
    answer = rerank(http, documents=[DOCUMENTS[0]]).json()
    assert answer["usage"]["prompt_tokens"] == expected


@pytest.mark.parametrize(
    ("path", "fields", "first"),
    [
        ("/v1/rerank", {}, None),
        ("/v2/rerank", {}, None),
        ("/v1/rerank", {"return_documents": False}, None),
        ("/rerank", {"return_documents": False}, None),
        ("/v1/rerank", {"return_documents": True}, {"text": DOCUMENTS[1]}),
        ("/v1/rerank", {"return_documents": "true"}, {"text": DOCUMENTS[1]}),
        ("/v2/rerank", {"return_documents": True}, {"text": DOCUMENTS[1]}),
        ("/rerank", {}, {"text": DOCUMENTS[1]}),
        ("/v1/rerank", {"use_activation": True}, {"text": DOCUMENTS[1]}),
        ("/v2/rerank", {"truncate_prompt_tokens": -1}, {"text": DOCUMENTS[1]}),
        ("/v1/rerank", {"top_k": 2, "return_documents": True}, DOCUMENTS[1]),
        ("/v1/rerank", {"truncation": True, "return_documents": True}, DOCUMENTS[1]),
        ("/v1/rerank", {"truncation": True}, None),
    ],
)
def test_documents_come_back_where_and_as_the_dialect_has_them(http, path, fields, first):
    assert results(rerank(http, path, **fields))[0].get("document") == first


def test_documents_may_be_objects_and_come_back_whole(http):
    documents = [{"text": DOCUMENTS[0], "id": 7}, DOCUMENTS[1], {"text": DOCUMENTS[3]}]
    told = results(rerank(http, documents=documents, return_documents=True))
    assert [hit["document"] for hit in sorted(told, key=lambda hit: hit["index"])] == [
        {"text": DOCUMENTS[0], "id": 7},
        {"text": DOCUMENTS[1]},
        {"text": DOCUMENTS[3]},
    ]


def test_the_fields_that_are_ranked_are_read_one_after_the_other(http):
    document = {"title": "Berlin", "year": 2024, "body": "3.7 million people", "note": None}
    fields = ["title", "note", "body", "year"]
    told = results(rerank(http, documents=[document], rank_fields=fields, return_documents=True))
    alone = results(rerank(http, documents=["Berlin 3.7 million people 2024"]))
    assert told[0]["relevance_score"] == alone[0]["relevance_score"]
    assert told[0]["document"] == document | {"text": "Berlin 3.7 million people 2024"}


def test_texts_in_parts_are_read_as_vllm_reads_them(http):
    content = [
        {"type": "text", "text": "Berlin has"},
        {"type": "text", "text": "3.7 million people"},
    ]
    told = results(rerank(http, documents=[{"content": content}]))
    alone = results(rerank(http, documents="Berlin has 3.7 million people"))
    assert told == alone
    image = [{"type": "image_url", "image_url": {"url": "http://example.org"}}]
    message = refusal(rerank(http, documents=[{"content": image}]))
    assert message.startswith("documents[0].content[0]: 'image_url' given")


@pytest.mark.parametrize(
    "fields",
    [
        {"model": None, "top_n": None, "return_documents": None, "rank_fields": None},
        {"max_tokens_per_doc": None, "max_chunks_per_doc": None, "relevant_spans": None},
        {"instruction": None, "use_activation": None, "truncate_prompt_tokens": None},
        {"top_k": None, "truncation": None, "chat_template_kwargs": None},
        {"max_tokens_per_query": 0, "max_tokens_per_doc": 0, "top_n": 0},
        {"priority": 3, "user": "me", "unknown": {"to": ["us"]}, "return_len": "false"},
        {"relevant_spans": {"mode": "disabled"}},
        {"query": {"text": QUERY}},
        {"model": "rerank-english-v3.0"},
        {"top_n": len(DOCUMENTS) + 10},
        {"top_k": 1_000},
    ],
)
def test_what_clients_send_beside_texts_changes_nothing(http, fields):
    plain = [(hit["index"], hit["relevance_score"]) for hit in results(rerank(http))]
    told = results(rerank(http, **fields))
    assert [(hit["index"], hit["relevance_score"]) for hit in told] == plain


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "text/plain"}],
    ids=["no type", "curl -d", "text"],
)
def test_json_is_read_whatever_its_declared_type(http, headers):
    content = json.dumps({"query": QUERY, "documents": DOCUMENTS}).encode()
    request = http.build_request("POST", "/v1/rerank/", content=content, headers=headers)
    if not headers:
        request.headers.pop("content-type", None)
    assert results(http.send(request)) == results(rerank(http))


def test_so_many_of_the_best_come_back_as_are_asked_for(http):
    everything = results(rerank(http))
    assert results(rerank(http, top_n=2)) == everything[:2]
    assert results(rerank(http, top_k=3)) == everything[:3]
    assert results(rerank(http, top_n=1, top_k=3)) == everything[:1]
    assert refusal(rerank(http, top_n=-1)).startswith("top_n: -1 given, at least 0 is needed")


def test_equal_documents_keep_their_order(http):
    told = results(rerank(http, documents=["the same text"] * 5))
    assert [hit["index"] for hit in told] == [0, 1, 2, 3, 4]


def test_scores_without_activation_are_the_logits(http, http_server: Server):
    request = rerank_pb2.RerankRequest(query=QUERY, candidates=[{"text": DOCUMENTS[1]}])
    expected = http_server.rerank(request).hits[0]
    told = results(rerank(http, documents=[DOCUMENTS[1]], use_activation=False))
    assert told[0]["relevance_score"] == expected.logit
    told = results(rerank(http, documents=[DOCUMENTS[1]], use_activation=True))
    assert told[0]["relevance_score"] == expected.score


def test_an_empty_document_is_scored_and_harms_no_other(http):
    told = results(rerank(http, documents=["", " ", DOCUMENTS[1]]))
    assert told[0]["index"] == 2
    assert len(told) == 3


def test_a_nul_is_read_as_a_space(http):
    told = results(rerank(http, documents=["Berlin\0has people"]))
    assert told == results(rerank(http, documents=["Berlin has people"]))


def test_half_a_character_does_not_fail_the_other_documents(http):
    # What JavaScript's `slice` leaves of a text that is cut within an emoji.
    body = '{"query": "a \\ud83d", "documents": ["b \\udc00\\ud83d c", "\\ud83d\\ude00"]}'
    told = results(http.post("/v1/rerank", content=body))
    assert len(told) == 2


def test_long_documents_are_cut_and_the_answer_says_how_many(http):
    response = rerank(http, documents=[FILLER, DOCUMENTS[1], FILLER])
    assert results(response)[0]["index"] == 1
    assert response.headers["x-twopass-documents-truncated"] == "2"
    assert "x-twopass-documents-truncated" not in rerank(http).headers


@pytest.mark.parametrize(
    "fields",
    [{"max_tokens_per_doc": 4096}, {"max_chunks_per_doc": 10}],
    ids=["tokens", "chunks"],
)
def test_a_request_for_more_than_the_model_reads_at_once_reads_documents_in_windows(http, fields):
    cut = results(rerank(http, documents=[ANSWER_AT_ITS_END]))[0]["relevance_score"]
    response = rerank(http, documents=[ANSWER_AT_ITS_END], **fields)
    assert results(response)[0]["relevance_score"] > 5 * cut
    assert "x-twopass-documents-truncated" not in response.headers
    header = {"x-twopass-truncation": "max_window"}
    body = {"query": QUERY, "documents": [ANSWER_AT_ITS_END]}
    by_header = http.post("/v1/rerank", json=body, headers=header)
    assert results(by_header) == results(response)


def test_no_more_windows_are_read_than_a_request_wants(http):
    cut = results(rerank(http, documents=[ANSWER_AT_ITS_END]))[0]["relevance_score"]
    one = rerank(http, documents=[ANSWER_AT_ITS_END], max_chunks_per_doc=1)
    assert results(one)[0]["relevance_score"] == cut
    few = rerank(http, documents=[FILLER * 4 + DOCUMENTS[1]], max_chunks_per_doc=2)
    assert results(few)[0]["relevance_score"] < 5 * cut


def test_documents_are_cut_after_as_many_tokens_as_a_request_says(http):
    words = ["Berlin has 3.7 million people within its limits.", "Berlin has 3"]
    cut = rerank(http, documents=[words[0]], max_tokens_per_doc=3)
    assert results(cut) == results(rerank(http, documents=[words[1]]))


def test_queries_are_cut_after_as_many_tokens_as_a_request_says(http):
    cut = rerank(http, query="How many people live in Berlin?", max_tokens_per_query=3)
    assert cut.headers["x-twopass-query-truncated"] == "1"
    told = [(hit["index"], hit["relevance_score"]) for hit in results(cut)]
    plain = results(rerank(http, query="How many people"))
    assert told == [(hit["index"], hit["relevance_score"]) for hit in plain]
    whole = rerank(http, query="How many people live in Berlin?", max_tokens_per_query=30)
    assert "x-twopass-query-truncated" not in whole.headers


def test_a_pair_is_cut_to_as_many_tokens_as_a_request_says(http):
    # [CLS] berlin [SEP] ... [SEP]: four tokens beside the document's.
    cut = rerank(
        http, query="Berlin", documents=["one two three four five"], truncate_prompt_tokens=6
    )
    plain = rerank(http, query="Berlin", documents=["one two"])
    assert results(cut)[0]["relevance_score"] == results(plain)[0]["relevance_score"]


def test_voyages_truncation_refuses_what_would_be_cut(http):
    message = refusal(rerank(http, documents=["short", FILLER], truncation=False))
    assert message.startswith("documents[1]: longer than the 240 tokens")
    assert message.endswith("set truncation to true")
    assert len(results(rerank(http, truncation=False))) == len(DOCUMENTS)


def test_the_header_refuses_what_would_be_cut(http):
    body = {"query": QUERY, "documents": [FILLER]}
    refused = http.post("/v2/rerank", json=body, headers={"x-twopass-truncation": "reject"})
    assert refusal(refused).startswith("documents[0]: longer than the 240 tokens")
    unknown = http.post("/v2/rerank", json=body, headers={"x-twopass-truncation": "never"})
    assert refusal(unknown).startswith("x-twopass-truncation: 'never' given, one of truncate")


def test_a_long_query_is_cut_and_the_answer_says_so(http, http_server: Server):
    query = "Tell me this. " * 200 + QUERY
    response = rerank(http, query=query)
    assert len(results(response)) == len(DOCUMENTS)
    assert response.headers["x-twopass-query-truncated"] == "1"
    huge = rerank(http, query=QUERY + " word" * 50_000)
    assert results(huge)[0]["index"] == 1
    assert huge.headers["x-twopass-query-truncated"] == "1"
    assert "x-twopass-query-truncated" not in rerank(http).headers


def test_a_long_query_is_refused_where_it_is_not_to_be_cut(http):
    message = refusal(rerank(http, query="word " * 400, truncation=False))
    assert message.startswith("query: 400 tokens of twopass-minilm-l3")
    assert "truncation to true" in message


def test_an_instruction_is_not_dropped_in_silence(http):
    message = refusal(rerank(http, instruction="find the population"))
    assert message.startswith("instruction: given, but twopass-minilm-l3 takes no instruction")
    message = refusal(rerank(http, chat_template_kwargs={"instruction": "find"}))
    assert message.startswith("instruction: given")


@pytest.mark.parametrize("path", PATHS)
def test_the_relevant_spans_of_a_document_come_best_first_in_code_points(http, path):
    document = f"\U0001f43b on the arms. The cat sat. {DOCUMENTS[1]} It rains."
    answer = rerank(
        http, path, documents=[document, "No."], relevant_spans={"mode": "enabled"}
    ).json()
    first, second = answer["results"]
    spans = first["relevant_spans"]
    assert document[spans[0]["start"] : spans[0]["end"]] == DOCUMENTS[1]
    assert all(span["score"] >= 0.1 for span in spans)
    assert [span["score"] for span in spans] == sorted(
        (span["score"] for span in spans), reverse=True
    )
    assert "relevant_spans" not in second  # none reaches the threshold
    assert "warnings" not in answer["meta"]


def test_spans_are_as_many_and_as_good_as_asked_for(http):
    document = " ".join([DOCUMENTS[1], DOCUMENTS[0], DOCUMENTS[3]])

    def spans(**asked):
        told = results(
            rerank(http, documents=[document], relevant_spans={"mode": "enabled"} | asked)
        )
        return told[0].get("relevant_spans", [])

    assert len(spans(threshold=0)) == 3
    assert len(spans(threshold=0, max_spans=2)) == 2
    assert spans(threshold=1.1) == []
    assert spans(mode="disabled") == []
    message = refusal(rerank(http, relevant_spans={"mode": "enabled", "max_spans": 0}))
    assert message.startswith("relevant_spans.max_spans: 0 given, at least 1 is needed")
    assert "relevant_spans" in refusal(rerank(http, relevant_spans={"threshold": "high"}))


def test_of_many_results_the_first_hundred_have_spans(http):
    answer = rerank(
        http,
        documents=[f"Berlin has {i} people." for i in range(101)],
        relevant_spans={"mode": "enabled", "threshold": 0},
    ).json()
    told = ["relevant_spans" in hit for hit in answer["results"]]
    assert told == [True] * 100 + [False]
    assert answer["meta"]["warnings"] == ["relevant_spans: told of the first 100 results"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"query": "absent"}, "body: Object missing required field `query`"),
        ({"query": ""}, "query: empty, at least one word is needed"),
        ({"query": " \n"}, "query: empty, at least one word is needed"),
        ({"documents": "absent"}, "documents: missing; give a list of texts"),
        ({"documents": []}, "documents: none given, at least 1 is needed"),
        ({"documents": ["a", 3]}, "documents[1]: Expected `str | object`, got `int`"),
        ({"documents": [{"title": "a"}]}, "documents[0].text: missing, a text is needed; give the"),
        (
            {"documents": ["a", {"title": "a"}], "rank_fields": ["body"]},
            "documents[1]: it has none of the rank_fields (body)",
        ),
        ({"top_n": "many"}, "top_n: Expected `int | null`, got `str`"),
        (
            {"documents": ["a"] * 10_001},
            "documents: 10,001 given, at most 10,000; send several requests",
        ),
    ],
)
def test_a_bad_request_is_told_its_field_and_the_way_out(http, fields, message):
    assert refusal(rerank(http, **fields)).startswith(message)


def test_a_body_that_is_no_json_is_refused(http):
    for content in (b"", b"{", b'{"query": "\xff", "documents": []}', b"[" * 100_000):
        assert refusal(http.post("/v1/rerank", content=content)).startswith("body: ")


def test_a_document_of_more_bytes_than_are_taken_is_cut_or_refused(http):
    long = "word " * 60_000
    response = rerank(http, documents=[long, DOCUMENTS[1]])
    assert results(response)[0]["index"] == 1
    assert response.headers["x-twopass-documents-truncated"] == "1"
    message = refusal(rerank(http, documents=[long], truncation=False))
    assert message.startswith("documents[0]: 300,000 bytes of UTF-8 given, at most 262,144")


def test_a_full_server_says_when_to_try_again_and_takes_no_part(tmp_path):
    settings = {"http_address": "127.0.0.1:0", "max_queued_pairs": 6}
    with Server(tmp_path, **settings) as server, httpx.Client(base_url=server.http_url) as http:
        with places_taken(server, 4):
            refused = rerank(http)
            assert len(results(rerank(http, documents=DOCUMENTS[:2]))) == 2
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert int(refused.headers["retry-after"]) >= 1
        assert int(refused.headers["retry-after-ms"]) >= 1
        too_many = rerank(http, documents=["text"] * 7)
        assert too_many.status_code == 413
        assert too_many.headers["x-should-retry"] == "false"


def test_a_prefix_names_the_model(http):
    told = rerank(http, "/models/twopass-minilm-l3/v1/rerank", model="rerank-english-v3.0")
    assert told.json()["model"] == "twopass-minilm-l3"
    assert results(told) == results(rerank(http))
    assert "no model 'nobody'" in refusal(rerank(http, "/models/nobody/v1/rerank"), 404)
    encoder = rerank(http, "/models/all-MiniLM-L6-v2/v1/rerank")
    assert "all-MiniLM-L6-v2 is an encoder" in refusal(encoder, 404)
    assert "is an encoder" in refusal(rerank(http, model="all-MiniLM-L6-v2"), 404)


def test_a_server_may_refuse_models_that_it_does_not_hold(tmp_path):
    settings = {"http_address": "127.0.0.1:0", "http_unknown_model": "reject"}
    with Server(tmp_path, **settings) as server, httpx.Client(base_url=server.http_url) as http:
        refused = rerank(http, model="rerank-english-v3.0")
        assert "no model 'rerank-english-v3.0'" in refusal(refused, 404)
        assert len(results(rerank(http, model="twopass-minilm-l3"))) == len(DOCUMENTS)
        assert len(results(rerank(http, model=None))) == len(DOCUMENTS)


def test_mixedbreads_requests_are_answered_in_its_names(http):
    body = {"model": "mxbai-rerank-large-v2", "query": QUERY, "input": DOCUMENTS}
    answer = http.post("/v1/reranking", json=body | {"top_k": 2, "return_input": True}).json()
    plain = results(rerank(http, top_n=2))
    assert answer["data"] == [
        {
            "index": hit["index"],
            "score": hit["relevance_score"],
            "object": "rank_result",
            "input": DOCUMENTS[hit["index"]],
        }
        for hit in plain
    ]
    assert answer["object"] == "list"
    assert (answer["top_k"], answer["return_input"]) == (2, True)
    default = http.post("/v1/reranking", json=body | {"input": ["text"] * 12}).json()
    assert len(default["data"]) == 10
    assert "input" not in default["data"][0]
