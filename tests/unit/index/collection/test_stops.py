"""Whatever reads a collection ends soon after its stop, and later calls are none the worse."""

import threading
import time
from concurrent.futures import wait

import numpy as np
import pytest

from twopass.index.errors import StoppedError
from twopass.index.filters import FieldCondition, Filter, InRange, Moment, OneOf
from twopass.index.lanes import Lane
from twopass.index.stopping import Stop

NUM_DOCUMENTS = 2_000
# Each condition looks at 500 numbers of every document: they would take minutes.
HEAVY = Filter(
    must=tuple(FieldCondition("numbers", InRange(gte=-n)) for n in range(250)),
    must_not=tuple(FieldCondition("numbers", InRange(lt=-n)) for n in range(250)),
)
SECONDS = 5.0
QUERY = np.ones((1, 4), np.float32)


@pytest.fixture
def full(collection, make_document):
    deep: object = [{"k0": "2024-01-31"}] * 30
    for _ in range(12):
        deep = [{"deep": deep}]
    metadata = {"numbers": list(range(500)), "deep": deep}
    collection.upsert(
        [
            make_document(f"d{n}", text="some words", metadata={"n": n, **metadata})
            for n in range(NUM_DOCUMENTS)
        ]
    ).result()
    return collection


def seconds_until_stopped(call):
    """How long something goes on after it was stopped while it ran."""
    stop, stopped_at = Stop(), []

    def end() -> None:
        stopped_at.append(time.perf_counter())
        stop.set()

    threading.Timer(0.2, end).start()
    with pytest.raises(StoppedError):
        call(stop)
    return time.perf_counter() - stopped_at[0]


# As many keys and as long a way through lists as there may be, and the longest expressions.
MOMENTS = InRange(gte=Moment(0), lt=Moment(1))
DEEP = Filter(
    must_not=tuple(
        FieldCondition(".".join(["deep"] * 12 + [f"k{n}"]), test)
        for n in range(128)
        for test in (MOMENTS, OneOf(("x", 1, None)))
    )
)

READS = {
    "members behind lists": lambda collection, stop: collection.matching(DEEP, stop),
    "members": lambda collection, stop: collection.matching(HEAVY, stop),
    "page": lambda collection, stop: collection.list_page(1_000, wanted=HEAVY, stop=stop),
    "deletion": lambda collection, stop: collection.delete_matching(HEAVY, stop).result(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_work_of_minutes_ends_soon_after_its_stop(full, read):
    assert seconds_until_stopped(lambda stop: read(full, stop)) < SECONDS
    assert full.num_documents == len(full.matching(Filter())) == NUM_DOCUMENTS


KEYS = np.arange(1, 4, dtype=np.int64)
QUICK = {
    "members": lambda collection, stop: collection.matching(Filter(), stop),
    "words": lambda collection, stop: collection.search_words("text", 10, None, stop),
    "words of members": lambda collection, stop: collection.search_words("text", 10, KEYS, stop),
    "nearest": lambda collection, stop: collection.search(QUERY, 10, stop=stop).result(),
    "page": lambda collection, stop: collection.list_page(10, stop=stop),
    "fetch": lambda collection, stop: collection.fetch(KEYS, stop=stop),
    "load": lambda collection, stop: collection.load(KEYS, stop),
    "get": lambda collection, stop: collection.get(["a"], stop=stop),
    "deletion": lambda collection, stop: collection.delete_matching(Filter(), stop).result(),
}


@pytest.mark.parametrize("read", QUICK.values(), ids=QUICK)
def test_nothing_begins_once_the_stop_is_set(collection, make_document, read):
    collection.upsert([make_document(name) for name in "abc"]).result()
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        read(collection, stop)
    assert collection.num_documents == 3


def test_a_copy_that_is_stopped_leaves_nothing(full, tmp_path):
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        full.copy_into(tmp_path / "copy", stop)
    assert not (tmp_path / "copy").exists()


def test_a_stopped_deletion_harms_no_write_that_shares_its_commit(full, make_document):
    stop = Stop()
    writes = [full.upsert([make_document("before")])]
    stopped = full.delete_matching(HEAVY, stop)
    writes += [full.upsert([make_document(f"after{n}")]) for n in range(3)]
    threading.Timer(0.2, stop.set).start()
    wait([stopped, *writes])
    assert isinstance(stopped.exception(), StoppedError)
    assert [write.result().num_inserted for write in writes] == [1, 1, 1, 1]
    assert full.num_documents == NUM_DOCUMENTS + 4


def test_many_that_are_stopped_leave_a_collection_that_answers_as_before(full):
    expected = full.matching(Filter()).tolist()
    for delay in np.linspace(0, 0.05, 25):
        stop = Stop()
        timer = threading.Timer(delay, stop.set)
        timer.start()
        with pytest.raises(StoppedError):
            full.matching(HEAVY, stop)
        timer.join()
        assert full.matching(Filter()).tolist() == expected


def test_a_lane_counts_how_long_what_it_does_goes_on_after_a_stop(full):
    lane = Lane("scans", 4)
    stops = [Stop() for _ in range(4)]
    waiting = [lane.submit(full.matching, HEAVY, stop, stop=stop) for stop in stops]
    time.sleep(0.2)
    for stop in stops:
        stop.set()
    wait(waiting)
    lane.close()
    assert lane.num_running == 0
    assert 0 <= lane.longest_overrun < SECONDS
