"""Upserts that go on with another server where one is lost."""

import threading

import grpc
import pytest
from grpc_health.v1 import health, health_pb2

from twopass.client import Document, InvalidArgumentError, UnavailableError
from twopass.v1 import collection_pb2
from twopass.v1.collection_pb2_grpc import CollectionServiceServicer
from twopass.v1.status_pb2 import ErrorInfo, Status

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Store:
    """What both servers write to, and a lock under which one of them may be lost."""

    def __init__(self, lost_at: int | None = None, *, acknowledges: bool = True) -> None:
        """Of all chunks the `lost_at`-th is written, or not, by a server that is then lost."""
        self.documents: dict[str, str] = {}
        self.chunks: list[collection_pb2.UpsertDocumentsStreamRequest] = []
        self.headers: list[tuple[str, int]] = []
        self.lost_at = lost_at
        self.writes_when_lost = not acknowledges
        self.lock = threading.Lock()


class Front(CollectionServiceServicer):
    def __init__(self, store: Store, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self.store = store
        self.code = code

    def UpsertDocumentsStream(self, request_iterator, context):
        store = self.store
        counts = [0, 0, 0, 0]
        for position, chunk in enumerate(request_iterator):
            with store.lock:
                if position == 0:
                    store.headers.append((chunk.collection, chunk.on_conflict))
                store.chunks.append(chunk)
                is_lost = len(store.chunks) == store.lost_at
                if not is_lost or store.writes_when_lost:
                    new = sum(each.id not in store.documents for each in chunk.documents)
                    store.documents |= {each.id: each.text for each in chunk.documents}
                if is_lost:
                    context.abort(self.code, "lost")
            counts = [
                counts[0] + 1,
                counts[1] + len(chunk.documents),
                counts[2] + new,
                counts[3] + len(chunk.documents) - new,
            ]
            yield collection_pb2.UpsertDocumentsStreamResponse(
                sequence=f"s{len(store.chunks)}",
                num_chunks=counts[0],
                num_documents=counts[1],
                num_inserted=counts[2],
                num_replaced=counts[3],
            )


def well(state: int = SERVING) -> health.HealthServicer:
    servicer = health.HealthServicer()
    servicer.set("", state)
    return servicer


def two_fronts(serve, store: Store, state: int = SERVING) -> str:
    return ",".join(serve(Front(store), well(state)) for _ in range(2))


def documents(count: int) -> list[Document]:
    return [Document(f"d{number}", f"text {number}") for number in range(count)]


@pytest.mark.parametrize("lost_at", [1, 2, 7, 20])
@pytest.mark.parametrize("acknowledges", [True, False], ids=["before", "after"])
def test_what_a_lost_server_has_not_acknowledged_is_sent_to_another(
    serve, connect, lost_at, acknowledges
):
    """Whether it was lost before it had written a chunk, or after."""
    store = Store(lost_at, acknowledges=acknowledges)
    progress = []
    summary = connect(two_fronts(serve, store)).upsert(
        "docs", documents(40), chunk_size=2, on_progress=progress.append, on_conflict="replace"
    )
    assert store.documents == {f"d{number}": f"text {number}" for number in range(40)}
    assert (summary.num_chunks, summary.num_documents) == (20, 40)
    assert summary.num_inserted + summary.num_replaced == 40
    assert [each.num_chunks for each in progress] == list(range(1, 21))
    replace = collection_pb2.ON_CONFLICT_REPLACE
    assert store.headers == [("docs", replace)] * 2


def test_documents_that_must_be_new_are_sent_once(serve, connect):
    store = Store(2)
    with pytest.raises(UnavailableError, match="lost"):
        connect(two_fronts(serve, store)).upsert(
            "docs", documents(10), chunk_size=2, on_conflict="fail"
        )
    assert len(store.headers) == 1


def test_an_upsert_to_servers_that_are_all_unwell_is_tried_all_the_same(serve, connect):
    store = Store()
    client = connect(two_fronts(serve, store, NOT_SERVING))
    assert client.upsert("docs", documents(3)).num_documents == 3


def test_servers_that_are_lost_one_after_another_end_the_upsert(serve, connect):
    class Away(Front):
        def UpsertDocumentsStream(self, request_iterator, context):
            self.store.headers.append(("", 0))
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    store = Store()
    targets = ",".join(serve(Away(store), well()) for _ in range(2))
    with pytest.raises(UnavailableError, match="away"):
        connect(targets).upsert("docs", documents(3))
    assert len(store.headers) == 4


def test_a_refused_document_is_told_by_its_place_after_another_server_has_taken_over(
    serve, connect
):
    class Refusing(Front):
        def UpsertDocumentsStream(self, request_iterator, context):
            yield from super().UpsertDocumentsStream(
                until_refused(request_iterator, context), context
            )

    def until_refused(chunks, context):
        for number, chunk in enumerate(chunks, start=1):
            ids = [document.id for document in chunk.documents]
            if "d15" in ids:
                field = f"documents[{ids.index('d15')}].id"
                info = ErrorInfo(metadata={"field": field, "chunk": str(number)})
                status = Status(code=3, message=f"{field}: bad")
                status.details.add(
                    type_url="type.googleapis.com/google.rpc.ErrorInfo",
                    value=info.SerializeToString(),
                )
                details = ("grpc-status-details-bin", status.SerializeToString())
                context.set_trailing_metadata((details,))
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, status.message)
            yield chunk

    store = Store(4)
    targets = ",".join(serve(Refusing(store), well()) for _ in range(2))
    with pytest.raises(InvalidArgumentError, match="bad") as raised:
        connect(targets).upsert("docs", documents(30), chunk_size=2)
    assert raised.value.metadata["position"] == "15"
    assert len(store.headers) == 2


def test_a_server_that_is_lost_when_all_is_acknowledged_fails_nothing(serve, connect):
    class Ending(Front):
        def UpsertDocumentsStream(self, request_iterator, context):
            yield from super().UpsertDocumentsStream(request_iterator, context)
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")

    store = Store()
    client = connect(serve(Ending(store), well()))
    assert client.upsert("docs", documents(4), chunk_size=2).num_chunks == 2
    assert len(store.headers) == 1
