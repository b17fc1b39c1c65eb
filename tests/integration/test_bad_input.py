"""Every bad input gets its status and a message that names what is wrong; the server goes on."""

import math
import re

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from twopass.v1 import collection_pb2, embed_pb2, model_pb2, rerank_pb2, search_pb2
from twopass.v1.collection_pb2 import GetDocumentsRequest, UpsertDocumentsRequest
from twopass.v1.document_pb2 import Document
from twopass.v1.embed_pb2 import EmbedRequest
from twopass.v1.rerank_pb2 import RerankRequest
from twopass.v1.search_pb2 import SearchRequest

from .bad_requests import BAD, INVALID, NOT_FOUND, rerank, search
from .serving import MAX_MESSAGE_BYTES, Server, SetCall

SERVICES = [
    module.DESCRIPTOR.services_by_name[name]
    for module, name in [
        (rerank_pb2, "RerankService"),
        (search_pb2, "SearchService"),
        (collection_pb2, "CollectionService"),
        (embed_pb2, "EmbedService"),
        (model_pb2, "ModelService"),
    ]
]
METHODS = [method for service in SERVICES for method in service.methods]
PATHS = {
    method.input_type: f"/{method.containing_service.full_name}/{method.name}" for method in METHODS
}


def still_serves(server: Server) -> bool:
    request = search(query="Why is the sky blue?")
    return server.search(request).rerank_status == search_pb2.RERANK_STATUS_COMPLETE


@pytest.mark.parametrize(
    ("request_message", "code", "message"),
    [pytest.param(*case, id=f"{type(case[0]).__name__}-{case[2][:40]}") for case in BAD],
)
def test_bad_input_is_refused_with_its_status_and_what_is_wrong(
    server, facts, request_message, code, message
):
    call = server.channel.unary_unary(PATHS[request_message.DESCRIPTOR])
    with pytest.raises(grpc.RpcError) as raised:
        call(request_message.SerializeToString())
    assert raised.value.code() is code
    assert raised.value.details().startswith(message)
    info, *others = details_of(raised.value)
    assert info.domain == "twopass"
    if code is INVALID:
        (request,) = others
        (violation,) = request.field_violations
        assert violation.field == info.metadata["field"]
        assert is_field(request_message.DESCRIPTOR, violation.field)
        said = raised.value.details()
        assert said.startswith(f"{violation.field}: {violation.description[:40]}")
    if code is NOT_FOUND:
        assert {"collection", "document", "snapshot", "model"} & info.metadata.keys()


def is_field(message: Descriptor | None, path: str) -> bool:
    """Whether a path names a field, of fields of fields, from the request on."""
    for name in re.sub(r"\[\d+\]", "", path).split("."):
        if message is None:
            return False
        if message.full_name in ("google.protobuf.Struct", "google.protobuf.Timestamp"):
            return True
        if name in message.oneofs_by_name:
            message = None
        elif (field := message.fields_by_name.get(name)) is None:
            return False
        else:
            message = field.message_type
    return True


@pytest.mark.parametrize("path", ["blend", "alpha", "rerank.nope", "query.x", "filter[0].must.x"])
def test_a_field_without_its_parents_is_none(path):
    assert not is_field(SearchRequest.DESCRIPTOR, path)
    assert is_field(SearchRequest.DESCRIPTOR, "retrieve.convex.alpha")


def details_of(error: grpc.RpcError) -> list[Message]:
    """The details that a call ends with, as Google's messages."""
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    kinds = (detail.type_url.rpartition(".")[2] for detail in status.details)
    return [
        getattr(error_details_pb2, kind).FromString(detail.value)
        for kind, detail in zip(kinds, status.details, strict=True)
    ]


def test_after_all_bad_input_the_server_answers_and_nothing_was_written(server, facts):
    assert still_serves(server)
    get = collection_pb2.GetCollectionRequest(name=facts)
    assert server.collections.GetCollection(get).collection.num_documents == 12
    listed = server.collections.ListCollections(collection_pb2.ListCollectionsRequest())
    assert "new" not in [collection.name for collection in listed.collections]


@pytest.mark.parametrize(
    ("header", "texts", "message"),
    [
        ({"query": ""}, ["x"], "set.query: empty"),
        ({"num_candidates": 0}, [], "set.num_candidates: none given"),
        ({"num_candidates": -1}, [], "set.num_candidates: -1 given"),
        ({"num_candidates": 10_001}, ["x"], "set.num_candidates: 10,001 given, at most 10,000"),
        ({"top_n": -1}, ["x"], "set.top_n: -1 given"),
        ({"num_candidates": 2}, ["x", "y", "z"], "candidates: 3 have come, set.num_candidates"),
        ({"num_candidates": 2}, ["x", "\0"], "candidates[1].text: a NUL"),
        ({"model": "nope"}, ["x"], "set.model: no reranker 'nope'"),
        ({"blend": 2}, ["x"], "set.blend: 2 given"),
        ({"min_score": math.nan}, ["x"], "set.min_score: NaN given"),
        ({"truncation": 9}, ["x"], "set.truncation: 9 given"),
        ({"instruction": "find"}, ["x"], "set.instruction: given, but"),
        ({"query": "\u200b"}, ["x"], "set.query: it has no words"),
        (
            {"query": "word " * 257, "query_truncation": rerank_pb2.QUERY_TRUNCATION_REJECT},
            ["x"],
            "set.query: 257 tokens",
        ),
        ({"query_truncation": 7}, ["x"], "set.query_truncation: 7 given"),
        ({"spans": {"neighbors": -1}}, ["x"], "set.spans.neighbors: -1 given"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_bad_set_is_answered_with_what_is_wrong(server, header, texts, message):
    call = SetCall(server)
    call.send("bad", *texts, **{"num_candidates": len(texts)} | header)
    answer = call.next()
    assert answer.set_id == "bad"
    assert answer.error.code in (INVALID.value[0], NOT_FOUND.value[0])
    assert answer.error.message.startswith(message)
    info = next(x for x in answer.error.details if x.type_url.endswith("ErrorInfo"))
    reason = error_details_pb2.ErrorInfo.FromString(info.value)
    field = reason.metadata["field"]
    assert answer.error.message.startswith(f"{field}: ")
    assert is_field(rerank_pb2.RerankStreamRequest.DESCRIPTOR, field)
    call.send("good", "x", num_candidates=1)
    assert call.next().WhichOneof("outcome") == "result"
    assert call.end() == []


# --- bytes ---------------------------------------------------------------------------------------


def send(server: Server, method, content: bytes) -> bytes:
    path = PATHS[method.input_type]
    if method.client_streaming:
        return next(server.channel.stream_stream(path)(iter([content])))
    return server.channel.unary_unary(path)(content)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_malformed_bytes_are_the_callers_fault_on_every_rpc(server, facts, method):
    with pytest.raises(grpc.RpcError) as raised:
        send(server, method, b"\xff\xff\xff")
    assert raised.value.code() is INVALID
    assert method.input_type.full_name in raised.value.details()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_oversized_message_is_refused_on_every_rpc(server, facts, method):
    # Tag, length and content of a field that no message has.
    unknown_field = b"\xfa\xff\x01" + b"\x80\x80\x80\x01" + bytes(MAX_MESSAGE_BYTES)
    message_factory.GetMessageClass(method.input_type).FromString(unknown_field)  # is sound
    with pytest.raises(grpc.RpcError) as raised:
        send(server, method, unknown_field)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("surrogate", [b"\xed\xa0\x80", b"\xed\xbf\xbf"], ids=["high", "low"])
@pytest.mark.parametrize("message", [SearchRequest, RerankRequest, EmbedRequest])
def test_lone_surrogates_are_no_text(server, message, surrogate):
    call = server.channel.unary_unary(PATHS[message.DESCRIPTOR])
    with pytest.raises(grpc.RpcError) as raised:
        call(b"\x0a\x03" + surrogate)  # field 1, a string of three bytes
    assert raised.value.code() is INVALID


@pytest.mark.parametrize("timeout", [-1.0, 0.0])
def test_a_deadline_that_has_passed_is_late(server, facts, timeout):
    for call, request in [(server.search, search()), (server.rerank, rerank())]:
        with pytest.raises(grpc.RpcError) as raised:
            call(request, timeout=timeout)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert still_serves(server)


def test_a_deadline_too_short_for_anything_is_late_or_refused_while_others_work(server, facts):
    # Deadlines travel in whole milliseconds, so the server may still see a part of one left;
    # if the device is at work just then, what can't be in time is refused before it is late.
    for call, request in [(server.search, search()), (server.rerank, rerank())]:
        with pytest.raises(grpc.RpcError) as raised:
            call(request, timeout=1e-6)
        assert raised.value.code() in {
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }
    assert still_serves(server)


def test_odd_text_is_text(server, collection):
    texts = ["\x01\x7f", "\u202eright to left", "🙂" * 500, "e\u0301" * 300, "\ufeff", "a" * 50_000]
    hits = server.rerank(rerank(*texts, return_text=True)).hits
    assert sorted(hit.text for hit in hits) == sorted(texts)
    documents = [Document(id=f"odd {i}", text=text) for i, text in enumerate(texts)]
    server.collections.UpsertDocuments(
        UpsertDocumentsRequest(collection=collection, documents=documents)
    )
    get = GetDocumentsRequest(collection=collection, ids=[document.id for document in documents])
    assert [x.text for x in server.collections.GetDocuments(get).documents] == texts
    response = server.search(search(collection=collection, query="odd"))
    assert response.num_reranked == len(texts)


def test_an_rpc_that_does_not_exist_is_unimplemented(server, facts):
    with pytest.raises(grpc.RpcError) as raised:
        server.channel.unary_unary("/twopass.v1.SearchService/Guess")(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert still_serves(server)
