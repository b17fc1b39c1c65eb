"""Files that older servers wrote."""

from dataclasses import replace

import apsw
import numpy as np
import pytest

from twopass.index.collection import opening
from twopass.index.documents import SplitPassage
from twopass.index.filters import FieldCondition, Filter, OneOf
from twopass.index.rows.database import FORMAT_VERSION
from twopass.index.schema import Chunking, FieldType, IndexedField
from twopass.index.store.store import CollectionStore

from ..conftest import LANES

WORDS_OF_FORMAT_3 = """
CREATE VIRTUAL TABLE passages USING fts5(
  title, text, content='documents', content_rowid='key', tokenize='unicode61'
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(passages, row);
CREATE TRIGGER words_of_inserted AFTER INSERT ON documents BEGIN
  INSERT INTO passages (rowid, title, text) VALUES (new.key, new.title, new.text);
END;
CREATE TRIGGER words_of_deleted AFTER DELETE ON documents BEGIN
  INSERT INTO passages (passages, rowid, title, text)
  VALUES ('delete', old.key, old.title, old.text);
END;
INSERT INTO passages (passages) VALUES ('rebuild');
UPDATE meta SET value = 3 WHERE name = 'format_version';
"""


@pytest.fixture
def format_1(tmp_path, schema, make_document):
    """A folder with a collection as format 1 had it, without words and checksums; its file."""
    with CollectionStore(tmp_path, LANES) as store:
        documents = [make_document("a", text="blue sky"), make_document("b", text="deep sea")]
        store.create("notes", schema).upsert(documents).result()
    file = tmp_path / "collections" / "notes" / "documents.sqlite"
    connection = apsw.Connection(str(file))
    connection.execute(
        "DROP VIEW vectors; "
        "ALTER TABLE documents DROP COLUMN checksum; "
        "UPDATE meta SET value = 1 WHERE name = 'format_version'"
    )
    connection.close()
    return file


def version_of(file):
    connection = apsw.Connection(str(file))
    (version,) = connection.execute(
        "SELECT value FROM meta WHERE name = 'format_version'"
    ).fetchone()
    connection.close()
    return version


def test_a_file_without_words_gets_them_when_it_is_opened(
    tmp_path, format_1, make_document, caplog
):
    caplog.set_level("INFO", "twopass.index")
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.get("notes")
        assert len(collection.search_words("sky", 10).keys) == 1
        collection.upsert([make_document("c", text="sky")]).result()
        collection.delete(["a"]).result()
        assert len(collection.search_words("sky", 10).keys) == 1
    assert version_of(format_1) == FORMAT_VERSION
    done = [record for record in caplog.records if record.message == "migrated"]
    assert [(record.to_format, record.path) for record in done] == [
        (2, str(format_1)),
        (3, str(format_1)),
        (4, str(format_1)),
        (5, str(format_1)),
    ]


def test_words_of_an_older_server_leave_the_file_and_are_found_all_the_same(
    tmp_path, schema, make_document
):
    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", schema).upsert([make_document("a", text="blue sky")]).result()
    file = tmp_path / "collections" / "notes" / "documents.sqlite"
    connection = apsw.Connection(str(file))
    connection.execute(WORDS_OF_FORMAT_3)
    connection.close()
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.get("notes")
        collection.upsert([make_document("b", text="sky")]).result()
        collection.delete(["a"]).result()
        assert len(collection.search_words("sky", 10).keys) == 1
    connection = apsw.Connection(str(file))
    left = connection.execute(
        "SELECT name FROM sqlite_schema WHERE name LIKE 'passages%' OR name LIKE 'words%' "
        "OR name = 'vocabulary'"
    ).fetchall()
    connection.close()
    assert left == []
    assert version_of(file) == FORMAT_VERSION


def test_rows_without_checksums_get_them_when_their_file_is_opened(tmp_path, schema, make_document):
    split = replace(
        schema, chunking=Chunking(16), encoder="e", encoder_revision="0", client_vectors=False
    )
    vectors = np.eye(4, dtype=np.float32)
    windows = SplitPassage(np.array([[0, 9], [7, 16], [14, 20]], np.int32), vectors[:3])
    with CollectionStore(tmp_path, LANES) as store:
        store.create("whole", schema).upsert([make_document("é", metadata={"ü": 1})]).result()
        store.create("split", split).upsert([make_document("b", vector=windows)]).result()
    for name, tables in [("whole", ["documents"]), ("split", ["documents", "windows"])]:
        file = tmp_path / "collections" / name / "documents.sqlite"
        connection = apsw.Connection(str(file))
        for table in tables:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.execute("UPDATE meta SET value = 2 WHERE name = 'format_version'")
        connection.close()
    with CollectionStore(tmp_path, LANES) as store:
        assert store.failed == {}
        assert [document.id for document in store.get("whole").list_page(10).documents] == ["é"]
        assert [document.id for document in store.get("split").list_page(10).documents] == ["b"]
        nearest = store.get("split").nearest_by_window(vectors[1], 1)
        assert list(nearest.windows.values()) == [(7, 16)]
        for name in ("whole", "split"):
            assert store.get(name).read_only_reason == ""
            store.get(name).delete(["b"]).result()


def test_windows_of_all_documents_stay_and_later_short_documents_are_whole(
    tmp_path, schema, make_document
):
    split = replace(
        schema, chunking=Chunking(16), encoder="e", encoder_revision="0", client_vectors=False
    )
    vectors = np.eye(4, dtype=np.float32)
    parts = [SplitPassage(np.array([[0, 9]], np.int32), vectors[:1])]
    parts.append(SplitPassage(np.array([[0, 16], [14, 30]], np.int32), vectors[1:3]))
    with CollectionStore(tmp_path, LANES) as store:
        documents = [
            make_document(name, vector=part) for name, part in zip("ab", parts, strict=True)
        ]
        store.create("split", split).upsert(documents).result()
    file = tmp_path / "collections" / "split" / "documents.sqlite"
    connection = apsw.Connection(str(file))
    # Format 3: keys of windows began with 1, as those of documents did.
    connection.execute(
        ""
        "UPDATE documents SET key = key - 1 WHERE id = 'b'; "
        "UPDATE windows SET document = 2 WHERE document = 3; "
        "UPDATE sqlite_sequence SET seq = 2; "
        "UPDATE meta SET value = 3 WHERE name = 'format_version'"
    )
    connection.close()
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.get("split")
        assert collection.num_split == 2
        collection.upsert([make_document("c", vector=vectors[3])]).result()
        assert collection.num_split == 2
        for vector, name, window in zip(
            vectors, "abbc", [(0, 9), (0, 16), (14, 30), None], strict=True
        ):
            nearest = collection.nearest_by_window(vector, 1)
            (found,) = collection.fetch(nearest.ranked.keys).values()
            assert found.id == name
            assert nearest.windows.get(found.key) == window
        collection.delete(["a", "b"]).result()
        assert (collection.num_split, collection.num_documents) == (0, 1)
    with CollectionStore(tmp_path, LANES) as store:
        assert store.get("split").search(vectors[:1], 10).result().keys.shape == (1, 1)


def test_a_file_of_today_is_left_alone(tmp_path, format_1, caplog):
    CollectionStore(tmp_path, LANES).close()
    caplog.clear()
    caplog.set_level("INFO", "twopass.index")
    CollectionStore(tmp_path, LANES).close()
    assert "migrated" not in [record.message for record in caplog.records]


def test_a_migration_that_fails_changes_nothing(tmp_path, format_1):
    connection = apsw.Connection(str(format_1))
    connection.execute("CREATE TABLE vectors (x)")  # stands in the way
    connection.close()
    with CollectionStore(tmp_path, LANES) as store:
        assert "vectors already exists" in store.failed["notes"]
    assert version_of(format_1) == 1


def test_paths_through_lists_get_their_indexes_when_a_file_is_opened(
    tmp_path, schema, make_document
):
    fields = (IndexedField("year", FieldType.NUMBER), IndexedField("tags.name"))
    documents = [
        make_document("a", metadata={"tags": [{"name": "x"}]}),
        make_document("b", metadata={"tags": {"name": "x"}}),
        make_document("c", metadata={"tags": [{"name": "y"}]}),
    ]
    wanted = Filter(must=(FieldCondition("tags.name", OneOf(("x",))),))
    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", replace(schema, indexed_fields=fields)).upsert(documents).result()
    file = tmp_path / "collections" / "notes" / "documents.sqlite"
    connection = apsw.Connection(str(file))
    connection.execute("DROP INDEX field_1_lists")
    connection.close()
    for _ in range(2):
        with CollectionStore(tmp_path, LANES) as store:
            page = store.get("notes").list_page(10, wanted=wanted)
            assert [document.id for document in page.documents] == ["a", "b"]
        connection = apsw.Connection(str(file))
        names = connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'field_*'")
        assert {name for (name,) in names} == {"field_0", "field_1", "field_1_lists"}
        connection.close()


def test_the_revision_that_an_encoder_is_known_by_now_is_kept(tmp_path, schema, make_document):
    encoded = replace(schema, encoder="e", encoder_revision="old", client_vectors=False)
    asked = []

    def current(name, schema):
        asked.append((name, schema.encoder, schema.encoder_revision))
        return "new" if schema.encoder_revision == "old" else schema.encoder_revision

    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", encoded).upsert([make_document("a")]).result()
        store.create("vectors", schema)
        store.create_snapshot("notes", "kept")
    with CollectionStore(tmp_path, LANES, current_revision=current) as store:
        notes = store.get("notes")
        assert notes.schema == replace(encoded, encoder_revision="new")
        assert notes.summary().schema == notes.schema
        notes.upsert([make_document("b")]).result()
        assert store.restore("notes", "kept", "restored").schema == notes.schema
    # What brings its own vectors has no encoder to ask for.
    assert asked == [("notes", "e", "old"), ("restored", "e", "old")]
    with CollectionStore(tmp_path, LANES) as store:  # it is on disk
        assert store.summary("notes").schema.encoder_revision == "new"
        assert [document.id for document in store.get("notes").list_page(10).documents] == [*"ab"]


def test_a_revision_that_could_not_be_kept_is_not_used(tmp_path, schema, monkeypatch):
    encoded = replace(schema, encoder="e", encoder_revision="old", client_vectors=False)
    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", encoded)

    def full(connection, schema):
        raise apsw.FullError

    with monkeypatch.context() as patched:
        patched.setattr(opening, "keep_revision", full)
        with CollectionStore(tmp_path, LANES, current_revision=lambda *_: "new") as store:
            assert "the disk is full" in store.failed["notes"]
    with CollectionStore(tmp_path, LANES) as store:
        assert store.get("notes").schema.encoder_revision == "old"


def test_a_store_can_be_told_to_open_its_collections_later(tmp_path, schema):
    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", schema)
    with CollectionStore(tmp_path, LANES, opens_collections=False) as store:
        assert (store.names, store.opened.num_open) == (("notes",), 0)
        store.open_first()
        assert store.opened.num_open == 1
