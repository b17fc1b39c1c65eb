"""Calls rpcs of every service with Connect's client for Python, in JSON and in bytes.

Runs in an environment of its own, where `twopass.v1` is what `protoc-gen-connectrpc` generates.
"""

import sys

from connectrpc.code import Code
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError

from twopass.v1 import (
    collection_pb2,
    document_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)
from twopass.v1.collection_connect import CollectionServiceClientSync
from twopass.v1.embed_connect import EmbedServiceClientSync
from twopass.v1.feedback_connect import FeedbackServiceClientSync
from twopass.v1.model_connect import ModelServiceClientSync
from twopass.v1.report_connect import ReportServiceClientSync
from twopass.v1.rerank_connect import RerankServiceClientSync
from twopass.v1.search_connect import SearchServiceClientSync
from twopass.v1.server_connect import ServerServiceClientSync


def main(url: str) -> None:
    """Calls them; raises where an answer is not as expected."""
    for name, codec in (
        ("JSON", google_protobuf_json_codec()),
        ("bytes", google_protobuf_binary_codec()),
    ):
        collections = CollectionServiceClientSync(url, codec=codec)
        collection = f"connect-python-{name.lower()}"
        collections.create_collection(collection_pb2.CreateCollectionRequest(name=collection))
        document = document_pb2.Document(id="a", text="The sky is blue.")
        document.metadata["n"] = 1
        collections.upsert_documents(
            collection_pb2.UpsertDocumentsRequest(collection=collection, documents=[document])
        )
        request = search_pb2.SearchRequest(collection=collection, query="What is blue?")
        found = SearchServiceClientSync(url, codec=codec).search(request)
        assert [hit.id for hit in found.hits] == ["a"]
        assert found.hits[0].metadata["n"] == 1
        ranked = RerankServiceClientSync(url, codec=codec).rerank(
            rerank_pb2.RerankRequest(query="sky?", candidates=[{"text": "a"}, {"text": "the sky"}])
        )
        assert ranked.hits[0].index == 1
        embedded = EmbedServiceClientSync(url, codec=codec).embed(
            embed_pb2.EmbedRequest(texts=["a"])
        )
        assert len(embedded.embeddings[0].vector.values) == 384
        assert ModelServiceClientSync(url, codec=codec).list_models(model_pb2.ListModelsRequest())
        judged = feedback_pb2.FeedbackEvent(
            search_id=found.search_id,
            document_id="a",
            kind=feedback_pb2.FEEDBACK_KIND_JUDGEMENT,
            grade=1,
        )
        recorded = FeedbackServiceClientSync(url, codec=codec).record_feedback(
            feedback_pb2.RecordFeedbackRequest(collection=collection, events=[judged])
        )
        assert recorded.num_recorded == 1
        report = ReportServiceClientSync(url, codec=codec).get_report(
            report_pb2.GetReportRequest(collection=collection)
        )
        assert report.report.num_searches == 1
        info = ServerServiceClientSync(url, codec=codec).get_server_info(
            server_pb2.GetServerInfoRequest()
        )
        assert info.server.version
        collections.delete_collection(collection_pb2.DeleteCollectionRequest(name=collection))
        error = _failure(collections, collection)
        assert error.code is Code.NOT_FOUND
        assert error.details
        print(f"connectrpc for Python: eight services, {name}")


def _failure(collections: CollectionServiceClientSync, gone: str) -> ConnectError:
    try:
        collections.delete_collection(collection_pb2.DeleteCollectionRequest(name=gone))
    except ConnectError as error:
        return error
    raise AssertionError("a collection that is gone was deleted")


main(sys.argv[1])
