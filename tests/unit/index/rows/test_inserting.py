"""Documents written and deleted by the chunk, as if one by one."""

import apsw
import pytest

from twopass.index.rows.inserting import delete_ids, insert_rows
from twopass.index.rows.tables import create_tables
from twopass.index.rows.window_rows import document_keys
from twopass.index.schema import CollectionSchema


@pytest.fixture
def connection():
    connection = apsw.Connection(":memory:")
    create_tables(connection, CollectionSchema(dimension=1, client_vectors=True))
    connection.execute("BEGIN")
    yield connection
    connection.close()


def row(document_id, text="sky"):
    return (document_id, b"\0\0\0\0", b"\0\0\x80?", "", text, "{}", 7)


def insert(connection, position, rows):
    """Inserts documents that are not split; returns their keys."""
    keys = document_keys(connection, [()] * len(rows))
    insert_rows(connection, position, keys, rows)
    return keys


def stored(connection):
    return dict(connection.execute("SELECT key, id FROM documents ORDER BY key"))


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1_000])
def test_keys_are_those_of_the_rows_in_order(connection, count):
    insert_all = insert(connection, 1, [row(f"first {n}") for n in range(3)])
    assert insert_all == [1, 2, 3]
    keys = insert(connection, 2, [row(f"d{n}") for n in range(count)])
    assert [stored(connection)[key] for key in keys] == [f"d{n}" for n in range(count)]


def test_those_that_are_there_are_deleted_and_their_keys_told(connection):
    ids = ["plain", "it's", 'a "b"', "日本", "x, y", "\\u0041"]
    keys = insert(connection, 1, [row(document_id) for document_id in ids])
    assert delete_ids(connection, ["it's", "nowhere", "日本", "A"]) == [keys[1], keys[3]]
    assert list(stored(connection).values()) == ["plain", 'a "b"', "x, y", "\\u0041"]
    assert delete_ids(connection, ids) == [keys[0], *keys[2:3], *keys[4:]]
    assert delete_ids(connection, ids) == []


def test_a_key_is_never_given_twice(connection):
    (first,) = insert(connection, 1, [row("a")])
    delete_ids(connection, ["a"])
    (second,) = insert(connection, 2, [row("a")])
    assert second > first


def test_a_split_document_takes_the_key_of_its_last_window(connection):
    assert document_keys(connection, [(), (1, 2, 3), (), (1, 2)]) == [1, 4, 5, 7]
    insert_rows(connection, 1, [1, 4, 5, 7], [row(document_id) for document_id in "abcd"])
    assert document_keys(connection, [()]) == [8]
    delete_ids(connection, ["d"])
    assert document_keys(connection, [()]) == [8]
