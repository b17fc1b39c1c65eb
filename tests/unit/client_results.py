"""What the client returns, for fakes of clients: read from messages, so that it has every field."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from twopass.client import Collection, RerankResult, SearchHit, SearchResult, ServerInfo
from twopass.client._collections import collection_of
from twopass.client._rerank_results import result_of as rerank_result_of
from twopass.client._search_results import result_of as search_result_of
from twopass.client._server import _server
from twopass.v1 import collection_pb2, rerank_pb2, search_pb2, server_pb2


def rerank_result(**fields: Any) -> RerankResult:
    """An answer to `rerank` without hits, and with these fields."""
    return replace(rerank_result_of(rerank_pb2.RerankResponse()), **fields)


def search_result(*ids: str, **fields: Any) -> SearchResult:
    """An answer to `search` of hits with these ids, and with these fields."""
    response = search_pb2.SearchResponse(
        hits=[search_pb2.SearchHit(id=each) for each in ids],
        retrieve_status=search_pb2.RETRIEVE_STATUS_COMPLETE,
        rerank_status=search_pb2.RERANK_STATUS_COMPLETE,
    )
    return replace(search_result_of(response), **fields)


def search_hit(name: str, **fields: Any) -> SearchHit:
    """A hit with this id, and with these fields."""
    return replace(search_result(name).hits[0], **fields)


def collection(
    name: str = "docs",
    *,
    num_documents: int = 0,
    create_time: datetime | None = None,
    sequence: str = "s",
    **schema: Any,
) -> Collection:
    """A collection with these fields of its schema."""
    message = collection_pb2.Collection(
        name=name,
        num_documents=num_documents,
        sequence=sequence,
        schema=collection_pb2.CollectionSchema(**schema),
    )
    if create_time is not None:
        message.create_time.FromDatetime(create_time)
    return collection_of(message)


def server_info(**limits: int) -> ServerInfo:
    """A server with these limits, and none of the others."""
    server = server_pb2.ServerInfo(limits=server_pb2.Limits(**limits))
    return _server(server_pb2.GetServerInfoResponse(server=server))
