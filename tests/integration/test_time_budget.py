"""What a search answers when its time budget ends, and that nothing works on for it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from twopass.index.errors import StoppedError, StorageError
from twopass.index.lanes import Lane
from twopass.index.sqlite.retrieval import SqliteRetrieval
from twopass.index.stopping import Stop
from twopass.v1 import arranging_pb2, collection_pb2, document_pb2, search_pb2
from twopass.v1.filter_pb2 import Condition, FieldCondition, Filter, IdCondition
from twopass.v1.search_pb2 import (
    RerankOptions,
    RetrieveOptions,
    SearchRequest,
    WordClause,
    WordClauses,
)

from ..waiting import wait_until
from .fallback import BUDGET, FORBID, asking, embedding_since_now, failure_of, late
from .serving import Server

NO_RERANK = RerankOptions(enabled=False)
TWO = Filter(must=[Condition(ids=IdCondition(ids=["canberra", "sky"]))])


@contextmanager
def occupied(lane: Lane, *, num_waiting: int = 0) -> Iterator[None]:
    """Keeps every thread of a lane busy, and lets calls wait for one."""
    over = threading.Event()
    calls: list[Future] = [lane.submit(over.wait) for _ in range(lane.num_threads)]
    try:
        wait_until(lambda: lane.num_running == lane.num_threads)
        calls += [lane.submit(over.wait) for _ in range(num_waiting)]
        yield
    finally:
        over.set()
        for call in calls:
            call.result()


@pytest.fixture
def scans(small: Server) -> Lane:
    return small._app._lanes.scans


def test_words_that_are_late_leave_the_dense_list_and_the_answer_says_so(small, scans, found):
    def ask(**fields: object) -> grpc.Future:
        found["nearest"].clear()
        return late(small, asking(**fields), found["nearest"].is_set)

    with occupied(scans):
        response = ask(rerank=NO_RERANK).result()
        refused = ask(fallback=FORBID).exception()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_DENSE_DEADLINE
    assert [hit.dense_rank for hit in response.hits] == list(range(1, 11))
    assert not any(hit.HasField("lexical_rank") for hit in response.hits)
    assert not any(hit.HasField("fused_score") for hit in response.hits)
    assert response.encoder
    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_without_room_for_words_the_dense_list_is_answered_and_reranked(small, scans):
    with occupied(scans, num_waiting=1_024):
        response = small.search(asking())
        refused = failure_of(small.search, asking(fallback=FORBID))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_DENSE_OVERLOAD
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_similarities_that_are_late_leave_both_lists_and_the_answer_says_so(small, monkeypatch):
    waits = threading.Event()

    async def wait(*_: object) -> None:
        waits.set()
        await asyncio.Event().wait()

    # The first of the list of words, which a question about Australia is not near to.
    of_chess = [WordClause(phrase=word) for word in ("chess", "bishop", "moves", "diagonals")]
    words = WordClauses(optional=of_chess)
    two = {"retrieve": RetrieveOptions(k=2, words=words), "rerank": NO_RERANK}
    joined = small.search(asking(**two))
    assert joined.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert all(hit.HasField("dense_score") for hit in joined.hits)
    monkeypatch.setattr(SqliteRetrieval, "similar", wait)
    response = late(small, asking(**two), waits.is_set).result()
    waits.clear()
    refused = late(small, asking(fallback=FORBID, **two), waits.is_set).exception()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_FUSED_DEADLINE
    by_words = [hit.id for hit in response.hits if not hit.HasField("dense_rank")]
    assert by_words == ["chess"]
    assert all(hit.HasField("fused_score") for hit in response.hits)
    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_words_that_can_not_be_read_leave_the_dense_list(small, monkeypatch):
    def fail(*_: object) -> None:
        raise StorageError("the words are damaged")

    collection = small._app._store.folder.get("facts")
    monkeypatch.setattr(collection, "search_words", fail)
    response = small.search(asking())
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_DENSE_FAILED
    assert response.hits[0].id == "canberra"
    lexical = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_LEXICAL)
    assert failure_of(small.search, asking(retrieve=lexical)).code() in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )


@pytest.mark.parametrize("mode", ["DENSE", "LEXICAL", "HYBRID"])
def test_a_filter_that_is_late_leaves_nothing_to_answer(small, scans, mode):
    options = RetrieveOptions(mode=search_pb2.RetrieveMode.Value(f"RETRIEVE_MODE_{mode}"))
    is_embedded = (lambda: True) if mode == "LEXICAL" else embedding_since_now(small)
    with occupied(scans):
        request = asking(filter=TWO, retrieve=options)
        error = late(small, request, lambda: scans.num_waiting and is_embedded()).exception()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "time_budget: 600,000 ms given, and within them the filter was not" in error.details()


def test_candidates_that_can_not_be_read_in_time_are_an_error_and_no_empty_answer(small):
    reads = small._app._lanes.reads
    with occupied(reads):
        call = late(small, asking(), lambda: reads.num_waiting)  # for the candidates
        wait_until(lambda: reads.num_waiting == 2)  # and for what hits carry
        small.let_pass(BUDGET.seconds)
        error = call.exception()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "what the hits carry was not read" in error.details()


def test_hits_that_are_not_compared_in_time_are_read_all_the_same(small, monkeypatch):
    """What was to make the order better must not take the answer."""
    collection = small._app._store.folder.get("facts")
    read = collection.fetch_first
    hangs = threading.Event()

    def hang(keys, fields, max_bytes, stop):
        if fields.vector:
            hangs.set()
        while fields.vector and not stop.is_set:
            time.sleep(0.005)
        stop.check()
        return read(keys, fields, max_bytes, stop)

    monkeypatch.setattr(collection, "fetch_first", hang)
    # By then comparing them has had its time, and reading them has not.
    response = late(small, asking(collapse={"similarity": 0.9}), hangs.is_set, 1.1).result()
    assert response.arrange_status == arranging_pb2.ARRANGE_STATUS_SKIPPED_DEADLINE
    assert [bool(hit.text) for hit in response.hits] == [True] * 10
    hangs.clear()
    forbidding = asking(collapse={"similarity": 0.9}, fallback=FORBID)
    error = late(small, forbidding, hangs.is_set, 1.1).exception()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "hits were not compared with each other" in error.details()


def test_hits_whose_texts_are_not_read_in_time_come_without_and_say_so(small, monkeypatch):
    hangs = threading.Event()

    def hang(*arguments: object) -> None:
        stop = arguments[-1]
        hangs.set()
        while not stop.is_set:
            time.sleep(0.005)
        stop.check()

    collection = small._app._store.folder.get("facts")
    monkeypatch.setattr(collection, "fetch_first", hang)
    response = late(small, asking(), hangs.is_set, 1.2).result()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert response.hits[0].id == "canberra"
    assert response.hits[0].HasField("logit")
    assert all(hit.content_omitted and not hit.text for hit in response.hits)
    hangs.clear()
    refused = late(small, asking(fallback=FORBID), hangs.is_set, 1.2).exception()
    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "what the hits carry was not read" in refused.details()


@pytest.mark.parametrize("fallback", [search_pb2.FALLBACK_ALLOW, FORBID])
def test_a_budget_that_is_over_before_anything_is_found_is_an_error(small, fallback):
    error = failure_of(small.search, asking(time_budget=Duration(nanos=1), fallback=fallback))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_budget_does_not_keep_an_answer_for_longer_than_it_takes(small):
    response = small.search(asking(time_budget=Duration(seconds=60)))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert response.timings.total.ToNanoseconds() < 30e9


# --- work that nobody needs any more --------------------------------------------------------------

NUM_DOCUMENTS = 4_000
HEAVY = Filter(
    should=[
        Condition(field=FieldCondition(field=f"f{i % 10}", prefix=f"nothing {i}"))
        for i in range(250)
    ]
)


@pytest.fixture(scope="module")
def many(small: Server) -> str:
    """A collection in which `HEAVY` takes seconds."""
    name = "many"
    schema = collection_pb2.CollectionSchema(client_vectors=True, dimension=2)
    small.collections.CreateCollection(
        collection_pb2.CreateCollectionRequest(name=name, schema=schema)
    )
    vector = document_pb2.Vector(values=[1, 0])
    documents = [
        document_pb2.Document(id=str(i), text=f"word {i}", vector=vector)
        for i in range(NUM_DOCUMENTS)
    ]
    for document in documents:
        document.metadata.update({f"f{i}": "something else" for i in range(10)})
    for start in range(0, NUM_DOCUMENTS, 1_000):
        chunk = documents[start : start + 1_000]
        small.collections.UpsertDocuments(
            collection_pb2.UpsertDocumentsRequest(collection=name, documents=chunk)
        )
    return name


def heavy(collection: str, **fields: object) -> SearchRequest:
    return SearchRequest(
        **{
            "collection": collection,
            "vector": document_pb2.Vector(values=[1, 0]),
            "rerank": NO_RERANK,
            "filter": HEAVY,
        }
        | fields
    )


@pytest.fixture
def filtering(small: Server, scans: Lane, many: str, monkeypatch) -> Iterator[Callable[[], bool]]:
    """Whether a filter is being looked up; after the test, all that began were stopped."""
    collection = small._app._store.folder.get(many)
    matching = collection.matching
    ends: list[str] = []

    def watched(*arguments: object) -> object:
        try:
            found = matching(*arguments)
        except StoppedError:
            ends.append("stopped")
            raise
        ends.append("worked on to its end")
        return found

    monkeypatch.setattr(collection, "matching", watched)
    yield lambda: scans.num_running > 0
    wait_until(lambda: scans.num_running == 0)
    assert set(ends) == {"stopped"}


def test_a_filter_is_stopped_when_the_budget_ends(small, many, filtering):
    error = late(small, heavy(many), filtering).exception()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_filter_is_stopped_at_the_deadline(small, many, filtering):
    call = small.search.future(heavy(many), timeout=600)
    wait_until(filtering)
    small.let_pass(700)  # gRPC sends a timeout with few digits, rounded up
    assert call.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_filter_is_stopped_when_its_caller_has_gone(small, many, filtering):
    calls = [small.search.future(heavy(many)) for _ in range(3)]
    wait_until(filtering)
    for call in calls:
        call.cancel()


def test_words_are_stopped_when_the_dense_list_has_failed(small, many, monkeypatch):
    begun, stopped = threading.Event(), threading.Event()

    def search_words(text: object, k: object, keys: object, stop: Stop, clauses: object) -> None:
        begun.set()
        with stop.calling(stopped.set):
            stopped.wait(60)
        stop.check()

    async def nearest(*_: object) -> None:
        await asyncio.to_thread(begun.wait, 60)
        raise StorageError("the vectors are damaged")

    monkeypatch.setattr(small._app._store.folder.get(many), "search_words", search_words)
    monkeypatch.setattr(SqliteRetrieval, "nearest", nearest)
    hybrid = RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_HYBRID)
    request = heavy(many, query="word", retrieve=hybrid, fallback=FORBID)
    request.ClearField("filter")
    error = failure_of(small.search, request)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert stopped.is_set()
