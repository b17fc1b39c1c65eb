"""Filters: what SQL lets pass is what plain Python lets pass, everywhere where filters apply."""

import json
import random
from dataclasses import replace

import apsw
import numpy as np
import pytest

from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.filters import (
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    OneOf,
    StartsWith,
)
from twopass.index.rows.filter_sql import compile_filter
from twopass.index.rows.tables import create_tables
from twopass.index.schema import CollectionSchema, FieldType, IndexedField
from twopass.index.store.store import CollectionStore

from ..conftest import DIMENSION, LANES
from ..naive_filters import passes
from ..random_filters import Drawing

NOTHING = DocumentFields(text=False, metadata=False)
DECLARED = ("year", "tags", "a.b", "odd\"'\\ name")


@pytest.fixture(scope="module")
def table():
    """The documents' table alone, in memory, with indexes on the declared fields."""
    connection = apsw.Connection(":memory:")
    schema = CollectionSchema(
        dimension=1,
        client_vectors=True,
        indexed_fields=tuple(map(IndexedField, DECLARED)),
    )
    create_tables(connection, schema)
    return connection


def lets_pass(table, documents, wanted):
    """Names of the documents that SQL lets pass; the table is left as it was."""
    condition = compile_filter(wanted)
    table.execute("SAVEPOINT example")
    try:
        table.executemany(
            "INSERT INTO documents "
            "(id, position, token_ids, embedding, title, text, metadata, checksum) "
            "VALUES (?, 1, x'', x'', '', 'x', ?, 0)",
            [(name, json.dumps(found, ensure_ascii=False)) for name, found in documents.items()],
        )
        select = f"SELECT id FROM documents WHERE {condition.text}"
        return {name for (name,) in table.execute(select, condition.values)}
    finally:
        table.execute("ROLLBACK TO example; RELEASE example")


@pytest.mark.parametrize("first", range(0, 2_000, 100), ids="seeds={}..".format)
def test_sql_lets_pass_what_plain_python_does(table, first):
    shares = set()
    for seed in range(first, first + 100):
        drawing = Drawing(seed)
        documents = {f"d{i}": drawing.metadata() for i in range(20)}
        wanted = drawing.filter()
        expected = {name for name, has in documents.items() if passes(name, has, wanted)}
        assert lets_pass(table, documents, wanted) == expected, (seed, wanted)
        shares.add(len(expected))
    assert {0, 20} < shares  # none, all, and some of them


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
@pytest.mark.parametrize("share", [0, 1, 2, 10, 50, 90, 99, 100], ids="{}%".format)
def test_every_way_of_reading_has_the_same_members(tmp_path, share, declared):
    drawn = random.Random(share)
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True)
    if declared:
        indexed = (IndexedField("percent", FieldType.NUMBER), IndexedField("tags"))
        schema = replace(schema, indexed_fields=indexed)
    vectors = np.random.default_rng(share).standard_normal((400, DIMENSION)).astype(np.float32)
    documents = {
        f"d{i}": IndexedDocument(
            id=f"d{i}",
            text=drawn.choice(["blue sky", "deep sea", "sky and sea"]),
            metadata={"percent": drawn.randrange(100), "tags": drawn.sample("abcd", 2)},
            vector=vector,
            token_ids=np.empty(0, np.int32),
        )
        for i, vector in enumerate(vectors)
    }
    wanted = Filter(
        must=(FieldCondition("percent", InRange(lt=share)),),
        must_not=(FieldCondition("tags", OneOf(("d",))),) if share % 3 else (),
    )
    passing = {n for n, d in documents.items() if passes(n, dict(d.metadata), wanted)}
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.create("notes", schema)
        collection.upsert(list(documents.values())).result()
        # Replaced once, so that keys and ids don't run alongside each other.
        collection.upsert([documents[f"d{i}"] for i in range(0, 400, 3)]).result()
        members = collection.matching(wanted)
        names = {key: found.id for key, found in collection.fetch(members, NOTHING).items()}
        assert set(names.values()) == passing
        assert members.tolist() == sorted(names)
        # The nearest, exactly, among the members alone.
        query = vectors[:1]
        for k in (1, 10, 400):
            found = collection.search(query, k, members).result()
            scores = {n: _cosine(documents[n].vector, query[0]) for n in passing}
            expected = sorted(scores.values(), reverse=True)[:k]
            np.testing.assert_allclose(found.scores[0], expected, atol=2e-6)
            of_found = [scores[names[key]] for key in found.keys[0].tolist()]
            np.testing.assert_allclose(of_found, expected, atol=2e-6)
        # The words, among the members alone, with the scores that they have anyway.
        everywhere = collection.search_words("sky", 400)
        inside = np.isin(everywhere.keys, members)
        for k in (1, 30, 400):
            found = collection.search_words("sky", k, members)
            assert found.keys.tolist() == everywhere.keys[inside][:k].tolist()
            assert found.scores.tolist() == everywhere.scores[inside][:k].tolist()
        # Listing and deleting.
        assert _listed(collection, wanted) == passing
        assert collection.delete_matching(wanted).result().num_deleted == len(passing)
        assert _listed(collection, Filter()) == documents.keys() - passing
        assert collection.num_documents == len(documents) - len(passing)


def _cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _listed(collection, wanted):
    listed, token = [], ""
    while True:
        page = collection.list_page(7, token, NOTHING, wanted)
        listed += [document.id for document in page.documents]
        if not (token := page.next_page_token):
            assert len(listed) == len(set(listed))
            return set(listed)


@pytest.mark.parametrize(
    "test",
    [OneOf(("x",)), OneOf((1.0, "x", None)), InRange(gte=1, lt=2), StartsWith("ab"), IsMissing()],
    ids=str,
)
def test_a_declared_field_is_looked_up_in_its_index(table, test):
    for field, is_declared in [("year", True), ("a.b", True), ("month", False)]:
        condition = compile_filter(Filter(must=(FieldCondition(field, test),)))
        plan = table.execute(
            f"EXPLAIN QUERY PLAN SELECT key FROM documents WHERE {condition.text}", condition.values
        )
        steps = [step for *_, step in plan]
        assert any("INDEX field_" in step for step in steps) == is_declared
        assert any(step.startswith("SCAN documents") for step in steps) != is_declared


def test_members_that_are_gone_are_not_found(collection, make_document):
    collection.upsert([make_document(name) for name in "abc"]).result()
    members = collection.matching(Filter())
    collection.delete(["b"]).result()
    for k in (1, 2, 3, 10):
        found = collection.search(make_document("b").vector[None], k, members).result()
        assert found.keys.shape == found.scores.shape == (1, min(k, 2))
        assert (found.keys > 0).all()


def test_words_are_found_however_far_down_the_members_stand(collection, make_document):
    # The best 60 are not admitted, though most documents are.
    texts = {f"d{i}": "sky " * (3 if i < 60 else 1) + "sea " * 4 for i in range(200)}
    collection.upsert([make_document(name, text=text) for name, text in texts.items()]).result()
    last = Filter(must_not=(IdCondition(tuple(f"d{i}" for i in range(60))),))
    members = collection.matching(last)
    assert collection.search_words("sky", 5, members).keys.tolist() == members[:5].tolist()


def test_searches_that_wait_together_keep_their_filters_apart(collection, make_document):
    names = [f"d{i}" for i in range(50)]
    collection.upsert([make_document(name, metadata={"name": name}) for name in names]).result()
    members = {
        name: collection.matching(Filter(must=(FieldCondition("name", OneOf((name,))),)))
        for name in names
    }
    query = np.ones((1, DIMENSION), np.float32)
    waiting = [(name, collection.search(query, 5, members[name])) for name in names * 4]
    everywhere = collection.search(query, 50)
    for name, future in waiting:
        assert future.result().keys.tolist() == [members[name].tolist()]
    assert len(everywhere.result().keys[0]) == 50
