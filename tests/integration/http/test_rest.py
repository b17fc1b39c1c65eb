"""Our own rpcs as REST."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.protobuf import json_format

from twopass.server.http.rpcs.http_rules import HttpRule, http_rules
from twopass.v1 import collection_pb2, search_pb2

from ..corpus import FACTS, fill
from ..serving import Server

NAME = "rest-facts"
FACTS_PATH = f"/api/v1/collections/{NAME}"


@pytest.fixture(scope="module", autouse=True)
def facts(http_server: Server) -> None:
    fill(http_server, NAME)


@pytest.fixture
def own(http: httpx.Client) -> Iterator[str]:
    """The path of an empty collection of the test's own."""
    path = "/api/v1/collections/rest-own"
    assert http.put(path).status_code == 200
    yield path
    assert http.delete(path).status_code == 200


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    message: str = answer.json()["message"]
    return message


def test_a_search_answers_what_it_answers_over_grpc(
    http: httpx.Client, http_server: Server
) -> None:
    query = "What is the capital of Australia?"
    over_grpc = http_server.search(search_pb2.SearchRequest(collection=NAME, query=query, top_n=3))
    answer = http.post(f"{FACTS_PATH}/search", json={"query": query, "top_n": 3})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    parsed = json_format.ParseDict(answer.json(), search_pb2.SearchResponse())
    for answered in (parsed, over_grpc):
        answered.ClearField("timings")
        answered.ClearField("search_id")
        answered.ClearField("num_cached")  # the second has what the first computed
    assert parsed == over_grpc
    assert answer.json()["hits"][0]["id"] == "canberra"


def test_answers_have_all_fields_that_can_not_be_unset(http: httpx.Client) -> None:
    answer = http.post(
        f"{FACTS_PATH}/search",
        json={"query": "bees", "rerank": {"enabled": False}, "retrieve": {"k": 1}, "top_n": 1},
    ).json()
    (hit,) = answer["hits"]
    assert (answer["num_reranked"], answer["reranker"]) == (0, "")
    assert hit["truncated"] is False
    assert "logit" not in hit  # nothing computed it


def test_documents_are_written_read_counted_and_deleted(http: httpx.Client, own: str) -> None:
    documents = [
        {"id": f"d{i}", "text": f"Text number {i}.", "metadata": {"place": i, "even": i % 2 == 0}}
        for i in range(5)
    ]
    written = http.put(f"{own}/documents", json={"documents": documents}).json()
    assert (written["num_inserted"], written["num_replaced"]) == (5, 0)
    again = http.post(f"{own}/documents", json={"documents": documents[:1]}).json()
    assert again["num_replaced"] == 1

    read = http.get(f"{own}/documents/get", params={"ids": ["d3", "d1"]}).json()["documents"]
    assert [(each["id"], each["metadata"]["place"]) for each in read] == [("d3", 3), ("d1", 1)]
    by_post = http.post(f"{own}/documents/get", json={"ids": ["d3", "d1"]}).json()["documents"]
    assert by_post == read

    only_even = {"must": [{"field": {"field": "even", "equal_to": True}}]}
    assert http.get(f"{own}/documents/count").json() == {"num_documents": "5"}
    assert http.post(f"{own}/documents/count", json={"filter": only_even}).json() == {
        "num_documents": "3"
    }
    facet = http.post(f"{own}/facets", json={"facets": [{"field": "even"}]}).json()["facets"][0]
    assert [(each["value"], each["num_documents"]) for each in facet["values"]] == [
        ({"boolean": True}, "3"),
        ({"boolean": False}, "2"),
    ]

    changed = http.patch(
        f"{own}/documents/metadata", json={"filter": only_even, "merge": {"place": None, "x": [1]}}
    ).json()
    assert changed["num_updated"] == "3"
    (document,) = http.get(f"{own}/documents/get", params={"ids": "d0"}).json()["documents"]
    assert document["metadata"] == {"even": True, "x": [1]}

    assert (
        http.delete(f"{own}/documents", params={"ids": ["d0", "gone"]}).json()["num_deleted"] == "1"
    )
    deleted = http.post(f"{own}/documents/delete", json={"filter": only_even}).json()
    assert deleted["num_deleted"] == "2"


def test_a_listing_is_read_page_by_page(http: httpx.Client) -> None:
    seen: list[str] = []
    token = ""
    while True:
        page = http.get(
            f"{FACTS_PATH}/documents",
            params={"page_size": 5, "page_token": token, "fields.text": "false"},
        ).json()
        assert all(document["text"] == "" for document in page["documents"])
        seen += [document["id"] for document in page["documents"]]
        token = page["next_page_token"]
        if not token:
            break
    assert sorted(seen) == sorted(FACTS)


def test_collections_are_created_with_a_schema_and_listed(http: httpx.Client) -> None:
    created = http.post(
        "/api/v1/collections",
        json={"name": "rest-vectors", "schema": {"client_vectors": True, "dimension": 3}},
    )
    assert created.json()["collection"]["schema"]["dimension"] == 3
    by_put = http.put("/api/v1/collections/rest-words", json={"language": "none"})
    assert by_put.json()["collection"]["schema"]["language"] == "none"
    names = [each["name"] for each in http.get("/api/v1/collections").json()["collections"]]
    assert {"rest-vectors", "rest-words"} <= set(names)
    for name in ("rest-vectors", "rest-words"):
        assert http.delete(f"/api/v1/collections/{name}").json() == {}


def test_vectors_go_in_and_come_out_bit_for_bit(http: httpx.Client) -> None:
    path = "/api/v1/collections/rest-vectors-2"
    http.put(path, json={"client_vectors": True, "dimension": 3, "metric": "METRIC_INNER_PRODUCT"})
    vector = {"values": [0.1, -32500000000.0, 1e-30]}
    http.put(f"{path}/documents", json={"documents": [{"id": "a", "text": "a", "vector": vector}]})
    (read,) = http.get(
        f"{path}/documents/get", params={"ids": "a", "fields.vector": "true"}
    ).json()["documents"]
    assert read["vector"] == vector
    http.delete(path)


def test_snapshots_and_aliases(http: httpx.Client, own: str) -> None:
    made = http.post(f"{own}/snapshots", json={"name": "first"}).json()["snapshot"]
    assert made["name"] == "first"
    assert http.post(f"{own}/snapshots").json()["snapshot"]["name"]  # named by its time
    assert len(http.get(f"{own}/snapshots", params={"page_size": 1}).json()["snapshots"]) == 1
    restored = http.post(f"{own}/snapshots/first/restore", json={"new_collection": "rest-copy"})
    assert restored.json()["collection"]["name"] == "rest-copy"
    changes = [{"alias": "rest-alias", "collection": "rest-copy"}]
    aliases = http.post("/api/v1/aliases", json={"changes": changes}).json()["aliases"]
    assert {"alias": "rest-alias", "collection": "rest-copy"} in aliases
    assert http.get("/api/v1/collections/rest-alias").json()["collection"]["name"] == "rest-copy"
    http.post("/api/v1/aliases", json={"changes": [{"alias": "rest-alias"}]})
    body = {"new_name": "rest-renamed", "keep_alias": True}
    renamed = http.post("/api/v1/collections/rest-copy/rename", json=body).json()["collection"]
    assert (renamed["name"], renamed["aliases"]) == ("rest-renamed", ["rest-copy"])
    http.post("/api/v1/collections/rest-renamed/rename", json={"new_name": "rest-copy"})
    http.delete("/api/v1/collections/rest-copy")
    for snapshot in http.get(f"{own}/snapshots").json()["snapshots"]:
        assert http.delete(f"{own}/snapshots/{snapshot['name']}").json() == {}


def test_rerank_embed_models_and_server(http: httpx.Client) -> None:
    candidates = [{"text": text, "id": key} for key, text in FACTS.items()]
    ranked = http.post(
        "/api/v1/rerank",
        json={"query": "Why is the sky blue?", "candidates": candidates, "top_n": 2},
    ).json()
    assert ranked["hits"][0]["id"] == "sky"
    embedded = http.post("/api/v1/embed", json={"texts": ["a", "b"], "dimensions": 4}).json()
    assert [len(each["vector"]["values"]) for each in embedded["embeddings"]] == [4, 4]
    models = http.get("/api/v1/models").json()["models"]
    for model in models:
        assert http.get(f"/api/v1/models/{model['id']}").json() == {"model": model}
    assert http.get("/api/v1/server").json()["server"]["version"]


def test_searches_of_a_batch_fail_alone(http: httpx.Client) -> None:
    searches = [{"collection": NAME, "query": "bees"}, {"collection": "gone", "query": "bees"}]
    results = http.post("/api/v1/search/batch", json={"searches": searches}).json()["results"]
    assert results[0]["response"]["hits"][0]["id"] == "bees"
    assert results[1]["error"]["code"] == 5


def test_bodies_may_be_compressed(http: httpx.Client) -> None:
    body = gzip.compress(json.dumps({"query": "bees"}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = http.post(f"{FACTS_PATH}/search", content=body, headers=headers)
    assert answer.json()["hits"][0]["id"] == "bees"


@pytest.mark.parametrize(
    ("method", "path", "sent", "told"),
    [
        ("POST", f"{FACTS_PATH}/search", {"json": {"querry": "a"}}, "did you mean query?"),
        ("POST", f"{FACTS_PATH}/search", {"json": {"top_n": -1, "query": "a"}}, "top_n: -1"),
        ("POST", f"{FACTS_PATH}/search", {"json": {"collection": "b"}}, "'b' in the body"),
        ("POST", f"{FACTS_PATH}/search?top_n=3", {"json": {}}, "top_n: given in the query"),
        ("POST", f"{FACTS_PATH}/search", {"json": {"filter": {"must": [1]}}}, "filter.must[0]: 1"),
        ("GET", f"{FACTS_PATH}/documents?page_size=x", {}, 'page_size: "x" given'),
        ("GET", f"{FACTS_PATH}/documents?page_size=1&page_size=2", {}, "page_size: given twice"),
        ("GET", f"{FACTS_PATH}/documents?size=1", {}, "size: no such field"),
        ("GET", f"{FACTS_PATH}/documents?fields.txt=true", {}, "fields.txt: no such field"),
        ("GET", f"{FACTS_PATH}/documents?fields=true", {}, "fields: an object, which no query"),
        ("GET", f"{FACTS_PATH}/documents?filter.must=1", {}, "filter.must: an object"),
        ("GET", f"{FACTS_PATH}/documents?collection=b", {}, "in the path and in the query"),
        ("GET", f"{FACTS_PATH}/documents?fields.text=yes", {}, "fields.text: "),
        ("DELETE", f"{FACTS_PATH}/documents", {}, "ids"),
        ("PUT", "/api/v1/collections/rest-x?schema.dimension=3", {"json": {}}, "schema: given in"),
    ],
)
def test_faults_name_the_field(
    http: httpx.Client, method: str, path: str, sent: dict[str, Any], told: str
) -> None:
    answer = http.request(method, path, **sent)
    assert told in refused(answer, 400, "invalid_argument")


def test_a_body_must_be_said_to_be_json(http: httpx.Client) -> None:
    # Else any page could have a visitor's browser send it to a server on the visitor's machine.
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = http.put(
            "/api/v1/collections/rest-y", content=b"{}", headers={"content-type": content_type}
        )
        assert "curl" in refused(answer, 415, "invalid_argument")


def test_what_does_not_exist_is_not_found(http: httpx.Client) -> None:
    refused(http.post("/api/v1/collections/gone/search", json={"query": "a"}), 404, "not_found")
    refused(http.get("/api/v1/models/gone/with/slashes"), 404, "not_found")
    refused(http.put(FACTS_PATH), 409, "already_exists")


def test_a_deadline_that_has_passed_is_told_with_its_status(http: httpx.Client) -> None:
    answer = http.post(
        "/api/v1/rerank",
        json={"query": "a", "candidates": [{"text": "long " * 200}] * 1_000},
        headers={"x-request-timeout-ms": "1"},
    )
    assert answer.status_code in (429, 504)
    assert answer.json()["code"] in ("deadline_exceeded", "resource_exhausted")


@pytest.mark.parametrize("rule", http_rules(), ids=lambda rule: f"{rule.method} {rule.path}")
def test_every_path_reaches_its_rpc(
    http: httpx.Client, http_server: Server, rule: HttpRule
) -> None:
    """With a name of a collection that no rpc accepts: none gets so far as to change something."""
    path = rule.path.replace("=**", "").format(collection="NO", name="NO", id="NO")
    answer = http.request(rule.method, path, **({"json": {}} if rule.body else {}))
    assert answer.status_code in (200, 400, 404)
    assert "path:" not in answer.text


def test_upserts_over_both_wires_are_one_collection(
    http: httpx.Client, http_server: Server, own: str
) -> None:
    http.put(f"{own}/documents", json={"documents": [{"id": "é/ü", "text": "Straße"}]})
    read = http_server.collections.GetDocuments(
        collection_pb2.GetDocumentsRequest(collection="rest-own", ids=["é/ü"])
    )
    assert read.documents[0].text == "Straße"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rerank": {"blend": 2}}, "rerank.blend"),
        ({"rerank": {"blend": "x"}}, "rerank.blend"),
        ({"rerank": {"min_score": "NaN"}}, "rerank.min_score"),
        ({"rerank": {"model": "nope"}}, "rerank.model"),
        ({"retrieve": {"convex": {"alpha": 2}}}, "retrieve.convex.alpha"),
        ({"retrieve": {"convex": {"alpha": "x"}}}, "retrieve.convex.alpha"),
        (
            {"retrieve": {"words": {"required": [{"phrase": "?"}]}}},
            "retrieve.words.required[0].phrase",
        ),
        (
            {
                "filter": {
                    "must": [{"field": {"field": "a", "equal_to_literal": {"number": "NaN"}}}]
                }
            },
            "filter.must[0].field.equal_to_literal.number",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_nested_field_has_its_whole_path_by_every_name_of_the_rpc(
    http: httpx.Client, own: str, body: dict[str, object], field: str
) -> None:
    asked = {"query": "bees"} | body
    by_rest = http.post(f"{own}/search", json=asked).json()
    collection = own.rpartition("/")[2]
    connect = "/twopass.v1.SearchService/Search"
    by_connect = http.post(connect, json=asked | {"collection": collection}).json()
    batch = {"searches": [asked | {"collection": collection}]}
    in_batch = http.post("/api/v1/search/batch", json=batch).json()
    assert by_rest["message"].startswith(field)
    assert by_connect["message"] == by_rest["message"]
    told = in_batch.get("message") or in_batch["results"][0]["error"]["message"]
    assert told.removeprefix("searches[0].") == by_rest["message"]
