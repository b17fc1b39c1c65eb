import math

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import (
    AsyncClient,
    Document,
    InternalError,
    InvalidArgumentError,
    UnavailableError,
    UpsertSummary,
)
from twopass.client._channel import STREAMED_MESSAGE_BYTES
from twopass.client._upsert import MAX_IN_FLIGHT, Chunker
from twopass.v1 import collection_pb2, document_pb2
from twopass.v1.collection_pb2_grpc import CollectionServiceServicer


class Upserts(CollectionServiceServicer):
    """Acknowledges chunks, `fail_at` being the number of one that it refuses."""

    def __init__(self, fail_at=None, status=grpc.StatusCode.INVALID_ARGUMENT) -> None:
        self.chunks = []
        self.num_calls = 0
        self.fail_at = fail_at
        self.status = status

    def UpsertDocumentsStream(self, request_iterator, context):
        self.num_calls += 1
        num_documents = 0
        for number, chunk in enumerate(request_iterator, start=1):
            if number == self.fail_at:
                context.abort(self.status, f"chunk {number} is bad")
            self.chunks.append(chunk)
            num_documents += len(chunk.documents)
            yield collection_pb2.UpsertDocumentsStreamResponse(
                sequence=f"s{number}",
                num_chunks=number,
                num_documents=num_documents,
                num_inserted=num_documents - 1,
                num_replaced=1,
            )


def numbered(num_documents, taken=None):
    for number in range(num_documents):
        if taken is not None:
            taken.append(number)
        yield Document(str(number), "text")


def test_documents_are_sent_in_chunks_and_the_progress_reported_after_each(serve, connect):
    upserts = Upserts()
    progress = []
    summary = connect(serve(upserts)).upsert(
        "docs", numbered(10), chunk_size=4, on_progress=progress.append
    )
    assert [len(chunk.documents) for chunk in upserts.chunks] == [4, 4, 2]
    assert [chunk.collection for chunk in upserts.chunks] == ["docs", "", ""]
    assert [report.num_documents for report in progress] == [4, 8, 10]
    assert progress[-1] == summary == UpsertSummary("s3", 3, 10, 9, 1)


def test_documents_and_mappings_carry_every_field(serve, connect):
    upserts = Upserts()
    whole = {
        "id": "a",
        "text": "x",
        "title": "T",
        "metadata": {"n": 1, "deep": {"list": [True, None, "s", 0.5]}},
        "vector": [0.5, 2],
    }
    connect(serve(upserts)).upsert("docs", [whole, Document("b", "y"), Document(**whole)])
    first, plain, third = (
        upserts.chunks[0].documents[0],
        *[document for chunk in upserts.chunks for document in chunk.documents][1:],
    )
    assert first == third
    assert (first.id, first.text, first.title) == ("a", "x", "T")
    assert first.metadata_json == '{"n":1,"deep":{"list":[true,null,"s",0.5]}}'
    assert list(first.vector.values) == [0.5, 2.0]
    assert plain == document_pb2.Document(id="b", text="y")
    assert not plain.HasField("vector")


def test_no_documents_are_no_error(serve, connect):
    assert connect(serve(Upserts())).upsert("docs", []) == UpsertSummary()


def test_documents_are_read_a_few_chunks_ahead_of_their_acknowledgement(serve, connect):
    taken = []

    def on_progress(summary):
        ahead.append(len(taken) - summary.num_documents)

    ahead = []
    connect(serve(Upserts())).upsert(
        "docs", numbered(1_000, taken), chunk_size=5, on_progress=on_progress
    )
    assert len(taken) == 1_000
    assert max(ahead) <= 5 * MAX_IN_FLIGHT


def test_a_generator_without_end_is_left_at_the_first_refused_chunk(serve, connect):
    taken, reports = [], []
    with pytest.raises(InvalidArgumentError, match="chunk 3 is bad"):
        connect(serve(Upserts(fail_at=3))).upsert(
            "docs", numbered(10**9, taken), chunk_size=10, on_progress=reports.append
        )
    assert [report.num_chunks for report in reports] == [1, 2]
    assert len(taken) <= 10 * (2 + MAX_IN_FLIGHT)


def test_a_stream_is_not_tried_again(serve, connect):
    upserts = Upserts(fail_at=1, status=grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(UnavailableError):
        connect(serve(upserts)).upsert("docs", numbered(3))
    assert upserts.num_calls == 1


def test_an_exception_of_the_documents_reaches_the_caller(serve, connect):
    def broken():
        yield Document("a", "x")
        raise LookupError("the database is gone")

    with pytest.raises(LookupError, match="the database is gone"):
        connect(serve(Upserts())).upsert("docs", broken(), chunk_size=1)


def test_a_server_that_stops_early_is_an_error_and_not_a_success(serve, connect):
    class Stops(CollectionServiceServicer):
        def UpsertDocumentsStream(self, request_iterator, context):
            next(request_iterator)
            yield collection_pb2.UpsertDocumentsStreamResponse(num_chunks=1, num_documents=1)

    with pytest.raises(InternalError, match="ended the call having acknowledged 1 of"):
        connect(serve(Stops())).upsert("docs", numbered(10**9), chunk_size=1)


@pytest.mark.parametrize(
    ("documents", "error", "message"),
    [
        ([{"id": "a", "txt": "x"}], TypeError, r"documents\[0\]: .*txt"),
        ([Document("a", "x"), "b"], TypeError, r"documents\[1\]: a Document or a mapping"),
        ({"id": "a"}, TypeError, "documents: several are needed, a single dict given"),
        (Document("a"), TypeError, "documents: several are needed, a single Document given"),
        ([{"id": "a", "text": "\ud800"}], InvalidArgumentError, r"documents\[0\].text: .*U\+D800"),
        ([Document("a", metadata={"n": 2**63})], InvalidArgumentError, "metadata.n: .*2\\^63"),
        ([Document("a", metadata={"n": 10**400})], InvalidArgumentError, "n: .* of 1,329 bits"),
        ([Document("a", metadata={"n": [2**60, math.nan]})], InvalidArgumentError, r"n\[1\]: nan"),
        ([Document("a", metadata={"n": {1}})], TypeError, r"metadata.n: .* set given"),
        ([Document("a", vector="abc")], TypeError, r"documents\[0\].vector: a flat sequence"),
    ],
)
def test_a_bad_document_is_refused_by_name_before_it_is_sent(
    serve, connect, documents, error, message
):
    upserts = Upserts()
    with pytest.raises(error, match=message):
        connect(serve(upserts)).upsert("docs", documents)
    assert upserts.chunks == []


@pytest.mark.parametrize("refused", [0, 9, 10, 37, 99])
def test_a_refused_document_is_told_by_its_place_among_all(serve, connect, refused):
    class Refuses(Upserts):
        def UpsertDocumentsStream(self, request_iterator, context):
            yield from super().UpsertDocumentsStream(self.until_refused(request_iterator), context)
            chunk, place = len(self.chunks) + 1, self.place
            info = error_details_pb2.ErrorInfo(
                reason="INVALID_DOCUMENT",
                metadata={"field": f"documents[{place}].id", "chunk": str(chunk)},
            )
            status = status_pb2.Status(code=3, message=f"chunk {chunk}: documents[{place}].id: bad")
            status.details.add().Pack(info)
            details = ("grpc-status-details-bin", status.SerializeToString())
            context.set_trailing_metadata((details,))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, status.message)

        def until_refused(self, chunks):
            for chunk in chunks:
                ids = [document.id for document in chunk.documents]
                if str(refused) in ids:
                    self.place = ids.index(str(refused))
                    return
                yield chunk

    client = connect(serve(Refuses()))
    with pytest.raises(InvalidArgumentError, match="documents") as error:
        client.upsert("docs", numbered(1_000), chunk_size=10)
    assert error.value.metadata["position"] == str(refused)


async def test_an_asynchronous_source_will_do(serve):
    async def source():
        for document in numbered(5):
            yield document

    async with AsyncClient(serve(Upserts())) as client:
        summary = await client.upsert("docs", source(), chunk_size=2)
    assert (summary.num_chunks, summary.num_documents) == (3, 5)


@given(st.lists(st.sampled_from("abcdef"), max_size=20), st.integers(1, 7))
def test_chunks_keep_the_order_and_no_chunk_names_an_id_twice(ids, chunk_size):
    documents = [Document(name, str(position)) for position, name in enumerate(ids)]
    chunks = list(Chunker("docs", chunk_size).chunks(documents))
    sent = [document.text for chunk in chunks for document in chunk.documents]
    assert sent == [str(position) for position in range(len(ids))]
    for chunk in chunks:
        of_chunk = [document.id for document in chunk.documents]
        assert 1 <= len(of_chunk) <= chunk_size
        assert len(set(of_chunk)) == len(of_chunk)


def test_chunks_are_cut_by_size_too_and_a_large_document_travels_alone():
    small, large = "s" * (STREAMED_MESSAGE_BYTES // 3), "l" * (2 * STREAMED_MESSAGE_BYTES)
    documents = [Document(str(i), text) for i, text in enumerate([small, small, small, large])]
    assert [len(chunk.documents) for chunk in Chunker("d", 9).chunks(documents)] == [2, 1, 1]
