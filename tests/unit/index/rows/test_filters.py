"""Filters: what SQL lets pass is what plain Python lets pass, everywhere where filters apply."""

import json
import random
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import apsw
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.errors import InvalidFilterError
from twopass.index.filters import (
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    Moment,
    OneOf,
    StartsWith,
)
from twopass.index.rows.field_sql import all_values
from twopass.index.rows.filter_sql import compile_filter
from twopass.index.rows.tables import create_tables
from twopass.index.schema import CollectionSchema, FieldType, IndexedField
from twopass.index.store.store import CollectionStore

from ..conftest import DIMENSION, LANES
from ..naive_filters import keys_of, passes, reached, seconds_of
from ..random_filters import MOMENTS, NUMBERS, TEXTS, TIMES, Drawing

NOTHING = DocumentFields(text=False, metadata=False)
DECLARED = (
    *map(IndexedField, ("year", "odd\"'\\ name", "tags.a.tags", '"a.b"', "b.a", "$.year")),
    *(IndexedField(name, FieldType.TIME) for name in ("tags", "a.b", "a.a", "at")),
)


@pytest.fixture(scope="module")
def table():
    """The documents' table alone, in memory, with indexes on the declared fields."""
    connection = apsw.Connection(":memory:")
    schema = CollectionSchema(dimension=1, client_vectors=True, indexed_fields=DECLARED)
    create_tables(connection, schema)
    return connection


def lets_pass(table, documents, wanted):
    """Names of the documents that SQL lets pass; the table is left as it was."""
    conditions = [compile_filter(wanted)]
    with suppress(InvalidFilterError):
        conditions.append(compile_filter(wanted, DECLARED))
    table.execute("SAVEPOINT example")
    try:
        table.executemany(
            "INSERT INTO documents "
            "(id, position, token_ids, embedding, title, text, metadata, checksum) "
            "VALUES (?, 1, x'', x'', '', 'x', ?, 0)",
            [(name, json.dumps(found, ensure_ascii=False)) for name, found in documents.items()],
        )
        first, *others = (
            {
                name
                for (name,) in table.execute(f"SELECT id FROM documents WHERE {c.text}", c.values)
            }
            for c in conditions
        )
        assert all(other == first for other in others)
        return first
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


JSON = st.recursive(
    st.sampled_from([None, True, False, *TEXTS, *NUMBERS, *TIMES])
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "a.b", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)
FIELDS = st.lists(st.sampled_from(["a", "b", '"a.b"', '""']), min_size=1, max_size=4).map(".".join)


def drawn_tests(bounds):
    one_of = st.lists(bounds, min_size=1, max_size=3).map(lambda values: OneOf(tuple(values)))
    in_range = st.builds(InRange, **{n: st.none() | bounds for n in ("gt", "gte", "lt", "lte")})
    return one_of | in_range


TESTS = st.one_of(
    drawn_tests(
        st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    ),
    drawn_tests(st.sampled_from(NUMBERS)),
    drawn_tests(st.sampled_from(TEXTS + TIMES) | st.text(st.characters(codec="utf-8"), max_size=4)),
    drawn_tests(st.sampled_from(MOMENTS)),
    st.builds(StartsWith, st.sampled_from(TEXTS)),
    st.sampled_from([Exists(), IsMissing()]),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("ab"), JSON), max_size=6), FIELDS, TESTS)
def test_every_value_is_tested_as_plain_python_tests_it(table, found, field, test):
    documents = {f"d{n}": metadata for n, metadata in enumerate(found)}
    for wanted in (
        Filter(must=(FieldCondition(field, test),)),
        Filter(must_not=(FieldCondition(field, test),)),
    ):
        expected = {name for name, has in documents.items() if passes(name, has, wanted)}
        assert lets_pass(table, documents, wanted) == expected


def rfc_3339(moment, offset, separator, digits, zone):
    """A text that tells a moment."""
    local = datetime(1970, 1, 1) + timedelta(seconds=moment.seconds, minutes=offset)
    fraction = f".{moment.nanos:09}" + "0" * digits if moment.nanos or digits else ""
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    written = f"{sign}{minutes // 60:02}:{minutes % 60:02}" if offset else zone
    return local.isoformat(separator, "seconds") + fraction + written


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.builds(
                Moment,
                st.integers(-62_135_500_000, 253_402_200_000),
                st.sampled_from([0, 1, 500_000_000, 999_999_999]) | st.integers(0, 999_999_999),
            ),
            st.integers(-14 * 60, 14 * 60),
            st.sampled_from("Tt "),
            st.integers(0, 3),
            st.sampled_from(["", "Z", "z"]),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_times_are_in_the_order_of_the_moments_however_they_are_written(table, drawn):
    documents = {f"d{n}": {"at": rfc_3339(*one)} for n, one in enumerate(drawn)}
    moments = {f"d{n}": moment for n, (moment, *_) in enumerate(drawn)}
    for bound in moments.values():
        for test, holds in [
            (InRange(gt=bound), bound.__lt__),
            (InRange(gte=bound), bound.__le__),
            (InRange(lt=bound), bound.__gt__),
            (InRange(lte=bound), bound.__ge__),
            (InRange(gte=bound, lte=bound), bound.__eq__),
            (OneOf((bound,)), bound.__eq__),
        ]:
            expected = {name for name, moment in moments.items() if holds(moment)}
            wanted = Filter(must=(FieldCondition("at", test),))
            assert lets_pass(table, documents, wanted) == expected


@pytest.mark.parametrize("text", TIMES, ids=repr)
def test_a_time_is_a_text_of_rfc_3339(table, text):
    ever = Filter(must=(FieldCondition("at", InRange(gte=Moment(-62_135_596_800))),))
    passing = lets_pass(table, {"d": {"at": text}}, ever)
    assert passing == ({"d"} if seconds_of(text) is not None else set())


def plan_of(table, field, test):
    condition = compile_filter(Filter(must=(FieldCondition(field, test),)), DECLARED)
    plan = table.execute(
        f"EXPLAIN QUERY PLAN SELECT key FROM documents WHERE {condition.text}", condition.values
    )
    return [step for *_, step in plan if "documents" in step]


@pytest.mark.parametrize(
    "test",
    [
        OneOf(("x",)),
        OneOf((1, "x", None)),
        InRange(gte="1", lt="2"),
        StartsWith("ab"),
        Exists(),
        IsMissing(),
        InRange(gt=Moment(0)),
        OneOf((Moment(0), Moment(1))),
    ],
    ids=str,
)
def test_a_declared_field_is_looked_up_in_its_index(table, test):
    for field in ("year", '"year"', "a.b", '"a.b"', "tags.a.tags", "at"):
        steps = plan_of(table, field, test)
        assert all("INDEX field_" in step for step in steps), steps
    assert any(step.startswith("SCAN documents") for step in plan_of(table, "month", test))


def test_a_number_is_looked_up_in_its_index():
    connection = apsw.Connection(":memory:")
    fields = tuple(IndexedField(name, FieldType.NUMBER) for name in ("n", "a.n"))
    schema = CollectionSchema(dimension=1, client_vectors=True, indexed_fields=fields)
    create_tables(connection, schema)
    for test in (OneOf((2**53 + 1,)), OneOf((1, 0.5)), InRange(gte=2**60, lt=1e300)):
        for field in ("n", "a.n"):
            condition = compile_filter(Filter(must=(FieldCondition(field, test),)), fields)
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT key FROM documents WHERE {condition.text}",
                condition.values,
            )
            steps = [step for *_, step in plan if "documents" in step]
            assert "<expr>=? AND <expr>" in steps[0]  # the type and the value
            assert all("INDEX field_" in step for step in steps)


def test_a_time_is_looked_up_by_its_moment(table):
    for field in ("at", "a.b"):
        first, *_ = plan_of(table, field, InRange(gte=Moment(0), lt=Moment(1)))
        assert "_time (<expr>=? AND <expr>>? AND <expr><?)" in first


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from("ab"), JSON), FIELDS)
def test_all_values_of_a_field_are_those_that_filters_test(metadata, field):
    connection = apsw.Connection(":memory:")
    create_tables(connection, CollectionSchema(dimension=1, client_vectors=True))
    connection.execute(
        "INSERT INTO documents "
        "(id, position, token_ids, embedding, title, text, metadata, checksum) "
        "VALUES ('d', 1, x'', x'', '', 'x', ?, 0)",
        (json.dumps(metadata, ensure_ascii=False),),
    )
    source = all_values(field)
    rows = connection.execute(
        f"SELECT documents.id, {source.value.kind}, {source.value.value} FROM {source.tables}"
    )
    got = [(kind, value) for _, kind, value in rows if kind not in ("object", "array")]
    values = [
        one
        for value in reached(metadata, keys_of(field))
        for one in (value if isinstance(value, list) else [value])
        if not isinstance(one, dict | list)
    ]
    kinds = {str: "text", int: "integer", float: "real", type(None): "null"}
    expected = [(str(v).lower() if isinstance(v, bool) else kinds[type(v)], v) for v in values]
    assert got == expected


@pytest.mark.parametrize("field", [".".join("a" * 33), ".".join("a" * 256)], ids=len)
def test_a_field_deeper_than_metadata_is_in_no_document(table, field):
    documents = {"d": {"a": {"a": 1}}}
    for test in (Exists(), OneOf((1,)), InRange(gte=0)):
        wanted = Filter(must=(FieldCondition(field, test),))
        assert lets_pass(table, documents, wanted) == set()
    assert lets_pass(table, documents, Filter(must=(FieldCondition(field, IsMissing()),))) == {"d"}
    source = all_values(field)
    assert not table.execute(f"SELECT {source.value.kind} FROM {source.tables}").fetchall()


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
