"""Metadata is changed in place: by RFC 7396, all or none, and seen by every filter that follows."""

import json

import apsw
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.documents import DocumentFields
from twopass.index.errors import CollectionDamagedError, InvalidDocumentError, StoppedError
from twopass.index.filters import FieldCondition, Filter, IdCondition, InRange, OneOf
from twopass.index.metadata import MergeMetadata, ReplaceMetadata, merged
from twopass.index.schema import CollectionSchema, FieldType, IndexedField
from twopass.index.stopping import Stop
from twopass.index.store.store import CollectionStore

from ..conftest import DIMENSION, LANES, StopsAfter

EVERY_DOCUMENT = Filter()
EVERYTHING = DocumentFields(vector=True)

# Appendix A of RFC 7396.
CASES = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]

names = st.sampled_from(["a", "b", "c", "d.e", "é"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=4)


@pytest.mark.parametrize(("target", "patch", "result"), CASES)
def test_a_patch_does_what_the_rfc_shows(target, patch, result):
    assert merged(json.loads(target), json.loads(patch)) == json.loads(result)


@given(target=objects, patch=objects)
def test_a_patch_does_what_sqlite_makes_of_it(target, patch):
    before = json.dumps([target, patch])
    query = "SELECT json_patch(?, ?)"
    expected = apsw.Connection(":memory:").execute(query, (json.dumps(target), json.dumps(patch)))
    assert merged(target, patch) == json.loads(expected.get)
    assert json.dumps([target, patch]) == before


def of(collection, *ids):
    return [document.metadata for document in collection.get(ids)]


@pytest.fixture
def numbered(store, make_document):
    """Documents "0" to "9" with their number; it is declared, and so has an index."""
    schema = CollectionSchema(
        dimension=DIMENSION,
        client_vectors=True,
        indexed_fields=(IndexedField("n", FieldType.NUMBER),),
    )
    collection = store.create("numbered", schema)
    documents = [make_document(str(i), metadata={"n": i, "name": f"d{i}"}) for i in range(10)]
    collection.upsert(documents).result()
    return collection


def below(number):
    return Filter(must=(FieldCondition("n", InRange(lt=number)),))


def test_documents_are_chosen_by_a_filter_and_keep_all_but_what_is_changed(numbered):
    before = numbered.get(list("0123456789"), EVERYTHING)
    result = numbered.update_metadata(below(3), MergeMetadata({"n": 50, "new": True})).result()
    assert result.num_updated == 3
    assert result.sequence.position == 2
    after = numbered.get(list("0123456789"), EVERYTHING)
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        assert (new.key, new.title, new.text) == (old.key, old.title, old.text)
        np.testing.assert_array_equal(new.vector, old.vector)
        changed = {"n": 50, "name": f"d{number}", "new": True}
        assert new.metadata == (changed if number < 3 else old.metadata)


def test_declared_fields_are_found_by_their_new_values(numbered):
    numbered.update_metadata(below(3), MergeMetadata({"n": 50})).result()
    numbered.update_metadata(
        Filter(must=(IdCondition(("9", "unknown")),)), ReplaceMetadata({"other": 1})
    ).result()
    assert numbered.count(below(3)) == 0
    assert numbered.count(Filter(must=(FieldCondition("n", OneOf((50,))),))) == 3
    assert numbered.count(below(100)) == 9
    assert of(numbered, "9") == [{"other": 1}]


def test_documents_are_found_as_before(numbered, make_document):
    numbered.update_metadata(EVERY_DOCUMENT, ReplaceMetadata({})).result()
    vector = make_document("4").vector
    found = numbered.search(vector[None], 1).result()
    assert numbered.load(found.keys[0]).ids == ("4",)
    by_words = numbered.search_words("text of 4", 10).keys
    assert numbered.load(by_words).ids[0] == "4"


def test_new_metadata_is_still_there_after_a_restart_and_sound(tmp_path, make_document, schema):
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.create("notes", schema)
        collection.upsert([make_document(name) for name in "abc"]).result()
        sequence = (
            collection.update_metadata(EVERY_DOCUMENT, MergeMetadata({"é": ["東京", None, 1.5]}))
            .result()
            .sequence
        )
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.get("notes")
        assert collection.sequence == sequence
        assert of(collection, "a", "b", "c") == [{"é": ["東京", None, 1.5]}] * 3
        assert collection.check_every_document() == ()
        assert not collection.read_only_reason


def test_nothing_is_changed_where_one_document_would_break_a_rule(numbered):
    large = "x" * 60_000
    numbered.update_metadata(
        Filter(must=(IdCondition(("7",)),)), MergeMetadata({"large": large})
    ).result()
    with pytest.raises(InvalidDocumentError, match=r"merge: document '7': 1\d\d,\d{3} bytes as JS"):
        numbered.update_metadata(EVERY_DOCUMENT, MergeMetadata({"more": large})).result()
    deep = json.loads(40 * '{"d":' + "1" + 40 * "}")
    with pytest.raises(InvalidDocumentError, match=r"replace: .* nested deeper than 32"):
        numbered.update_metadata(EVERY_DOCUMENT, ReplaceMetadata(deep)).result()
    assert all("more" not in metadata for metadata in of(numbered, *"0123456789"))
    assert numbered.sequence.position == 2


def test_no_document_is_an_update_too(numbered):
    result = numbered.update_metadata(below(-1), MergeMetadata({"n": 1})).result()
    assert result.num_updated == 0
    assert result.sequence == numbered.sequence


def test_a_stopped_update_changes_nothing(numbered, make_document):
    documents = [make_document(f"more {i}", metadata={"n": 1}) for i in range(1_000)]
    numbered.upsert(documents).result()
    stopped = Stop()
    stopped.set()
    for stop in (stopped, StopsAfter(2), StopsAfter(4)):
        with pytest.raises(StoppedError):
            numbered.update_metadata(EVERY_DOCUMENT, ReplaceMetadata({}), stop).result()
    assert numbered.count(Filter(must=(FieldCondition("n", OneOf((1,))),))) == 1_001


def test_updates_that_wait_with_other_writes_are_made_in_their_order(numbered, make_document):
    one = Filter(must=(IdCondition(("1", "new")),))
    futures = [
        numbered.update_metadata(one, MergeMetadata({"a": 1})),
        numbered.upsert([make_document("new", metadata={"b": 2})]),
        numbered.update_metadata(one, MergeMetadata({"c": 3})),
        numbered.delete(["1"]),
        numbered.update_metadata(one, MergeMetadata({"d": 4})),
    ]
    counts = [getattr(future.result(), "num_updated", None) for future in futures]
    assert counts == [1, None, 2, None, 1]
    assert of(numbered, "new") == [{"b": 2, "c": 3, "d": 4}]


def test_readers_see_all_of_an_update_or_nothing(numbered, make_document):
    documents = [make_document(f"more {i}", metadata={"round": 0}) for i in range(600)]
    numbered.upsert(documents).result()
    wanted = Filter(must=(FieldCondition("round", InRange(gte=0)),))
    updates = [
        numbered.update_metadata(wanted, MergeMetadata({"round": number})) for number in range(1, 6)
    ]
    seen = []
    while not updates[-1].done():
        facet = numbered.facet(EVERY_DOCUMENT, "round", 10)
        seen.append([(one.value, one.num_documents) for one in facet.values])
    seen.append([(5, numbered.count(Filter(must=(FieldCondition("round", OneOf((5,))),))))])
    assert [len(one) for one in seen] == [1] * len(seen)
    assert all(number_of == 600 for ((_, number_of),) in seen)
    rounds = [number for ((number, _),) in seen]
    assert rounds == sorted(rounds)


def test_a_damaged_document_is_not_made_sound(collection, database, make_document):
    collection.upsert([make_document("a"), make_document("b")]).result()
    connection = apsw.Connection(str(database))
    connection.execute("UPDATE documents SET token_ids = x'00' WHERE id = 'a'")
    connection.close()
    with pytest.raises(CollectionDamagedError, match="document 'a' is damaged"):
        collection.update_metadata(EVERY_DOCUMENT, MergeMetadata({"n": 1})).result()
    assert collection.check_every_document() == ("a",)
    assert of(collection, "b") == [{}]
