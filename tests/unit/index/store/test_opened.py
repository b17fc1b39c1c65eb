"""Collections are opened when they are used, and closed when they are idle and others need room."""

import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from twopass.index.aliases import AliasChange
from twopass.index.documents import IndexedDocument
from twopass.index.errors import (
    CollectionClosedError,
    CollectionNotFoundError,
    CollectionsInUseError,
    StorageError,
)
from twopass.index.rows import database
from twopass.index.schema import CollectionSchema
from twopass.index.store import opened
from twopass.index.store import store as store_module
from twopass.index.store.store import CollectionStore

from ..conftest import DIMENSION, LANES

NAMES = [f"c{number}" for number in range(12)]
MAX_OPEN = 4
SCHEMA = CollectionSchema(dimension=DIMENSION, client_vectors=True)


def document(name):
    """A document whose vector is drawn from its id."""
    vector = np.random.default_rng(list(name.encode())).standard_normal(DIMENSION)
    return IndexedDocument(
        id=name,
        text=f"text of {name}",
        vector=vector.astype(np.float32),
        token_ids=np.arange(3, dtype=np.int32),
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A data folder with a document of its own in each of twelve collections."""
    filled = tmp_path_factory.mktemp("filled")
    with CollectionStore(filled, LANES) as store:
        for name in NAMES:
            store.create(name, SCHEMA).upsert([document(name)]).result()
    return filled


@pytest.fixture
def folder(filled, tmp_path):
    """A copy of it."""
    shutil.copytree(filled, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def few(folder):
    """A store of them that holds four open."""
    with CollectionStore(folder, LANES, max_open=MAX_OPEN) as store:
        opened_at_start(store)
        yield store


def opened_at_start(store):
    """The names of those that are open, once as many are as a start opens."""
    while store.opened.num_open < store.opened.max_open // 2:
        time.sleep(0.001)
    return {name for name in store.names if store._names.known[name].collection is not None}


def collection_of(pin):
    return pin.collection or pin.opening.result()


def found(collection):
    nearest = collection.search(document(collection.name).vector[None], 1).result().keys[0]
    assert collection.search_words(collection.name, 1).keys.tolist() == nearest.tolist()
    return collection.load(nearest).ids


def test_a_start_opens_all_and_waits_for_it_where_all_may_be_open(folder):
    with CollectionStore(folder, LANES, max_open=len(NAMES)) as store:
        assert store.opened.num_open == len(NAMES)


def test_a_start_knows_all_and_leaves_room_for_those_that_are_used(few):
    assert few.names == tuple(sorted(NAMES))
    assert few.failed == {}
    assert len(opened_at_start(few)) == MAX_OPEN // 2


def test_a_start_opens_those_that_were_written_to_last(folder):
    with CollectionStore(folder, LANES) as store:
        for name in ("c3", "c7"):
            store.get(name).upsert([document("new")]).result()
    with CollectionStore(folder, LANES, max_open=4) as store:
        assert opened_at_start(store) == {"c3", "c7"}


def test_every_collection_can_be_searched_whatever_is_open(few):
    for name in NAMES + NAMES[::-1]:
        pin = few.pin(name)
        assert found(collection_of(pin)) == (name,)
        pin.release()
        assert few.opened.num_open <= MAX_OPEN
    assert few.opened.num_opened > len(NAMES)
    assert few.opened.num_opened - few.opened.num_closed == few.opened.num_open


def test_what_was_written_is_there_when_a_collection_is_opened_again(few):
    for turn in range(3):
        for name in NAMES:
            pin = few.pin(name)
            collection_of(pin).upsert([document(f"{name}-{turn}")]).result()
            pin.release()
    for name in NAMES:
        assert few.get(name).num_documents == 4


def test_the_one_used_least_recently_makes_room(few):
    for name in ("c0", "c1", "c2", "c3"):
        few.get(name)
    few.get("c0")
    few.get("c4")
    is_open = {name: few._names.known[name].collection is not None for name in NAMES[:5]}
    assert is_open == {"c0": True, "c1": False, "c2": True, "c3": True, "c4": True}


def test_a_pinned_collection_is_never_closed(few):
    pin = few.pin("c0")
    collection = collection_of(pin)
    for name in NAMES * 2:
        few.get(name)
    assert few.get("c0") is collection
    assert found(collection) == ("c0",)
    pin.release()
    pin.release()  # it was one pin
    for name in NAMES[1:]:
        few.get(name)
    with pytest.raises(CollectionClosedError):
        collection.get(["c0"])


def test_as_many_as_may_be_open_can_be_in_use_and_no_more(few):
    pins = [few.pin(name) for name in NAMES[:MAX_OPEN]]
    for use in (few.pin, few.get, partial(few.create, schema=SCHEMA)):
        with pytest.raises(CollectionsInUseError, match="4 are open and in use, at most 4 may be"):
            use("c8" if use in (few.pin, few.get) else "another")
    assert "another" not in few.names
    collection_of(pins[0])
    pins[0].release()
    few.create("another", SCHEMA)
    for pin in pins[1:]:
        collection_of(pin)
        pin.release()
    few.get("c8")


def test_a_collection_that_works_is_not_closed(few):
    collection = few.get("c0")
    held, release = threading.Event(), threading.Event()

    def hold():
        held.set()
        release.wait()

    for _ in range(LANES.writes.num_threads):  # so that its write has to wait
        LANES.writes.submit(hold)
    held.wait()
    try:
        written = collection.upsert([document("late")])
        for name in NAMES[1:]:
            few.get(name)
        assert few.get("c0") is collection
    finally:
        release.set()
    written.result()


def test_one_whose_index_would_have_to_be_saved_goes_last(few):
    first = few.get("c0")
    first.upsert([document(str(number)) for number in range(1_000)]).result()
    for name in NAMES[1:]:
        few.get(name)
    assert few.get("c0") is first
    pins = [few.pin(name) for name in NAMES[1:MAX_OPEN]]
    few.get("c8")  # nobody else can make room
    for pin in pins:
        pin.release()
    assert few.get("c0").num_documents == 1_001


def test_calls_that_want_the_same_collection_share_one_opening(few, monkeypatch):
    counted = Counter()
    open_database = few.opened._open_database

    def count(name, path):
        counted[str(name)] += 1
        return open_database(name, path)

    monkeypatch.setattr(few.opened, "_open_database", count)
    for name in NAMES[:MAX_OPEN]:
        few.get(name)
    counted.clear()
    with ThreadPoolExecutor(8) as threads:
        pins = list(threads.map(few.pin, ["c9"] * 40))
    assert len({id(collection_of(pin)) for pin in pins}) == 1
    assert counted == {"c9": 1}
    for pin in pins:
        pin.release()


def test_many_threads_use_more_collections_than_may_be_open(folder):
    with CollectionStore(folder, LANES, max_open=9) as store:

        def work(worker):
            drawn = np.random.default_rng(worker)
            for turn in range(25):
                name = NAMES[drawn.integers(len(NAMES))]
                pin = store.pin(name)
                collection = collection_of(pin)
                assert name in found(collection)
                if turn % 3 == 0:
                    collection.upsert([document(f"{worker}-{turn}")]).result()
                store.summary(NAMES[drawn.integers(len(NAMES))])
                pin.release()
            return True

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(work, range(8)))
        assert store.opened.num_open <= 9
        assert store.failed == {}
        assert sum(s.num_documents for s in store.summaries(store.names)) == len(NAMES) + 8 * 9


def test_open_collections_have_no_threads_of_their_own(folder):
    lanes = {lane.name for lane in LANES.all()}
    before = set(threading.enumerate())  # those of servers beside, too
    with CollectionStore(folder, LANES) as store:
        for name in NAMES:
            store.get(name).upsert([document("new")]).result()
            store.get(name).merge().result()
        begun = set(threading.enumerate()) - before
        of_lanes = {thread for thread in begun if thread.name.rpartition("-")[0] in lanes}
        assert len(of_lanes) <= sum(lane.num_threads for lane in LANES.all())
        others = {thread.name for thread in begun - of_lanes}
        assert not [name for name in others if any(known in name for known in NAMES)]


# --- what is known without opening ---------------------------------------------------------------


def test_all_are_described_without_being_opened(few):
    summaries = few.summaries(few.names)
    assert few.opened.num_opened == MAX_OPEN // 2
    assert [summary.name for summary in summaries] == sorted(NAMES)
    assert {s.num_documents for s in summaries} == {1}
    assert {s.schema for s in summaries} == {SCHEMA}
    assert {str(s.sequence).rpartition(".")[2] for s in summaries} == {"1"}


def test_what_is_described_of_a_closed_collection_is_what_it_was_when_it_was_closed(few):
    before = few.get("c0")
    before.upsert([document("new")]).result()
    summary = before.summary()
    for name in NAMES[1:]:
        few.get(name)
    assert few.known_summary("c0") == few.summary("c0") == summary
    few.get("c0").upsert([document("newer")]).result()
    assert few.summary("c0").num_documents == 3


def test_a_look_at_a_closed_collection_leaves_no_file_beside_it(folder):
    with CollectionStore(folder, LANES, max_open=1) as store:
        store.get("c0")
        store.summaries(NAMES)
        for name in NAMES[1:]:
            files = {file.name for file in (folder / "collections" / name).iterdir()}
            assert files == {"documents.sqlite"}


def test_aliases_stand_for_closed_collections_too(few):
    few.update_aliases([AliasChange("docs", "c0")], lambda _: None)
    for name in NAMES:
        few.get(name)
    pin = few.pin("docs")
    assert found(collection_of(pin)) == ("c0",)
    pin.release()
    with pytest.raises(CollectionNotFoundError):
        few.update_aliases([AliasChange("docs", "unknown")], lambda _: None)


# --- deleted, damaged, closed --------------------------------------------------------------------


def test_closed_and_open_and_pinned_collections_can_be_deleted(few, folder):
    few.get("c0")
    pin = few.pin("c1")
    collection_of(pin)
    for name in NAMES:
        few.delete(name)
        with pytest.raises(CollectionNotFoundError):
            few.pin(name)
    pin.release()
    assert few.names == ()
    assert few.opened.num_open == 0
    assert list((folder / "collections").iterdir()) == []
    for name in NAMES:
        assert few.create(name, SCHEMA).num_documents == 0
    assert few.opened.num_open == MAX_OPEN


def test_a_deletion_saves_nothing_and_refuses_what_waits(folder, monkeypatch):
    with CollectionStore(folder, LANES) as store:
        collection = store.get("c0")
        collection.upsert([document(str(number)) for number in range(2_000)]).result()
        assert collection.is_worth_saving
        saved = []
        monkeypatch.setattr("twopass.index.vectors.merging.save_base", lambda *_: saved.append(1))
        store.delete("c0")
        assert saved == []
        with pytest.raises(CollectionClosedError):
            collection.upsert([document("late")])


def test_other_collections_come_and_go_while_one_is_being_deleted(folder):
    with CollectionStore(folder, LANES) as store:
        reading = store.get("c0")._connections.borrow()
        reading.__enter__()  # a read that has begun: the deletion waits for it
        deleting = LANES.maintenance.submit(store.delete, "c0")
        while "c0" in store.names:
            pass
        with pytest.raises(CollectionNotFoundError):
            store.get("c0")
        store.create("new", SCHEMA).upsert([document("new")]).result()
        store.delete("c1")
        store.update_aliases([AliasChange("docs", "c2")], lambda _: None)
        assert not deleting.done()
        reading.__exit__(None, None, None)
        deleting.result()
        assert store.create("c0", SCHEMA).num_documents == 0


def test_one_that_can_not_be_opened_is_tried_again_after_a_while(folder, monkeypatch, caplog):
    file = folder / "collections" / "c0" / "documents.sqlite"
    sound = file.read_bytes()
    file.write_bytes(b"no database" * 1_000)
    monkeypatch.setattr(opened, "_RETRY_SECONDS", 1e9)
    with CollectionStore(folder, LANES) as store:
        file.write_bytes(sound)
        for use in (store.get, store.pin, store.summary):
            with pytest.raises(StorageError, match=r"'c0' could not be opened.*no database"):
                use("c0")
        assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1
        store._names.known["c0"].retry_time = 0.0
        assert store.get("c0").num_documents == 1
        assert store.failed == {}
        assert "c0" in store.names


def test_an_index_kind_of_a_newer_server_keeps_no_other_collection_from_serving(folder):
    connection = database.open_for_writing(folder / "collections" / "c0" / "documents.sqlite")
    connection.execute(
        "UPDATE meta SET value = replace(value, '\"Flat\"', '\"Voronoi9\"') WHERE name = 'schema'"
    )
    connection.close()
    with CollectionStore(folder, LANES) as store:
        assert list(store.failed) == ["c0"]
        assert "'Voronoi9' is not supported" in store.failed["c0"]
        assert store.get("c1").num_documents == 1


def test_whatever_opening_raises_keeps_no_other_collection_from_serving(folder, monkeypatch):
    def refuse(name, *_, **__):
        if str(name) == "c0":
            raise RuntimeError("faiss says no")
        return real(name, *_, **__)

    real = store_module.open_collection
    monkeypatch.setattr(store_module, "open_collection", refuse)
    with CollectionStore(folder, LANES) as store:
        assert list(store.failed) == ["c0"]
        assert "faiss says no" in store.failed["c0"]
        assert len(store.names) == len(NAMES) - 1


def test_a_closed_store_opens_nothing(folder):
    store = CollectionStore(folder, LANES, max_open=2)
    pin = store.pin("c9")
    store.close()
    pin.release()
    for use in (store.pin, store.get):
        with pytest.raises(CollectionClosedError):
            use("c0")
    assert store.opened.num_open == 0
    CollectionStore(folder, LANES).close()


def test_what_is_being_opened_can_be_waited_for_without_a_thread(few, monkeypatch):
    name = next(name for name in NAMES if few._names.known[name].collection is None)
    assert few.opening(name) is None
    may_open, open_database = threading.Event(), few.opened._open_database
    monkeypatch.setattr(
        few.opened, "_open_database", lambda *args: may_open.wait(10) and open_database(*args)
    )
    pin = few.pin(name)
    opening = few.opening(name)
    assert not opening.done()
    may_open.set()
    assert opening.result(10).name == name
    assert few.opening(name) is None
    pin.release()
