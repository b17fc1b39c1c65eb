"""More collections than may be open: every one is served, and known without being opened."""

import re
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from twopass.v1 import collection_pb2, search_pb2

from .serving import Server

NUM_COLLECTIONS, MAX_OPEN = 240, 20


def name_of(number):
    return f"tenant-{number:03}"


def fill(server, number):
    schema = collection_pb2.CollectionSchema(client_vectors=True, dimension=2)
    server.collections.CreateCollection(
        collection_pb2.CreateCollectionRequest(name=name_of(number), schema=schema)
    )
    request = collection_pb2.UpsertDocumentsRequest(collection=name_of(number))
    request.documents.add(id=str(number), text=f"note {number}", vector={"values": [1, number]})
    server.collections.UpsertDocuments(request)


def first_hit(server, collection):
    request = search_pb2.SearchRequest(
        collection=collection, query="note", vector={"values": [1, 1]}
    )
    request.rerank.enabled = False
    (hit,) = server.search(request).hits
    return hit.id


def take_back(server, number, document_id):
    """Deletes what a test has added, so that the others find one document in each collection."""
    request = collection_pb2.DeleteDocumentsRequest(collection=name_of(number), ids=[document_id])
    server.collections.DeleteDocuments(request)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with 300 collections of one document."""
    folder = tmp_path_factory.mktemp("many")
    with (
        Server(folder, gated=False, max_open_collections=MAX_OPEN) as server,
        ThreadPoolExecutor(4) as threads,
    ):
        list(threads.map(lambda number: fill(server, number), range(NUM_COLLECTIONS)))
    return folder


@pytest.fixture(scope="module")
def server(data):
    with Server(
        data, gated=False, max_open_collections=MAX_OPEN, metrics_address="127.0.0.1:0"
    ) as running:
        yield running


def metric(server, name):
    url = f"http://127.0.0.1:{server._app.metrics_port}/metrics"
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    return float(re.search(rf"^{re.escape(name)} (.*)$", text, re.MULTILINE)[1])


def test_a_search_in_any_of_them_works(server):
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(
            lambda number: first_hit(server, name_of(number)), range(NUM_COLLECTIONS)
        )
        assert list(found) == [str(number) for number in range(NUM_COLLECTIONS)]
    assert metric(server, 'twopass_collections{state="known"}') == NUM_COLLECTIONS
    assert metric(server, 'twopass_collections{state="open"}') <= MAX_OPEN
    assert metric(server, 'twopass_collection_openings_total{kind="opened"}') >= NUM_COLLECTIONS


def test_all_are_listed_and_described_whether_open_or_not(server):
    opened = metric(server, 'twopass_collection_openings_total{kind="opened"}')
    listed = server.collections.ListCollections(collection_pb2.ListCollectionsRequest()).collections
    assert [c.name for c in listed] == [name_of(number) for number in range(NUM_COLLECTIONS)]
    assert {c.num_documents for c in listed} == {1}
    for number in (0, 150, 239):
        request = collection_pb2.GetCollectionRequest(name=name_of(number))
        assert server.collections.GetCollection(request).collection == listed[number]
    assert metric(server, 'twopass_collection_openings_total{kind="opened"}') == opened


def test_an_alias_of_a_closed_one_finds_it(server):
    change = collection_pb2.AliasChange(alias="docs", collection=name_of(7))
    server.collections.UpdateAliases(collection_pb2.UpdateAliasesRequest(changes=[change]))
    for number in range(100, 100 + MAX_OPEN):
        first_hit(server, name_of(number))
    assert first_hit(server, "docs") == "7"


def test_a_closed_one_is_renamed_without_being_opened(server):
    for number in range(120, 120 + MAX_OPEN):
        first_hit(server, name_of(number))
    opened = metric(server, 'twopass_collection_openings_total{kind="opened"}')
    request = collection_pb2.RenameCollectionRequest(name=name_of(8), new_name="moved")
    renamed = server.collections.RenameCollection(request).collection
    assert (renamed.name, renamed.num_documents) == ("moved", 1)
    assert metric(server, 'twopass_collection_openings_total{kind="opened"}') == opened
    assert metric(server, 'twopass_collection_documents{collection="moved"}') == 1
    assert first_hit(server, "moved") == "8"
    back = collection_pb2.RenameCollectionRequest(name="moved", new_name=name_of(8))
    assert server.collections.RenameCollection(back).collection.name == name_of(8)
    assert first_hit(server, name_of(8)) == "8"


def test_a_stream_keeps_its_collection_open_and_gives_it_back(server):
    chunk = collection_pb2.UpsertDocumentsStreamRequest(collection=name_of(5))
    chunk.documents.add(id="again", text="note again", vector={"values": [1, 0]})

    def chunks():
        yield chunk
        for number in range(190, 190 + 2 * MAX_OPEN):  # the others come and go meanwhile
            first_hit(server, name_of(number))
        yield chunk

    answers = list(server.collections.UpsertDocumentsStream(chunks()))
    assert answers[-1].num_replaced == 1
    for known in server._app._store.folder._names.known.values():
        assert known.num_pins == 0
    take_back(server, 5, "again")


def test_one_too_many_at_once_is_refused_for_now(server):
    streams = []
    for number in range(MAX_OPEN):
        chunk = collection_pb2.UpsertDocumentsStreamRequest(collection=name_of(number))
        chunk.documents.add(id="held", text="note held", vector={"values": [1, 0]})
        streams.append(Held(server, chunk))
    try:
        with pytest.raises(grpc.RpcError) as refused:
            first_hit(server, name_of(230))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "20 are open and in use, at most 20 may be" in refused.value.details()
    finally:
        for number, stream in enumerate(streams):
            stream.end()
            take_back(server, number, "held")
    assert first_hit(server, name_of(230)) == "230"


class Held:
    """A stream that has written one chunk and stays open."""

    def __init__(self, server, chunk):
        self._ended = threading.Event()

        def chunks():
            yield chunk
            self._ended.wait()

        self._answers = server.collections.UpsertDocumentsStream(chunks())
        next(self._answers)

    def end(self):
        self._ended.set()
        list(self._answers)
