"""The document of REST, and the page that shows it."""

import json
import re
from typing import Any

import httpx
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor

from twopass.server.http.rpcs import bounds
from twopass.server.http.rpcs.comments import comments
from twopass.server.http.rpcs.http_rules import http_rules
from twopass.server.http.rpcs.methods import METHODS, is_unary
from twopass.server.http.rpcs.page import SPEAKERS

from ..serving import Server


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> dict[str, Any]:
    answer = http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_the_document_describes_every_rule_of_the_table(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path): operation["x-rpc"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert described == {
        (rule.method, rule.path.replace("=**", "")): rule.rpc for rule in http_rules()
    }
    names = [operation["operationId"] for operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_reference_has_its_component(document: dict[str, Any]) -> None:
    for reference in set(re.findall(r'"#/([^"]+)"', json.dumps(document))):
        found: Any = document
        for part in reference.split("/"):
            found = found[part]


def test_everything_in_it_is_explained(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert operation["summary"]
        assert len(operation["description"]) > len(operation["summary"])
        assert all(parameter["description"] for parameter in operation["parameters"])
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        for field, property_ in schema.get("properties", {}).items():
            assert name == "Error" or property_["description"], (name, field)


def _reachable(message: Descriptor, found: set[str]) -> None:
    if message.file.package != "twopass.v1" or message.full_name in found:
        return
    found.add(message.full_name)
    for field in message.fields:
        if field.message_type is not None:
            _reachable(field.message_type, found)


def test_the_contracts_comments_are_found() -> None:
    said = comments()
    assert said["twopass.v1.SearchService"].startswith("Both passes")
    assert said["twopass.v1.SearchService.Search"].startswith("Finds the documents")
    assert said["twopass.v1.RetrieveMode.RETRIEVE_MODE_HYBRID"] == "Both, fused."
    names: set[str] = set()
    for method in METHODS.values():
        if is_unary(method):
            _reachable(method.input_type, names)
            _reachable(method.output_type, names)
    entries = {name for name in names if name.endswith("Entry")}  # of maps
    assert names - entries <= set(said)


def test_tables_of_bounds_name_fields_that_exist(http_server: Server) -> None:
    messages: set[str] = set()
    for method in METHODS.values():
        _reachable(method.input_type, messages)
    fields = {
        f"{method.input_type.name}.{field.name}"
        for method in METHODS.values()
        for field in method.input_type.fields
    }
    for name in messages:
        message = descriptor_pool.Default().FindMessageTypeByName(name)
        fields |= {f"{message.name}.{field.name}" for field in message.fields}
        fields |= {f"{message.name}.{oneof.name}" for oneof in message.oneofs}
    limits = http_server._app.config  # has all that Limits has
    named = {*bounds.NUMBERS, *bounds.NAMES, *bounds.EXACTLY_ONE, *bounds.lists(limits)}
    named |= {f"{name}.{field}" for name, held in bounds.REQUIRED.items() for field in held}
    assert named <= fields


OF_BOUNDS = {"collection": "bounds"}
SEARCH = OF_BOUNDS | {"query": "a"}
EVENT = {"query_id": "q", "document_id": "a", "kind": "FEEDBACK_KIND_JUDGEMENT"}
TOO_HIGH, TOO_LOW = EVENT | {"grade": 101}, EVENT | {"grade": -1}
VECTOR = {"values": [1.0]}


@pytest.mark.parametrize(
    ("rpc", "body", "told"),
    [
        ("SearchService/Search", SEARCH | {"top_n": 2_049}, "top_n"),
        ("FeedbackService/RecordFeedback", OF_BOUNDS | {"events": [EVENT] * 1_001}, "events"),
        ("FeedbackService/RecordFeedback", OF_BOUNDS | {"events": []}, "events"),
        (
            "FeedbackService/RecordFeedback",
            OF_BOUNDS | {"events": [EVENT | {"grade": 101}]},
            "grade",
        ),
        (
            "FeedbackService/RecordFeedback",
            OF_BOUNDS | {"events": [EVENT | {"grade": -1}]},
            "grade",
        ),
        ("FeedbackService/ExportFeedback", {"page_size": 10_001} | OF_BOUNDS, "page_size"),
        ("FeedbackService/ExportFeedback", {"page_size": -1} | OF_BOUNDS, "page_size"),
        ("FeedbackService/DeleteFeedback", {"query_ids": ["q"] * 1_001} | OF_BOUNDS, "query_ids"),
        ("SearchService/Search", SEARCH | {"top_n": -1}, "top_n"),
        ("SearchService/Search", SEARCH | {"offset": 2_049}, "offset"),
        ("SearchService/Search", SEARCH | {"offset": -1}, "offset"),
        ("SearchService/Search", SEARCH | {"retrieve": {"k": 2_049}}, "retrieve.k"),
        ("SearchService/Search", SEARCH | {"retrieve": {"k": -1}}, "retrieve.k"),
        ("SearchService/Search", SEARCH | {"retrieve": {"convex": {"alpha": 1.1}}}, "alpha"),
        ("SearchService/Search", SEARCH | {"retrieve": {"convex": {"alpha": -0.1}}}, "alpha"),
        ("SearchService/Search", SEARCH | {"retrieve": {"rrf": {"k": -1}}}, "retrieve.rrf.k"),
        ("SearchService/Search", SEARCH | {"rerank": {"depth": -1}}, "rerank.depth"),
        ("SearchService/Search", SEARCH | {"rerank": {"blend": 1.1}}, "blend"),
        ("SearchService/Search", SEARCH | {"vector": {"values": []}}, "vector"),
        ("SearchService/Search", SEARCH | {"filter": {"must": [{}]}}, "filter.must[0]"),
        ("SearchService/Search", SEARCH | {"filter": {"must": [{"ids": {}}]}}, "ids"),
        (
            "SearchService/Search",
            SEARCH | {"filter": {"must": [{"field": {"field": "a"}}]}},
            "filter.must[0]",
        ),
        (
            "SearchService/Search",
            SEARCH | {"filter": {"must": [{"field": {"field": "a", "equal_to_literal": {}}}]}},
            "filter.must[0]",
        ),
        (
            "SearchService/Search",
            SEARCH
            | {"filter": {"must": [{"field": {"field": "a", "any_of_literals": {"values": []}}}]}},
            "filter.must[0]",
        ),
        ("SearchService/Search", SEARCH | {"retrieve": {"words": {"required": [{}]}}}, "words"),
        ("SearchService/Search", {"query": "a"}, "collection"),
        ("SearchService/BatchSearch", {}, "searches"),
        ("SearchService/BatchSearch", {"searches": [SEARCH] * 257}, "searches"),
        ("RerankService/Rerank", {"candidates": [{"text": "a"}]}, "query"),
        ("RerankService/Rerank", {"query": "a"}, "candidates"),
        ("RerankService/Rerank", {"query": "a", "candidates": [{"text": "a"}] * 10_001}, "cand"),
        ("RerankService/Rerank", {"query": "a", "candidates": [{"text": "a"}], "top_n": -1}, "top"),
        ("RerankService/Rerank", {"query": "a", "candidates": [{"text": "a"}], "blend": 2}, "blen"),
        ("EmbedService/Embed", {}, "texts"),
        ("EmbedService/Embed", {"texts": ["a"] * 1_001}, "texts"),
        ("EmbedService/Embed", {"texts": ["a"], "dimensions": -1}, "dimensions"),
        ("CollectionService/CreateCollection", {}, "name"),
        ("CollectionService/CreateCollection", {"name": "-a"}, "name"),
        ("CollectionService/CreateCollection", {"name": "a" * 65}, "name"),
        (
            "CollectionService/CreateCollection",
            {"name": "b", "schema": {"client_vectors": True, "dimension": 8_193}},
            "dimension",
        ),
        (
            "CollectionService/CreateCollection",
            {"name": "b", "schema": {"dimension": -1}},
            "dimension",
        ),
        (
            "CollectionService/CreateCollection",
            {"name": "b", "schema": {"chunking": {"window_tokens": 15}}},
            "window_tokens",
        ),
        (
            "CollectionService/CreateCollection",
            {"name": "b", "schema": {"chunking": {"window_tokens": 16, "overlap_tokens": -1}}},
            "overlap_tokens",
        ),
        (
            "CollectionService/CreateCollection",
            {"name": "b", "schema": {"indexed_fields": [{"field": f"f{i}"} for i in range(65)]}},
            "indexed_fields",
        ),
        (
            "CollectionService/CreateCollection",
            {"name": "b", "schema": {"indexed_fields": [{}]}},
            "indexed_fields",
        ),
        ("CollectionService/UpsertDocuments", {"collection": "bounds"}, "documents"),
        (
            "CollectionService/UpsertDocuments",
            {"collection": "bounds", "documents": [{"id": "a", "text": "a"}] * 1_001},
            "documents",
        ),
        (
            "CollectionService/UpsertDocuments",
            {"collection": "bounds", "documents": [{"text": "a"}]},
            "documents[0].id",
        ),
        ("CollectionService/GetDocuments", {"collection": "bounds"}, "ids"),
        ("CollectionService/GetDocuments", {"collection": "bounds", "ids": ["a"] * 1_001}, "ids"),
        (
            "CollectionService/DeleteDocuments",
            {"collection": "bounds", "ids": ["a"] * 10_001},
            "ids",
        ),
        (
            "CollectionService/UpdateMetadata",
            {"collection": "bounds", "ids": ["a"] * 10_001, "merge": {}},
            "ids",
        ),
        ("CollectionService/UpdateMetadata", {"collection": "bounds", "ids": ["a"]}, "merge"),
        ("CollectionService/ListDocuments", {"collection": "bounds", "pageSize": 1_001}, "page_s"),
        ("CollectionService/ListDocuments", {"collection": "bounds", "pageSize": -1}, "page_size"),
        ("CollectionService/ListCollections", {"pageSize": -1}, "page_size"),
        ("CollectionService/ListSnapshots", {"collection": "bounds", "pageSize": -1}, "page_size"),
        ("CollectionService/GetFacets", {"collection": "bounds"}, "facets"),
        (
            "CollectionService/GetFacets",
            {"collection": "bounds", "facets": [{"field": f"f{i}"} for i in range(17)]},
            "facets",
        ),
        ("CollectionService/GetFacets", {"collection": "bounds", "facets": [{}]}, "facets[0].fiel"),
        (
            "CollectionService/GetFacets",
            {"collection": "bounds", "facets": [{"field": "a", "limit": 10_001}]},
            "facets[0].limit",
        ),
        (
            "CollectionService/UpdateAliases",
            {"changes": [{"alias": f"a{i}", "collection": "bounds"} for i in range(1_001)]},
            "changes",
        ),
        ("CollectionService/UpdateAliases", {"changes": [{"collection": "bounds"}]}, "alias"),
        ("CollectionService/RenameCollection", {"name": "bounds"}, "new_name"),
        ("CollectionService/RenameCollection", {"name": "bounds", "new_name": "A"}, "new_name"),
        (
            "CollectionService/RestoreSnapshot",
            {"collection": "bounds", "name": "a", "new_collection": "A"},
            "new_collection",
        ),
        ("CollectionService/CreateSnapshot", {}, "collection"),
        ("CollectionService/DeleteSnapshot", {"collection": "bounds"}, "name"),
        ("ModelService/GetModel", {}, "id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_beyond_a_bound_is_refused(
    http: httpx.Client, rpc: str, body: dict[str, Any], told: str
) -> None:
    http.put("/api/v1/collections/bounds")
    answer = http.post(f"/twopass.v1.{rpc}", json=body)
    assert answer.status_code in (400, 404), answer.text
    assert told in answer.json()["message"]


def test_examples_are_answered(http: httpx.Client, document: dict[str, Any]) -> None:
    http.put("/api/v1/collections/examples")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            if "example" not in media or method == "patch":
                continue
            answer = http.request(
                method,
                path.format(collection="examples", name="no-such-snapshot"),
                json=media["example"],
            )
            # A search that has a time budget may be late on a busy machine.
            expected = (200, 404, 504) if "time_budget" in str(media["example"]) else (200, 404)
            assert answer.status_code in expected, (path, answer.text)
            if answer.status_code == 404:
                assert "does not exist" in answer.text or "no snapshot" in answer.text


def test_the_page_loads_from_this_server_alone(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/docs/docs.css", "/docs/docs.js"} <= set(loaded)
    for path in loaded:
        assert path.startswith(("/", "#", "data:")), path
        if path.startswith("/"):
            assert http.get(path).status_code == 200
    assert "<script>" not in page.text
    assert " style=" not in page.text


def test_the_page_lists_every_endpoint_of_a_dialect_with_those_who_speak_it(
    http: httpx.Client,
) -> None:
    dialects = http.get("/docs/dialects.json").json()
    for dialect in dialects:
        assert dialect["name"] in SPEAKERS, f"tell in page.py who speaks {dialect['name']}"
        assert dialect["endpoints"]
    paths = {each["path"] for dialect in dialects for each in dialect["endpoints"]}
    assert {"/v1/rerank", "/openapi.json"} <= paths
    assert not any(path.startswith("/api/v1") for path in paths)


def test_page_and_document_need_no_key(tmp_path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[[keys]]\nname = "a"\nsha256 = "' + "0" * 64 + '"\n')
    with (
        Server(tmp_path / "data", keys=str(keys), http_address="127.0.0.1:0") as server,
        httpx.Client(base_url=server.http_url) as client,
    ):
        assert client.get("/docs").status_code == 200
        assert client.get("/openapi.json").json()["security"] == [{"key": []}]
        assert client.get("/api/v1/models").status_code == 401
