from datetime import UTC, datetime

import pytest
from google.protobuf.json_format import ParseDict

from twopass.client import Chunking, Document, Fields, Metric, ModelKind, Schema
from twopass.v1 import collection_pb2, embed_pb2, model_pb2, rerank_pb2
from twopass.v1.collection_pb2_grpc import CollectionServiceServicer
from twopass.v1.document_pb2 import DocumentFields
from twopass.v1.embed_pb2_grpc import EmbedServiceServicer
from twopass.v1.filter_pb2 import Condition, Filter, IdCondition
from twopass.v1.model_pb2_grpc import ModelServiceServicer

SCHEMA = {
    "dimension": 384,
    "metric": "METRIC_INNER_PRODUCT",
    "encoder": "enc",
    "clientVectors": True,
    "indexKind": "HNSW32",
    "indexedFields": [
        {"field": "year", "type": "FIELD_TYPE_NUMBER"},
        {"field": "author.name", "type": "FIELD_TYPE_TEXT"},
    ],
    "chunking": {"windowTokens": 256, "overlapTokens": 32},
    "lexicalTokenizer": "LEXICAL_TOKENIZER_PORTER",
    "language": "de",
}
STORED = {
    "name": "docs",
    "schema": SCHEMA | {"encoderRevision": "abc"},
    "numDocuments": "5",
    "sequence": "s5",
    "createTime": "2025-03-01T12:00:00.5Z",
}
FILTER = Filter(must=[Condition(ids=IdCondition(ids=["a"]))])


class Collections(CollectionServiceServicer):
    """Holds one collection of seven documents, which it serves three at a time."""

    def __init__(self) -> None:
        self.requests = []
        self.stored = ParseDict(STORED, collection_pb2.Collection())

    def CreateCollection(self, request, context):
        self.requests.append(request)
        return collection_pb2.CreateCollectionResponse(collection=self.stored)

    def GetCollection(self, request, context):
        self.requests.append(request)
        return collection_pb2.GetCollectionResponse(collection=self.stored)

    def ListCollections(self, request, context):
        self.requests.append(request)
        following = {"": "docs", "docs": "docs-2", "docs-2": ""}
        response = collection_pb2.ListCollectionsResponse(collections=[self.stored])
        response.next_page_token = following[request.page_token]
        return response

    def DeleteCollection(self, request, context):
        self.requests.append(request)
        return collection_pb2.DeleteCollectionResponse()

    def RenameCollection(self, request, context):
        self.requests.append(request)
        return collection_pb2.RenameCollectionResponse(collection=self.stored)

    def DeleteDocuments(self, request, context):
        self.requests.append(request)
        return collection_pb2.DeleteDocumentsResponse(sequence="s6", num_deleted=2)

    def GetDocuments(self, request, context):
        self.requests.append(request)
        response = collection_pb2.GetDocumentsResponse()
        for name in request.ids:
            response.documents.add(id=name, text="x", title="T").metadata["n"] = 1
        response.documents[-1].vector.values[:] = [0.5]
        return response

    def ListDocuments(self, request, context):
        self.requests.append(request)
        first = int(request.page_token or 0)
        response = collection_pb2.ListDocumentsResponse()
        for number in range(first, min(first + 3, 7)):
            response.documents.add(id=str(number))
        response.next_page_token = str(first + 3) if first + 3 < 7 else ""
        return response


def test_a_schema_reaches_the_server_and_comes_back_with_its_defaults(serve, connect):
    collections = Collections()
    client = connect(serve(collections))
    schema = Schema(
        dimension=384,
        metric="inner_product",
        encoder="enc",
        client_vectors=True,
        index_kind="HNSW32",
        indexed_fields={"year": "number", "author.name": "text"},
        chunking=Chunking(256, 32),
        lexical_tokenizer="porter",
        language="de",
    )
    created = client.create_collection("docs", schema)
    assert collections.requests[0].schema == ParseDict(SCHEMA, collection_pb2.CollectionSchema())
    assert created == client.get_collection("docs") == client.list_collections()[0]
    assert (created.name, created.num_documents, created.sequence) == ("docs", 5, "s5")
    assert created.create_time == datetime(2025, 3, 1, 12, 0, 0, 500_000, UTC)
    assert created.schema.encoder_revision == "abc"
    assert created.schema.metric is Metric.INNER_PRODUCT
    assert created.schema.chunking == Chunking(256, 32)


def test_a_schema_that_came_back_makes_another_collection_like_it(serve, connect):
    collections = Collections()
    client = connect(serve(collections))
    client.create_collection("docs-2", client.get_collection("docs").schema)
    request = collections.requests[-1]
    assert request.name == "docs-2"
    assert request.schema == ParseDict(SCHEMA, collection_pb2.CollectionSchema())


def test_a_collection_without_a_schema_is_all_defaults(serve, connect):
    collections = Collections()
    connect(serve(collections)).create_collection("docs")
    assert collections.requests == [collection_pb2.CreateCollectionRequest(name="docs")]


def test_a_collection_is_deleted_by_name(serve, connect):
    collections = Collections()
    assert connect(serve(collections)).delete_collection("docs") is None
    assert collections.requests == [collection_pb2.DeleteCollectionRequest(name="docs")]


def test_a_collection_is_renamed_and_keeps_an_alias_where_asked(serve, connect):
    collections = Collections()
    client = connect(serve(collections))
    assert client.rename_collection("docs", "docs-1").name == collections.stored.name
    client.rename_collection("docs", "docs-1", keep_alias=True)
    request = collection_pb2.RenameCollectionRequest(name="docs", new_name="docs-1")
    kept = collection_pb2.RenameCollectionRequest(name="docs", new_name="docs-1", keep_alias=True)
    assert collections.requests == [request, kept]


def test_documents_are_deleted_by_id_or_by_filter_and_not_by_both(serve, connect):
    collections = Collections()
    client = connect(serve(collections))
    deleted = client.delete("docs", ["a", "b"])
    client.delete("docs", filter=FILTER)
    assert (deleted.sequence, deleted.num_deleted) == ("s6", 2)
    by_id, by_filter = collections.requests
    assert list(by_id.ids) == ["a", "b"]
    assert not by_id.HasField("filter")
    assert by_filter.filter == FILTER
    for arguments in ({}, {"ids": ["a"], "filter": FILTER}):
        with pytest.raises(TypeError, match="ids, filter: exactly one"):
            client.delete("docs", **arguments)
    with pytest.raises(TypeError, match="ids: several are needed, a single str given"):
        client.delete("docs", "abc")


def test_documents_come_in_the_order_of_their_ids(serve, connect):
    collections = Collections()
    first, second = connect(serve(collections)).get("docs", ["b", "a"], fields=Fields(vector=True))
    assert first == Document("b", "x", "T", {"n": 1}, None)
    assert second == Document("a", "x", "T", {"n": 1}, (0.5,))
    asked = collections.requests[0].fields
    assert asked == DocumentFields(text=True, metadata=True, vector=True, metadata_as_json=True)


def test_collections_are_listed_page_after_page(serve, connect):
    collections = Collections()
    listed = connect(serve(collections)).list_collections()
    assert [collection.name for collection in listed] == ["docs"] * 3
    assert len(collections.requests) == 3


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, 64 * 2**20),
        ({"max_message_bytes": 1_000}, 1_000),
        ({"options": [("grpc.max_receive_message_length", -1)]}, 2**63 - 1),
    ],
    ids=["by default", "less", "no limit"],
)
def test_the_server_is_told_what_the_client_receives(serve, connect, options, asked):
    collections = Collections()
    connect(serve(collections), **options).get("docs", ["a"])
    assert collections.requests[0].max_answer_bytes == asked


def test_documents_are_fetched_a_page_at_a_time(serve, connect):
    collections = Collections()
    documents = connect(serve(collections)).documents("docs", page_size=3, filter=FILTER)
    assert [next(documents).id for _ in range(3)] == ["0", "1", "2"]
    assert len(collections.requests) == 1
    assert [document.id for document in documents] == ["3", "4", "5", "6"]
    assert [request.page_token for request in collections.requests] == ["", "3", "6"]
    assert {request.page_size for request in collections.requests} == {3}
    assert all(request.filter == FILTER for request in collections.requests)


def test_texts_are_embedded_in_order(serve, connect):
    class Embeds(EmbedServiceServicer):
        def Embed(self, request, context):
            requests.append(request)
            response = embed_pb2.EmbedResponse(model="enc", num_tokens=9)
            for position, _ in enumerate(request.texts):
                response.embeddings.add(truncated=position == 1).vector.values[:] = [position, 0.5]
            return response

    requests = []
    result = connect(serve(Embeds())).embed(
        ["a", "b"], role="query", model="enc", query_truncation="reject"
    )
    expected = embed_pb2.EmbedRequest(
        texts=["a", "b"],
        model="enc",
        role=embed_pb2.EMBED_ROLE_QUERY,
        query_truncation=rerank_pb2.QUERY_TRUNCATION_REJECT,
    )
    assert requests == [expected]
    assert result.vectors == ((0, 0.5), (1, 0.5))
    assert result.truncated == (False, True)
    assert (result.model, result.num_tokens) == ("enc", 9)
    with pytest.raises(TypeError, match="texts: several are needed, a single str given"):
        connect(serve(Embeds())).embed("a text")


def test_models_tell_what_they_are(serve, connect):
    class Models(ModelServiceServicer):
        def ListModels(self, request, context):
            return model_pb2.ListModelsResponse(models=[stored])

        def GetModel(self, request, context):
            requests.append(request)
            return model_pb2.GetModelResponse(model=stored)

    requests = []
    stored = model_pb2.Model(
        id="mini",
        kind=model_pb2.MODEL_KIND_RERANKER,
        default=True,
        engine="cpu",
        precision="int8",
        device="avx512_vnni",
        sha256="ab",
        max_seq_len=512,
        max_query_tokens=128,
        max_passage_tokens=240,
        blend=0.25,
        cuda_graphs=True,
    )
    client = connect(serve(Models()))
    (model,) = client.models()
    assert model == client.model("mini")
    assert requests == [model_pb2.GetModelRequest(id="mini")]
    assert (model.id, model.kind, model.is_default) == ("mini", ModelKind.RERANKER, True)
    assert (model.engine, model.precision, model.device) == ("cpu", "int8", "avx512_vnni")
    assert (model.sha256, model.max_seq_len, model.max_query_tokens) == ("ab", 512, 128)
    assert (model.max_passage_tokens, model.dimension, model.blend) == (240, 0, 0.25)
    assert model.cuda_graphs
