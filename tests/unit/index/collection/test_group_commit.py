"""Writes that wait together share a COMMIT, and nothing else."""

import threading
import time
from contextlib import contextmanager

import apsw
import numpy as np
import pytest

from twopass.index.errors import StorageError


@contextmanager
def writes_waiting(collection, database):
    """Keeps the writer busy with a first write, so that what is written meanwhile is one group."""
    other = apsw.Connection(str(database))
    other.execute("BEGIN IMMEDIATE")
    collection.delete(["nobody"])
    while collection._writer._queue._waiting:
        time.sleep(0.001)
    yield
    other.execute("ROLLBACK")
    other.close()


def poison(database, action):
    """Makes SQLite itself refuse a document with the id "poison"."""
    other = apsw.Connection(str(database))
    other.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON documents WHEN NEW.id = 'poison' "
        f"BEGIN SELECT RAISE({action}, 'poisoned'); END"
    )
    other.close()


def texts(collection):
    return {d.id: d.text for d in collection.list_page(1_000).documents}


def test_a_write_that_fails_leaves_its_neighbours_alone(collection, database, make_document):
    poison(database, "ABORT")
    with writes_waiting(collection, database):
        before = collection.upsert([make_document("a"), make_document("b")])
        # Its first two documents are written, one replaced, before the third is refused.
        failing = collection.upsert(
            [make_document("c"), make_document("a", text="never"), make_document("poison")]
        )
        after = collection.upsert([make_document("b", text="new"), make_document("d")])
    with pytest.raises(StorageError, match="poisoned"):
        failing.result()
    assert before.result().sequence.position == 2
    assert (after.result().sequence.position, after.result().num_replaced) == (3, 1)
    assert texts(collection) == {"a": "text of a", "b": "new", "d": "text of d"}
    assert collection.num_documents == 3
    assert collection.search(np.ones((1, 4), np.float32), 10).result().keys.shape == (1, 3)


def test_a_group_that_sqlite_rolls_back_fails_whole_and_the_next_is_written(
    collection, database, make_document
):
    collection.upsert([make_document("old")]).result()
    poison(database, "ROLLBACK")
    with writes_waiting(collection, database):
        waiting = [collection.upsert([make_document(name)]) for name in ("a", "b", "poison", "c")]
    for future in waiting:
        with pytest.raises(StorageError, match="poisoned"):
            future.result()
    assert collection.upsert([make_document("d")]).result().sequence.position == 3
    assert texts(collection).keys() == {"old", "d"}
    assert collection.num_documents == 2


def test_a_document_that_comes_and_goes_within_a_group_is_not_found(
    collection, database, make_document
):
    with writes_waiting(collection, database):
        collection.upsert([make_document("a"), make_document("b")])
        collection.upsert([make_document("a", text="second")])
        collection.delete(["b"])
        last = collection.upsert([make_document("a", text="third")])
    assert (last.result().num_inserted, last.result().num_replaced) == (0, 1)
    assert texts(collection) == {"a": "third"}
    found = collection.search(make_document("a").vector[None], 10).result()
    assert len(collection.load(found.keys[0]).positions) == found.keys.shape[1] == 1


def test_a_cancelled_write_is_not_written(collection, database, make_document):
    with writes_waiting(collection, database):
        first = collection.upsert([make_document("a")])
        cancelled = collection.upsert([make_document("b")])
        last = collection.upsert([make_document("c")])
        did_cancel = cancelled.cancel()
    first.result()
    last.result()
    assert did_cancel
    assert texts(collection).keys() == {"a", "c"}


def test_writers_and_searchers_in_many_threads_see_their_own_writes(collection, make_document):
    failures = []

    def work(worker):
        try:
            for turn in range(15):
                kept, passing = f"{worker}-{turn}", f"{worker}-passing"
                for name in (kept, passing):
                    written = collection.upsert([make_document(name)]).result()
                    collection.ensure_reached(str(written.sequence))
                    vector = make_document(name).vector[None]
                    best = collection.search(vector, 3).result().keys[0]
                    assert name in collection.load(best).ids
                collection.delete([passing]).result()
                found = collection.search(vector, 1_000).result().keys[0]
                assert passing not in collection.load(found).ids
        except BaseException as failure:
            failures.append(failure)
            raise

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert collection.num_documents == len(texts(collection)) == 6 * 15
    assert collection.sequence.position == 6 * 15 * 3


def test_a_lock_held_by_another_process_fails_the_write_in_the_end(
    collection, database, make_document
):
    collection._writer._connection.set_busy_timeout(1)
    with (
        writes_waiting(collection, database),
        pytest.raises(StorageError, match="another process holds its write lock"),
    ):
        collection.upsert([make_document("a")]).result()
    collection.upsert([make_document("a")]).result()
