"""Documents read by id in as many calls as it takes."""

import asyncio
from dataclasses import replace

import grpc
import pytest

from twopass.client import Client, OverloadedError, SearchHit
from twopass.client.reading import (
    documents_by_id,
    documents_by_id_async,
    with_contents,
    with_contents_async,
)
from twopass.v1 import (
    collection_pb2,
    collection_pb2_grpc,
    document_pb2,
    search_pb2,
    search_pb2_grpc,
)


class Shelf(collection_pb2_grpc.CollectionServiceServicer):
    """Has every document but "gone", and room for so many in one answer."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []

    def GetDocuments(self, request, context):
        self.asked.append(len(request.ids))
        if len(request.ids) > min(self.room, 1_000):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large")
        return collection_pb2.GetDocumentsResponse(
            documents=[
                document_pb2.Document(id=each, text=f"text of {each}")
                for each in request.ids
                if each != "gone"
            ]
        )


class Searcher(search_pb2_grpc.SearchServiceServicer):
    """Finds two documents more than its answer has room for."""

    def Search(self, request, context):
        hits = [search_pb2.SearchHit(id=each, content_omitted=True) for each in ("a", "gone")]
        return search_pb2.SearchResponse(hits=[search_pb2.SearchHit(id="b", text="here"), *hits])


@pytest.fixture(params=["sync", "async"])
def call(request, serve):
    """Calls a function for threads, or its twin for asyncio, with a client of a server."""

    def called(shelf, function, twin, *args):
        with Client(serve(shelf, Searcher())) as client:
            if request.param == "sync":
                return function(client, *args)

            async def awaited():
                async with client.for_asyncio() as own:
                    return await twin(own, *args)

            return asyncio.run(awaited())

    return called


def read(call, shelf, ids):
    found = call(shelf, documents_by_id, documents_by_id_async, "docs", ids)
    return [document.id for document in found]


def test_documents_come_in_the_order_of_their_ids_and_once_each(call):
    assert read(call, Shelf(10), ["c", "a", "gone", "c", "b"]) == ["c", "a", "b"]


def test_no_ids_make_no_call(call):
    shelf = Shelf(10)
    assert read(call, shelf, []) == []
    assert shelf.asked == []


def test_more_ids_than_a_call_takes_are_read_in_several(call):
    shelf, ids = Shelf(1_000), [str(number) for number in range(2_001)]
    assert read(call, shelf, ids) == ids
    assert shelf.asked == [1_000, 1_000, 1]


@pytest.mark.parametrize("room", [1, 2, 3, 7])
def test_what_is_too_large_for_one_answer_is_read_in_halves(call, room):
    ids = [str(number) for number in range(10)]
    assert read(call, Shelf(room), ids) == ids


def test_a_document_that_is_too_large_alone_is_an_error(call):
    with pytest.raises(OverloadedError, match="too large"):
        read(call, Shelf(0), ["a", "b"])


def test_what_a_search_left_out_is_filled_in_but_for_what_was_deleted_meanwhile(call):
    with_search = Shelf(10)

    def search(client):
        result = client.search("docs", "query")
        return result, with_contents(client, "docs", result)

    async def search_async(client):
        result = await client.search("docs", "query")
        return result, await with_contents_async(client, "docs", result)

    result, filled = call(with_search, search, search_async)
    here, omitted, gone = result.hits
    assert filled.hits == (
        here,
        replace(omitted, text="text of a", content_omitted=False),
        gone,
    )
    assert with_search.asked == [2]
    assert all(isinstance(hit, SearchHit) for hit in filled.hits)
