"""Documents counted, read where they are there, written where they are not, and updated."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import sleep

import grpc
import pytest

from twopass.client import (
    AlreadyExistsError,
    AsyncClient,
    Client,
    Document,
    Facet,
    Fields,
    InvalidArgumentError,
    field,
)
from twopass.v1 import collection_pb2
from twopass.v1.collection_pb2 import (
    CountDocumentsRequest,
    GetDocumentsRequest,
    UpsertDocumentsRequest,
    UpsertDocumentsStreamRequest,
)
from twopass.v1.filter_pb2 import Filter
from twopass.v1.status_pb2 import ErrorInfo, Status

from .corpus import document
from .serving import Server

REPLACE, SKIP, FAIL = (
    collection_pb2.ON_CONFLICT_REPLACE,
    collection_pb2.ON_CONFLICT_SKIP,
    collection_pb2.ON_CONFLICT_FAIL,
)


@pytest.fixture
def client(server: Server):
    with Client(server.target) as made:
        yield made


def upsert(server, collection, on_conflict, *documents):
    request = UpsertDocumentsRequest(
        collection=collection, documents=documents, on_conflict=on_conflict
    )
    return server.collections.UpsertDocuments(request)


def text_of(server, collection, document_id):
    request = GetDocumentsRequest(collection=collection, ids=[document_id])
    return server.collections.GetDocuments(request).documents[0].text


def test_documents_are_counted_by_a_filter(server, client, collection):
    count = server.collections.CountDocuments
    assert count(CountDocumentsRequest(collection=collection)).num_documents == 0
    upsert(
        server, collection, 0, *(document(str(i), "bees", n=i, odd=i % 2 == 1) for i in range(9))
    )
    assert count(CountDocumentsRequest(collection=collection)).num_documents == 9
    assert client.count(collection) == 9
    assert client.count(collection, filter=field("n").between(gte=3)) == 6
    assert (
        client.count(collection, filter=field("odd").equals(True) & field("n").is_in([1, 2])) == 1
    )
    client.delete(collection, filter=field("odd").equals(True))
    assert client.count(collection, filter=~field("n").equals(0)) == 4


def test_unknown_ids_are_left_out_where_they_may_be_missing(server, client, collection):
    upsert(server, collection, 0, document("a", "bees"), document("b", "glass"))
    request = GetDocumentsRequest(
        collection=collection, ids=["x", "b", "y", "a", "x", "b"], allow_missing=True
    )
    answer = server.collections.GetDocuments(request)
    assert [found.id for found in answer.documents] == ["b", "a", "b"]
    assert list(answer.missing_ids) == ["x", "y"]
    none = GetDocumentsRequest(collection=collection, ids=["x"], allow_missing=True)
    assert server.collections.GetDocuments(none).missing_ids == ["x"]
    bare = Fields(text=False, metadata=False)
    assert client.get(collection, ["x", "a"], allow_missing=True, fields=bare) == (Document("a"),)


def test_missing_ids_count_as_bytes_of_the_answer(server, collection):
    upsert(server, collection, 0, document("a", 800 * "bee "))
    missing = [f"{i:0500}" for i in range(8)]
    request = GetDocumentsRequest(
        collection=collection, ids=["a", *missing], allow_missing=True, max_answer_bytes=8_000
    )
    with pytest.raises(grpc.RpcError, match="RESOURCE_EXHAUSTED"):
        server.collections.GetDocuments(request)
    request.max_answer_bytes = 12_000
    answer = server.collections.GetDocuments(request)
    assert list(answer.missing_ids) == missing
    assert answer.ByteSize() <= 12_000


def test_a_known_id_is_skipped_and_not_embedded(server, collection):
    upsert(server, collection, REPLACE, document("a", "bees make honey"))
    server.encoder.gate.clear()
    server.encoder.entered.clear()
    try:
        skipped = upsert(server, collection, SKIP, document("a", "glass is sand"))
        assert not server.encoder.entered.is_set()
    finally:
        server.encoder.gate.set()
    assert (skipped.num_inserted, skipped.num_replaced, skipped.num_skipped) == (0, 0, 1)
    assert skipped.sequence
    written = upsert(server, collection, SKIP, document("b", "b"), document("a", "glass is sand"))
    assert (written.num_inserted, written.num_replaced, written.num_skipped) == (1, 0, 1)
    assert text_of(server, collection, "a") == "bees make honey"


def test_a_known_id_fails_where_all_must_be_new(server, collection):
    upsert(server, collection, FAIL, document("a", "bees make honey"))
    with pytest.raises(grpc.RpcError, match="1 of their ids is known") as refused:
        upsert(server, collection, FAIL, document("b", "b"), document("a", "glass is sand"))
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "'a'" in refused.value.details()
    assert (
        server.collections.CountDocuments(
            CountDocumentsRequest(collection=collection)
        ).num_documents
        == 1
    )


@pytest.mark.parametrize("on_conflict", [REPLACE, SKIP, FAIL])
def test_an_id_given_twice_is_bad_input_though_it_is_known(server, collection, on_conflict):
    upsert(server, collection, 0, document("a", "bees make honey"))
    with pytest.raises(grpc.RpcError, match=r"documents\[1\].id") as refused:
        upsert(server, collection, on_conflict, document("a", "x"), document("a", "y"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_bad_documents_are_named_by_their_place_though_some_are_skipped(server, collection):
    upsert(server, collection, 0, document("a", "bees make honey"))
    with pytest.raises(grpc.RpcError, match=r"documents\[1\].id: must be 1 to 512 bytes"):
        upsert(server, collection, SKIP, document("a", "x"), document("", "y"))


def test_a_stream_says_once_what_becomes_of_known_ids(server, collection):
    def chunk(*documents, on_conflict=0):
        return UpsertDocumentsStreamRequest(
            collection=collection, documents=documents, on_conflict=on_conflict
        )

    chunks = [
        chunk(document("a", "first"), document("b", "b"), on_conflict=SKIP),
        chunk(document("a", "second"), document("c", "c")),
        chunk(document("b", "third"), on_conflict=SKIP),
    ]
    *_, last = server.collections.UpsertDocumentsStream(iter(chunks))
    assert (last.num_chunks, last.num_documents, last.num_inserted) == (3, 3, 3)
    assert (last.num_replaced, last.num_skipped) == (0, 2)
    assert text_of(server, collection, "a") == "first"
    chunks = [
        chunk(document("d", "d")),
        chunk(document("d", "d"), on_conflict=REPLACE),
        chunk(document("e", "e"), on_conflict=SKIP),
    ]
    with pytest.raises(grpc.RpcError, match=r"ON_CONFLICT_SKIP given, .* ON_CONFLICT_REPLACE"):
        list(server.collections.UpsertDocumentsStream(iter(chunks)))


def test_an_error_of_a_stream_says_which_chunk_and_what_is_written(server, collection):
    def chunk(*documents):
        return UpsertDocumentsStreamRequest(collection=collection, documents=documents)

    chunks = [chunk(document("a", "a")), chunk(document("b", "b")), chunk(document("", "c"))]
    chunks.append(chunk(document("d", "d")))
    with pytest.raises(grpc.RpcError) as raised:
        list(server.collections.UpsertDocumentsStream(iter(chunks)))
    said = "chunk 3, after 2 written: documents[0].id: must be 1 to 512 bytes of UTF-8, 0 given"
    assert raised.value.details() == said
    (status,) = (v for k, v in raised.value.trailing_metadata() if k == "grpc-status-details-bin")
    info = ErrorInfo.FromString(Status.FromString(status).details[0].value)
    assert (info.metadata["chunk"], info.metadata["chunks_written"]) == ("3", "2")
    assert info.metadata["field"] == "documents[0].id"
    assert text_of(server, collection, "b") == "b"
    with pytest.raises(grpc.RpcError, match="has no document 'd'"):
        text_of(server, collection, "d")


def test_a_chunk_that_is_no_message_is_told_by_its_number(server, collection):
    call = server.channel.stream_stream("/twopass.v1.CollectionService/UpsertDocumentsStream")
    sound = UpsertDocumentsStreamRequest(collection=collection, documents=[document("a", "a")])
    chunks = [sound.SerializeToString(), b"\xff\xff"]
    with pytest.raises(grpc.RpcError, match="chunk 2, after 1 written: not a") as raised:
        list(call(iter(chunks)))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_both_clients_skip_and_fail(server, client, collection):
    documents = [Document("a", "one"), Document("b", "two"), Document("a", "three")]
    summary = client.upsert(collection, documents, on_conflict="skip")
    assert (summary.num_documents, summary.num_inserted, summary.num_skipped) == (2, 2, 1)
    assert client.get(collection, ["a"])[0].text == "one"
    with pytest.raises(AlreadyExistsError, match="'a', 'b'"):
        client.upsert(collection, documents, on_conflict="fail")
    async with AsyncClient(server.target) as asynchronous:
        summary = await asynchronous.upsert(collection, documents, on_conflict="skip")
        assert (summary.num_documents, summary.num_skipped) == (0, 3)
        with pytest.raises(AlreadyExistsError):
            await asynchronous.upsert(collection, documents, on_conflict="fail")
        assert await asynchronous.count(collection) == 2
        found = await asynchronous.get(collection, ["b", "x"], allow_missing=True)
        assert [document.id for document in found] == ["b"]


def metadata_of(client, collection, *ids):
    return [document.metadata for document in client.get(collection, ids)]


def test_metadata_is_changed_without_embedding_anything(server, client, collection):
    documents = [Document(str(i), "bees make honey", metadata={"n": i}) for i in range(4)]
    client.upsert(collection, documents)
    server.encoder.gate.clear()
    server.encoder.entered.clear()
    try:
        updated = client.update_metadata(
            collection, filter=field("n").between(gte=2), merge={"n": None, "deep": {"x": 1}}
        )
        assert updated.num_updated == 2
        again = client.update_metadata(collection, ["3", "x"], merge={"deep": {"y": 2}})
        assert again.num_updated == 1
        replaced = client.update_metadata(collection, ["0"], replace={"only": [True]})
        assert not server.encoder.entered.is_set()
    finally:
        server.encoder.gate.set()
    assert metadata_of(client, collection, *"0123") == [
        {"only": [True]},
        {"n": 1},
        {"deep": {"x": 1}},
        {"deep": {"x": 1, "y": 2}},
    ]
    found = client.search(
        collection,
        "honey",
        filter=field("deep.y").equals(2),
        min_sequence=replaced.sequence,
        rerank=False,
    )
    assert [hit.id for hit in found.hits] == ["3"]


def test_every_document_is_updated_by_a_filter_without_conditions(client, collection):
    client.upsert(collection, [Document(str(i), "bees") for i in range(300)])
    assert (
        client.update_metadata(collection, filter=Filter(), merge={"seen": True}).num_updated == 300
    )
    assert client.count(collection, filter=field("seen").equals(True)) == 300


def test_an_update_that_would_make_metadata_too_large_changes_nothing(client, collection):
    client.upsert(
        collection, [Document("a", "x"), Document("b", "x", metadata={"t": 50_000 * "t"})]
    )
    with pytest.raises(InvalidArgumentError, match=r"merge: document 'b': .* at most 65,536"):
        client.update_metadata(collection, ["a", "b"], merge={"u": 20_000 * "u"})
    assert metadata_of(client, collection, "a") == [{}]


async def test_the_asynchronous_client_updates_metadata(server, client, collection):
    client.upsert(collection, [Document("a", "x", metadata={"n": 1})])
    async with AsyncClient(server.target) as asynchronous:
        await asynchronous.update_metadata(collection, ["a"], merge={"m": 2})
        with pytest.raises(TypeError, match="merge, replace"):
            await asynchronous.update_metadata(collection, ["a"], merge={}, replace={})
    assert metadata_of(client, collection, "a") == [{"n": 1, "m": 2}]


@pytest.fixture
def library(client, collection):
    """A collection of books."""
    books = [
        {"year": 1990, "tags": ["a", "b"], "author": {"name": "Ann"}, "at": "2024-01-31"},
        {
            "year": 1990.0,
            "tags": ["b", "b"],
            "author": {"name": "Bob"},
            "at": "2024-02-01T01:00:00Z",
        },
        {"year": 2**53 + 1, "tags": [], "authors": [{"name": "Ann"}, {"name": "Bob"}]},
        {"year": None, "tags": "b", "a.b": True},
    ]
    client.upsert(collection, [Document(str(i), "x", metadata=m) for i, m in enumerate(books)])
    return collection


def pairs(facet):
    return [(value.value, value.num_documents) for value in facet.values]


def test_facets_tell_the_values_of_fields(client, library):
    names = ["tags", "year", "author.name", "authors.name", '"a.b"', "never"]
    facets = client.facets(library, names)
    assert list(facets) == names
    assert pairs(facets["tags"]) == [("b", 3), ("a", 1)]
    assert (facets["tags"].num_documents, facets["tags"].texts) == (4, ("a", "b"))
    year = facets["year"]
    assert pairs(year) == [(1990, 2), (None, 1), (2**53 + 1, 1)]
    assert (year.num_values, year.numbers, year.texts) == (3, (1990, 2**53 + 1), None)
    assert pairs(facets["author.name"]) == [("Ann", 1), ("Bob", 1)]
    assert pairs(facets["authors.name"]) == [("Ann", 1), ("Bob", 1)]
    assert pairs(facets['"a.b"']) == [(True, 1)]
    assert facets["never"] == Facet(0, 0, (), None, None, None)
    for name, facet in facets.items():
        for value in facet.values:
            found = client.count(library, filter=field(name).equals(value.value))
            assert found == value.num_documents


def test_facets_are_of_the_documents_that_pass_and_of_as_many_values_as_asked_for(client, library):
    facet = client.facets(library, ["tags"], filter=field("year").equals(1990), limit=1)["tags"]
    assert (pairs(facet), facet.num_values, facet.num_documents) == ([("b", 2)], 2, 2)
    none = client.facets(library, ["tags"], limit=0)["tags"]
    assert (none.values, none.num_values) == ((), 2)


def test_facets_have_the_ends_of_times(client, library):
    times = client.facets(library, ["at"])["at"].times
    assert times == (datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 1, 1, tzinfo=UTC))


def test_facets_fit_an_answer(client, collection):
    documents = (Document(str(i), "x", metadata={"t": f"{i:04}" * 10_000}) for i in range(150))
    client.upsert(collection, documents)
    facet = client.facets(collection, ["t"], limit=10_000)["t"]
    assert facet.num_values == 150
    assert len(facet.values) == 2 * 1024**2 // 40_000 - 2  # the ends take the room of two


async def test_the_asynchronous_client_reads_facets(server, library):
    async with AsyncClient(server.target) as asynchronous:
        facets = await asynchronous.facets(library, ["tags"])
    assert pairs(facets["tags"]) == [("b", 3), ("a", 1)]


def while_held(server, *calls):
    """Results or errors of calls that have all looked for known ids before the encoder goes on."""
    server.encoder.gate.clear()
    try:
        with ThreadPoolExecutor(len(calls)) as threads:
            futures = [threads.submit(call) for call in calls]
            sleep(0.3)  # they wait for their embeddings by now; later ones only test less
            server.encoder.gate.set()
            return [future.exception() or future.result() for future in futures]
    finally:
        server.encoder.gate.set()


def test_what_is_known_is_decided_again_when_it_is_written(server, client, collection):
    def writing(on_conflict, text):
        documents = [document("a", text), document("b", text)]
        return lambda: upsert(server, collection, on_conflict, *documents)

    skipping = while_held(server, *(writing(SKIP, f"skipping {i}") for i in range(3)))
    assert sorted(one.num_inserted for one in skipping) == [0, 0, 2]
    assert sorted(one.num_skipped for one in skipping) == [0, 2, 2]
    client.delete(collection, ["a", "b"])
    failing = while_held(server, *(writing(FAIL, f"failing {i}") for i in range(3)))
    refused = [one for one in failing if isinstance(one, grpc.RpcError)]
    assert [error.code() for error in refused] == 2 * [grpc.StatusCode.ALREADY_EXISTS]
    assert client.count(collection) == 2
