"""Answers that are larger than a client of gRPC receives, or than a message may be."""

import json
from collections.abc import Iterator

import grpc
import pytest

from twopass.client import Client, Document, Fields, OverloadedError, Schema
from twopass.v1 import collection_pb2, document_pb2, embed_pb2, search_pb2

from .command_line import answer
from .serving import Server, code_of

COLLECTION = "large"
NUM_DOCUMENTS = 300
TEXT = "word " * 50_000  # 250 KB
# What a client of gRPC receives unless it is told otherwise.
ORDINARY_BYTES = 4 * 1024 * 1024
SMALL_BYTES = 100_000
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Iterator[Server]:
    """A server with 300 documents of 250 KB, 75 MB together."""
    with Server(tmp_path_factory.mktemp("large"), gated=False) as server:
        with Client(server.target) as client:
            client.create_collection(COLLECTION, Schema(dimension=2, client_vectors=True))
            client.upsert(
                COLLECTION,
                (
                    Document(id=str(number), text=TEXT, vector=[1, number])
                    for number in range(NUM_DOCUMENTS)
                ),
            )
        yield server


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Iterator[Server]:
    """A server whose answers are small."""
    folder = tmp_path_factory.mktemp("small")
    with Server(folder, gated=False, max_answer_bytes=SMALL_BYTES) as server:
        yield server


@pytest.fixture
def client(large: Server) -> Iterator[Client]:
    with Client(large.target) as client:
        yield client


def test_pages_end_early_so_that_an_ordinary_client_receives_them(large: Server):
    request = collection_pb2.ListDocumentsRequest(collection=COLLECTION, page_size=1_000)
    found: list[str] = []
    while True:
        page = large.collections.ListDocuments(request)
        assert 0 < page.ByteSize() <= ORDINARY_BYTES
        found += [document.id for document in page.documents]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert sorted(found, key=int) == [str(number) for number in range(NUM_DOCUMENTS)]


def test_a_page_ends_early_where_a_message_is_larger_than_what_is_stored(small: Server):
    """A number in metadata takes two bytes of JSON and eleven of a message."""
    numbers = {"numbers": [0] * 600}
    ids = [str(number) for number in range(25)]
    with Client(small.target) as client:
        client.create_collection("numbers", Schema(dimension=1, client_vectors=True))
        client.upsert(
            "numbers", [Document(id=i, text="t", metadata=numbers, vector=[1]) for i in ids]
        )
        assert [document.id for document in client.documents("numbers")] == ids
    first = small.collections.ListDocuments(
        collection_pb2.ListDocumentsRequest(collection="numbers")
    )
    assert 10 < len(first.documents) < 20
    assert first.ByteSize() <= SMALL_BYTES
    asked = collection_pb2.GetDocumentsRequest(collection="numbers", ids=ids)
    assert code_of(small.collections.GetDocuments, asked) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_documents_that_do_not_fit_are_refused_with_the_way_out(large: Server):
    ids = [str(number) for number in range(NUM_DOCUMENTS)]
    request = collection_pb2.GetDocumentsRequest(collection=COLLECTION, ids=ids)
    with pytest.raises(grpc.RpcError) as raised:
        large.collections.GetDocuments(request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details().startswith("300 documents have 75,00")
    assert "at most 4,194,304 may be in one answer (max_answer_bytes)" in raised.value.details()
    request.fields.text = False
    assert len(large.collections.GetDocuments(request).documents) == NUM_DOCUMENTS
    del request.ids[16:]
    request.fields.text = True
    assert len(large.collections.GetDocuments(request).documents) == 16


def test_an_id_asked_for_again_and_again_counts_each_time(large: Server):
    request = collection_pb2.GetDocumentsRequest(collection=COLLECTION, ids=["7"] * 1_000)
    assert code_of(large.collections.GetDocuments, request) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_request_may_ask_for_more_than_the_servers_default(large: Server):
    with pytest.raises(grpc.RpcError) as raised:
        large.collections.GetDocuments(
            collection_pb2.GetDocumentsRequest(
                collection=COLLECTION, ids=["1"], max_answer_bytes=10_000
            )
        )
    assert raised.value.details().startswith("document '1' has 250,0")
    with pytest.raises(grpc.RpcError) as raised:
        large.collections.GetDocuments(
            collection_pb2.GetDocumentsRequest(
                collection=COLLECTION, ids=["1"], max_answer_bytes=-1
            )
        )
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_hits_carry_what_fits_and_say_what_is_left_out(large: Server):
    request = search_pb2.SearchRequest(
        collection=COLLECTION,
        vector=document_pb2.Vector(values=[0, 1]),
        top_n=NUM_DOCUMENTS,
        rerank=search_pb2.RerankOptions(enabled=False),
    )
    answer = large.search(request)
    assert len(answer.hits) == NUM_DOCUMENTS
    assert ORDINARY_BYTES - len(TEXT) - 50_000 < answer.ByteSize() <= ORDINARY_BYTES
    num_whole = sum(hit.text == TEXT for hit in answer.hits)
    omitted = [hit.content_omitted for hit in answer.hits]
    assert omitted == [False] * num_whole + [True] * (NUM_DOCUMENTS - num_whole)
    assert not any(hit.text for hit in answer.hits[num_whole:])
    assert all(hit.id and hit.HasField("dense_score") for hit in answer.hits)
    request.fields.text = False
    assert not any(hit.content_omitted for hit in large.search(request).hits)
    request.fields.text = True
    request.max_answer_bytes = 5_000
    with pytest.raises(grpc.RpcError) as raised:
        large.search(request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details().startswith("top_n: 300 hits take more than 5,000 bytes")


def test_hits_whose_metadata_is_larger_in_a_message_than_stored_leave_it_out(small: Server):
    numbers = {"numbers": [0] * 600}  # 1.2 KB of JSON, 6.6 KB of a message
    with Client(small.target) as client:
        client.create_collection("hits", Schema(dimension=1, client_vectors=True))
        client.upsert(
            "hits",
            [Document(id=str(n), text="t", metadata=numbers, vector=[1]) for n in range(40)],
        )
    request = search_pb2.SearchRequest(
        collection="hits",
        vector=document_pb2.Vector(values=[1]),
        top_n=40,
        rerank=search_pb2.RerankOptions(enabled=False),
        max_answer_bytes=SMALL_BYTES,
    )
    hits = small.search(request).hits
    omitted = [hit.content_omitted for hit in hits]
    assert 10 < omitted.count(False) < 20
    assert omitted == sorted(omitted)
    assert [bool(hit.metadata.fields) for hit in hits] == [not each for each in omitted]
    request.fields.metadata_as_json = True
    hits = small.search(request).hits
    assert all(hit.metadata_json and not hit.content_omitted for hit in hits)


def test_the_python_client_finds_as_much_as_it_can_receive(client: Client):
    hits = client.search(COLLECTION, vector=[0, 1], top_n=300, rerank=False).hits
    assert [hit.content_omitted for hit in hits].count(False) == 268  # of 250 KB each in 64 MiB


def test_the_python_client_gets_what_it_can_receive(client: Client):
    ids = [str(number) for number in range(NUM_DOCUMENTS)]
    assert len(client.get(COLLECTION, ids[:200])) == 200  # 50 MB
    with pytest.raises(OverloadedError, match="at most 67,108,864") as raised:
        client.get(COLLECTION, ids)
    assert raised.value.retry_after is None
    with Client(client_target(client), max_message_bytes=1_000_000) as small:
        assert len(small.get(COLLECTION, ids[:3])) == 3
        with pytest.raises(OverloadedError, match="at most 1,000,000"):
            small.get(COLLECTION, ids[:4])


def client_target(client: Client) -> str:
    return client._connection.target


def test_the_python_client_lists_all(client: Client):
    found = list(client.documents(COLLECTION, page_size=1_000, fields=Fields(vector=True)))
    assert len(found) == NUM_DOCUMENTS
    assert {document.text for document in found} == {TEXT}
    assert all(document.vector is not None for document in found)


def test_an_export_holds_all(large: Server, tmp_path):
    file = tmp_path / "large.jsonl"
    answer("export", COLLECTION, str(file), "--target", large.target)
    with file.open(encoding="utf-8") as lines:
        ids = [json.loads(line)["id"] for line in lines]
    assert sorted(ids, key=int) == [str(number) for number in range(NUM_DOCUMENTS)]


def test_a_document_that_alone_is_too_large_is_named(small: Server):
    with Client(small.target) as client:
        client.create_collection("one", Schema(dimension=1, client_vectors=True))
        documents = [
            Document(id="small", text="t", vector=[1]),
            Document(id="large", text="t" * (SMALL_BYTES + 1), vector=[1]),
        ]
        client.upsert("one", documents)
    request = collection_pb2.ListDocumentsRequest(collection="one")
    page = small.collections.ListDocuments(request)
    assert [document.id for document in page.documents] == ["small"]
    request.page_token = page.next_page_token
    with pytest.raises(grpc.RpcError) as raised:
        small.collections.ListDocuments(request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details().startswith("document 'large' has 100,0")
    request.fields.text = False
    assert len(small.collections.ListDocuments(request).documents) == 1


def test_embeddings_that_would_not_fit_a_message_are_refused_before_they_are_computed(tmp_path):
    with Server(tmp_path, gated=False, max_message_bytes=50_000) as server:
        with pytest.raises(grpc.RpcError) as raised:
            server.embed(embed_pb2.EmbedRequest(texts=["word"] * 33))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert raised.value.details().startswith("texts: the embeddings of 33 take 51,")
        assert len(server.embed(embed_pb2.EmbedRequest(texts=["word"] * 31)).embeddings) == 31


def test_collections_and_snapshots_are_listed_page_by_page(tmp_path):
    names = ["a", "b", "c", "d", "e"]
    with Server(tmp_path, gated=False) as server, Client(server.target) as client:
        for name in names:
            client.create_collection(name, Schema(dimension=1, client_vectors=True))
            client.create_snapshot("a", name)
        first = server.collections.ListCollections(
            collection_pb2.ListCollectionsRequest(page_size=2)
        )
        second = server.collections.ListCollections(
            collection_pb2.ListCollectionsRequest(page_size=3, page_token=first.next_page_token)
        )
        listed = [*first.collections, *second.collections]
        assert [collection.name for collection in listed] == names
        assert not second.next_page_token
        request = collection_pb2.ListSnapshotsRequest(collection="a", page_size=3)
        found = []
        while not found or request.page_token:
            page = server.collections.ListSnapshots(request)
            found.append([snapshot.name for snapshot in page.snapshots])
            request.page_token = page.next_page_token
        assert found == [["a", "b", "c"], ["d", "e"]]
        request.page_token = "x" * 1_000
        assert code_of(server.collections.ListSnapshots, request) is INVALID
        wrong = collection_pb2.ListCollectionsRequest(page_token="No name")
        assert code_of(server.collections.ListCollections, wrong) is INVALID
        wrong = collection_pb2.ListCollectionsRequest(page_size=-1)
        assert code_of(server.collections.ListCollections, wrong) is INVALID


def test_everything_is_listed_though_it_takes_several_answers(tmp_path):
    with Server(tmp_path, gated=False, max_answer_bytes=1_500) as server:
        client = Client(server.target)
        names = [f"collection-{number}" for number in range(9)]
        for name in names:
            client.create_collection(name, Schema(dimension=1, client_vectors=True))
        page = server.collections.ListCollections(collection_pb2.ListCollectionsRequest())
        assert 1 <= len(page.collections) < 9
        assert [collection.name for collection in client.list_collections()] == names
