"""A stop ends whatever a borrowed connection does, and leaves the connection sound."""

import threading
import time
from contextlib import ExitStack

import apsw
import pytest

from twopass.index.errors import CollectionClosedError, StoppedError
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.damage import Damage
from twopass.index.stopping import Stop

from ..conftest import LANES

# Counts for minutes, so that a test that takes seconds has shown that it was stopped.
ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 4000000000)
SELECT count(*) FROM numbers
"""
SECONDS = 5.0


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "documents.sqlite"
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.execute("CREATE TABLE documents (key INTEGER PRIMARY KEY)")
    yield path
    connection.close()


@pytest.fixture
def connections(file):
    pool = ReadConnections("notes", file, Damage("notes", file, LANES.maintenance))
    yield pool
    pool.close()


def count(connections):
    with connections.borrow() as connection:
        return connection.execute("SELECT count(*) FROM documents").get


@pytest.mark.parametrize("borrow", ["borrow", "borrow_for_one"])
def test_a_statement_ends_soon_after_its_stop(connections, borrow):
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    began = time.perf_counter()
    with pytest.raises(StoppedError), getattr(connections, borrow)(stop) as connection:
        connection.execute(ENDLESS).fetchall()
    assert time.perf_counter() - began < SECONDS


def test_a_stop_between_two_statements_ends_the_second(connections):
    stop = Stop()
    with connections.borrow(stop) as connection:
        connection.execute("SELECT count(*) FROM documents").fetchall()
        stop.set()
        for _ in range(2):
            with pytest.raises(apsw.InterruptError):
                connection.execute(ENDLESS).fetchall()


def test_a_stop_that_is_set_already_gives_no_connection(connections):
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError), connections.borrow(stop):
        raise AssertionError


def count_until_stopped(borrow, seen):
    stop = Stop()
    with borrow(stop) as connection:
        seen.add(id(connection))
        stop.set()
        connection.execute(ENDLESS).fetchall()


@pytest.mark.parametrize("borrow", ["borrow", "borrow_for_one"])
def test_a_connection_that_was_stopped_serves_the_next_borrower(connections, borrow):
    seen = set()
    for _ in range(20):
        with pytest.raises(StoppedError):
            count_until_stopped(getattr(connections, borrow), seen)
        assert count(connections) == 0
    assert len(seen) == 1


def test_a_borrower_sees_what_was_written_before(connections, file):
    writer = apsw.Connection(str(file))
    for key in range(1, 4):
        assert count(connections) == key - 1
        writer.execute("INSERT INTO documents VALUES (?)", (key,))
        writer.pragma("wal_checkpoint(truncate)")
        assert count(connections) == key
    writer.close()


def test_a_copy_needs_a_connection_without_other_statements(connections, tmp_path):
    for number in range(2):  # the connection goes back and is borrowed again
        with connections.borrow_for_one() as connection:
            connection.execute("VACUUM INTO ?", (str(tmp_path / f"copy{number}"),))
        assert count(connections) == 0


def test_a_closed_pool_lends_nothing(file):
    pool = ReadConnections("notes", file, Damage("notes", file, LANES.maintenance))
    count(pool)
    pool.close()
    with pytest.raises(CollectionClosedError), pool.borrow():
        raise AssertionError


@pytest.mark.parametrize("borrow", ["borrow", "borrow_for_one"])
def test_closing_that_discards_ends_the_reads_in_progress(connections, borrow):
    began = time.perf_counter()
    discarding = threading.Timer(0.1, lambda: connections.close(discard=True))
    discarding.start()
    with pytest.raises(CollectionClosedError), getattr(connections, borrow)() as connection:
        connection.execute(ENDLESS).fetchall()
    discarding.join()
    assert time.perf_counter() - began < SECONDS


def test_closing_that_does_not_discard_waits_for_the_reads_in_progress(connections):
    closing = threading.Thread(target=connections.close)
    with connections.borrow() as connection:
        closing.start()
        closing.join(0.05)
        assert closing.is_alive()
        assert connection.execute("SELECT count(*) FROM documents").get == 0
    closing.join()


def test_no_more_than_four_connections_are_kept_for_later(connections):
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(connections.borrow())
    assert len(connections._idle) == 4
    assert count(connections) == 0
