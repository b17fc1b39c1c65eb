import grpc
import numpy as np
import pytest

from twopass.v1 import collection_pb2, document_pb2, search_pb2
from twopass.v1.collection_pb2 import (
    CollectionSchema,
    CreateCollectionRequest,
    DeleteCollectionRequest,
    DeleteDocumentsRequest,
    GetCollectionRequest,
    GetDocumentsRequest,
    ListCollectionsRequest,
    ListDocumentsRequest,
    UpsertDocumentsRequest,
    UpsertDocumentsStreamRequest,
)
from twopass.v1.search_pb2 import RerankOptions, SearchRequest

from .corpus import FACTS, document, fill
from .serving import Server

FIRST_PASS = RerankOptions(enabled=False)


def search(server, collection: str, query: str, **fields) -> list[str]:
    request = SearchRequest(collection=collection, query=query, rerank=FIRST_PASS, **fields)
    return [hit.id for hit in server.search(request).hits]


def upsert(server, collection: str, *documents):
    return server.collections.UpsertDocuments(
        UpsertDocumentsRequest(collection=collection, documents=documents)
    )


def code_of(call, request) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return raised.value.code()


def test_a_collection_is_created_listed_and_deleted(server):
    collections = server.collections
    created = collections.CreateCollection(CreateCollectionRequest(name="short-lived")).collection
    assert created.schema == CollectionSchema(
        dimension=384,
        metric=collection_pb2.METRIC_COSINE,
        encoder="all-MiniLM-L6-v2",
        encoder_revision=created.schema.encoder_revision,
        index_kind="Flat",
        chunking=collection_pb2.Chunking(window_tokens=254, overlap_tokens=48),
        lexical_tokenizer=collection_pb2.LEXICAL_TOKENIZER_UNICODE,
        language="en",
    )
    assert len(created.schema.encoder_revision) == 64
    assert created.num_documents == 0
    assert created.create_time.seconds > 0
    assert collections.GetCollection(GetCollectionRequest(name="short-lived")).collection == created
    names = [x.name for x in collections.ListCollections(ListCollectionsRequest()).collections]
    assert "short-lived" in names
    assert names == sorted(names)
    create = CreateCollectionRequest(name="short-lived")
    assert code_of(collections.CreateCollection, create) is grpc.StatusCode.ALREADY_EXISTS
    collections.DeleteCollection(DeleteCollectionRequest(name="short-lived"))
    for call, request in [
        (collections.GetCollection, GetCollectionRequest(name="short-lived")),
        (collections.DeleteCollection, DeleteCollectionRequest(name="short-lived")),
        (server.search, SearchRequest(collection="short-lived", query="x")),
    ]:
        assert code_of(call, request) is grpc.StatusCode.NOT_FOUND


def test_an_empty_collection_is_searched_without_a_hit(server, collection):
    response = server.search(SearchRequest(collection=collection, query="anything"))
    assert not response.hits
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert (response.num_candidates, response.num_reranked) == (0, 0)


def test_what_is_written_is_found_by_the_next_search(server, collection):
    for i, (key, text) in enumerate(FACTS.items(), 1):
        written = upsert(server, collection, document(key, text))
        assert (written.num_inserted, written.num_replaced) == (1, 0)
        response = server.search(
            SearchRequest(
                collection=collection, query=text, min_sequence=written.sequence, rerank=FIRST_PASS
            )
        )
        assert response.hits[0].id == key
        assert response.num_candidates == i
        assert response.sequence == written.sequence


def test_a_known_id_replaces_and_a_deleted_one_hides(server, collection):
    upsert(server, collection, document("a", "bees make honey"), document("b", "glass is sand"))
    written = upsert(server, collection, document("a", "the moon pulls at the sea", stars=4))
    assert (written.num_inserted, written.num_replaced) == (0, 1)
    hits = server.search(SearchRequest(collection=collection, query="honey")).hits
    assert sorted(hit.text for hit in hits) == ["glass is sand", "the moon pulls at the sea"]
    ids = ["a", "never there"]
    deleted = server.collections.DeleteDocuments(
        DeleteDocumentsRequest(collection=collection, ids=ids)
    )
    assert deleted.num_deleted == 1
    assert search(server, collection, "moon", min_sequence=deleted.sequence) == ["b"]
    get = GetDocumentsRequest(collection=collection, ids=["b", "a"])
    with pytest.raises(grpc.RpcError, match="no document 'a'"):
        server.collections.GetDocuments(get)


def test_documents_are_returned_as_they_were_given(server, collection):
    given = document("id with spaces, 東京", "text\twith\nlines 🙂", title="Title")
    given.metadata.update(
        {
            "n": 1.5,
            "big": 2**53,
            "none": None,
            "yes": True,
            "list": [1, "a", [], {}],
            "é": {"x": ""},
        }
    )
    bare = document_pb2.Document(id="bare", title="only a title")
    upsert(server, collection, given, bare)
    get = GetDocumentsRequest(collection=collection, ids=["bare", given.id])
    answered = server.collections.GetDocuments(get).documents
    assert answered[1] == given
    assert (answered[0].title, answered[0].text) == ("only a title", "")
    get.fields.CopyFrom(document_pb2.DocumentFields(text=False, metadata=False, vector=True))
    (bare, full) = server.collections.GetDocuments(get).documents
    assert not full.text
    assert not full.HasField("metadata")
    assert np.linalg.norm(full.vector.values) == pytest.approx(1, abs=1e-6)


def test_metadata_may_be_as_deep_as_a_message_can_be(server, collection):
    given = document("deep", "text")
    inner = given.metadata
    for _ in range(30):
        inner = inner.get_or_create_struct("x")
    upsert(server, collection, given)
    get = GetDocumentsRequest(collection=collection, ids=["deep"])
    assert server.collections.GetDocuments(get).documents[0] == given


@pytest.mark.parametrize("page_size", [1, 5, 12, 13, 0], ids="page_size={}".format)
def test_pages_hold_every_document_once(server, facts, page_size):
    seen, token = [], ""
    while True:
        page = server.collections.ListDocuments(
            ListDocumentsRequest(collection=facts, page_size=page_size, page_token=token)
        )
        seen += [x.id for x in page.documents]
        assert len(page.documents) <= (page_size or 100)
        token = page.next_page_token
        if not token:
            break
    assert sorted(seen) == sorted(FACTS)


def test_chunks_of_a_stream_are_acknowledged_in_order_with_the_progress(server, collection):
    chunks = [
        UpsertDocumentsStreamRequest(collection=collection, documents=[document("a", "one")]),
        UpsertDocumentsStreamRequest(documents=[document("a", "two"), document("b", "three")]),
        UpsertDocumentsStreamRequest(collection=collection, documents=[document("c", "four")]),
    ]
    answers = list(server.collections.UpsertDocumentsStream(iter(chunks)))
    assert [(x.num_chunks, x.num_documents) for x in answers] == [(1, 1), (2, 3), (3, 4)]
    assert [(x.num_inserted, x.num_replaced) for x in answers] == [(1, 0), (2, 1), (3, 1)]
    assert len({x.sequence for x in answers}) == 3
    assert len(search(server, collection, "one", min_sequence=answers[-1].sequence)) == 3


def test_the_first_bad_chunk_ends_the_stream_and_those_before_it_stay(server, collection):
    chunks = [
        UpsertDocumentsStreamRequest(collection=collection, documents=[document("a", "one")]),
        UpsertDocumentsStreamRequest(documents=[document("b", "two"), document("", "no id")]),
        UpsertDocumentsStreamRequest(documents=[document("c", "three")]),
    ]
    answers = server.collections.UpsertDocumentsStream(iter(chunks))
    assert next(answers).num_chunks == 1
    with pytest.raises(grpc.RpcError) as raised:
        next(answers)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "documents[1].id" in raised.value.details()
    assert search(server, collection, "one") == ["a"]


def test_a_stream_writes_to_one_collection(server, collection, facts):
    chunks = [
        UpsertDocumentsStreamRequest(collection=collection, documents=[document("a", "one")]),
        UpsertDocumentsStreamRequest(collection=facts, documents=[document("b", "two")]),
    ]
    answers = server.collections.UpsertDocumentsStream(iter(chunks))
    next(answers)
    with pytest.raises(grpc.RpcError, match="'facts' given, but this call writes to 'of-a-test'"):
        next(answers)


def test_clients_may_bring_their_vectors(server):
    schema = CollectionSchema(
        client_vectors=True, dimension=3, metric=collection_pb2.METRIC_INNER_PRODUCT
    )
    server.collections.CreateCollection(CreateCollectionRequest(name="vectors", schema=schema))

    def vector(*values: float) -> document_pb2.Vector:
        return document_pb2.Vector(values=values)

    documents = [
        document_pb2.Document(id=key, text=FACTS[key], vector=vector(*values))
        for key, values in {"canberra": (1, 0, 0), "sky": (0, 2, 0), "bees": (1, 1, 1)}.items()
    ]
    try:
        upsert(server, "vectors", *documents)
        request = SearchRequest(collection="vectors", vector=vector(0, 1, 0), rerank=FIRST_PASS)
        hits = server.search(request).hits
        assert [(hit.id, hit.dense_score) for hit in hits] == [
            ("sky", 2), ("bees", 1), ("canberra", 0),
        ]  # fmt: skip
        both = SearchRequest(
            collection="vectors",
            vector=vector(0, 1, 0),
            query="capital of Australia",
            rerank=RerankOptions(blend=0),
        )
        assert server.search(both).hits[0].id == "canberra"
        without = SearchRequest(collection="vectors", query="capital of Australia")
        with pytest.raises(grpc.RpcError, match="vector: unset, but collection 'vectors'"):
            server.search(without)
        with pytest.raises(grpc.RpcError, match=r"documents\[0\]\.vector: unset, but collection"):
            upsert(server, "vectors", document("x", "no vector"))
    finally:
        server.collections.DeleteCollection(DeleteCollectionRequest(name="vectors"))


@pytest.mark.parametrize("kind", ["HNSW32", "IVF4,SQfp16", "SQfp16"])
def test_a_collection_of_another_index_kind_is_searched_as_far_as_the_request_says(tmp_path, kind):
    count, dimension = 400, 16
    vectors = np.random.default_rng(0).standard_normal((count, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    schema = CollectionSchema(client_vectors=True, dimension=dimension, index_kind=kind)
    documents = [
        document_pb2.Document(id=str(i), text="x", vector=document_pb2.Vector(values=vector))
        for i, vector in enumerate(vectors)
    ]
    with Server(tmp_path, merge_changes=300) as server:
        create = CreateCollectionRequest(name="kinds", schema=schema)
        assert server.collections.CreateCollection(create).collection.schema.index_kind == kind
        upsert(server, "kinds", *documents)

        def best(i: int, **breadth: int) -> str:
            found = server.search(
                SearchRequest(
                    collection="kinds",
                    vector=document_pb2.Vector(values=vectors[i]),
                    retrieve=search_pb2.RetrieveOptions(
                        mode=search_pb2.RETRIEVE_MODE_DENSE, **breadth
                    ),
                    rerank=FIRST_PASS,
                )
            )
            return found.hits[0].id

        for _ in range(2):  # from the delta or the base: the merge goes on beside this
            assert [best(i, ef_search=400, nprobe=4) for i in range(count)] == [
                str(i) for i in range(count)
            ]
        with pytest.raises(grpc.RpcError, match=r"retrieve\.nprobe: must be 1 to 65,536, 0 given"):
            best(0, nprobe=0)


def test_a_sequence_of_another_life_of_the_collection_is_refused(server, collection):
    sequence = upsert(server, collection, document("a", "one")).sequence
    server.collections.DeleteCollection(DeleteCollectionRequest(name=collection))
    server.collections.CreateCollection(CreateCollectionRequest(name=collection))
    request = SearchRequest(collection=collection, query="one", min_sequence=sequence)
    assert code_of(server.search, request) is grpc.StatusCode.FAILED_PRECONDITION


def test_a_new_server_on_the_same_folder_has_everything(tmp_path):
    with Server(tmp_path) as first:
        fill(first, "facts")
        deleted = first.collections.DeleteDocuments(
            DeleteDocumentsRequest(collection="facts", ids=["sky"])
        )
        before = first.search(SearchRequest(collection="facts", query="capital of Australia"))
    with Server(tmp_path) as second:
        after = second.search(
            SearchRequest(
                collection="facts", query="capital of Australia", min_sequence=deleted.sequence
            )
        )
        assert [hit.id for hit in after.hits] == [hit.id for hit in before.hits]
        assert after.sequence == before.sequence == deleted.sequence
        assert after.num_candidates == len(FACTS) - 1
        assert upsert(second, "facts", document("sky", "is back")).num_inserted == 1
