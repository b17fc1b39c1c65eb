"""Filters pass in every store what they pass in plain Python, wherever they apply."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.errors import InvalidFilterError, UnsupportedByStoreError
from twopass.index.filters import (
    Exists,
    FieldCondition,
    Filter,
    InRange,
    IsMissing,
    Moment,
    OneOf,
    StartsWith,
)
from twopass.index.schema import FieldType, IndexedField

from ..unit.index.naive_filters import passes
from ..unit.index.random_filters import MOMENTS, NUMBERS, TEXTS, TIMES, Drawing
from .asking import EVERYTHING, listed, nearest, of_ids, with_words, write
from .reference import Reference

DECLARED = (
    *map(IndexedField, ("year", "odd\"'\\ name", "tags.a.tags", '"a.b"', "b.a", "$.year")),
    *(IndexedField(name, FieldType.TIME) for name in ("tags", "a.b", "a.a", "at")),
)
SEEDS_OF_ONE_TEST = 25


async def passing(collection, wanted):
    """What a filter passes, as `listed` and `count` say; None where the store can't do it."""
    try:
        found = await listed(collection, wanted, page_size=100)
    except UnsupportedByStoreError:
        return None
    assert len(found) == len(set(found)) == await collection.count(wanted)
    return set(found)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
@pytest.mark.parametrize("first", range(0, 100, SEEDS_OF_ONE_TEST), ids="seeds={}..".format)
async def test_random_filters_pass_what_plain_python_does(
    kind, store, schema, make_document, first, declared
):
    """Names and values are as odd as JSON allows; few of each, so that they meet."""
    fields = DECLARED if declared else ()
    await store.create("docs", replace(schema, indexed_fields=fields))
    lease = await store.acquire("docs")
    collection, shares, num_unsupported = lease.collection, set(), 0
    for seed in range(first, first + SEEDS_OF_ONE_TEST):
        drawing = Drawing(seed)
        documents = {f"d{i}": drawing.metadata() for i in range(20)}
        await collection.delete(EVERYTHING)
        await write(collection, *(make_document(n, metadata=m) for n, m in documents.items()))
        for _ in range(4):
            wanted = drawing.filter()
            expected = {name for name, has in documents.items() if passes(name, has, wanted)}
            try:
                found = await passing(collection, wanted)
            except InvalidFilterError:
                assert declared
                continue
            if found is None:
                num_unsupported += 1
                continue
            assert found == expected, (seed, wanted)
            shares.add(len(expected))
    lease.release()
    assert {0, 20} < shares  # none, all, and some of them
    assert num_unsupported <= kind.max_unsupported_filters * 4 * SEEDS_OF_ONE_TEST


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


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("ab"), JSON), max_size=6), FIELDS, TESTS)
async def test_every_value_is_tested_as_plain_python_tests_it(
    collection, make_document, found, field, test
):
    documents = {f"d{n}": metadata for n, metadata in enumerate(found)}
    await collection.delete(EVERYTHING)
    if documents:
        await write(collection, *(make_document(n, metadata=m) for n, m in documents.items()))
    for wanted in (
        Filter(must=(FieldCondition(field, test),)),
        Filter(must_not=(FieldCondition(field, test),)),
    ):
        expected = {name for name, has in documents.items() if passes(name, has, wanted)}
        assert await passing(collection, wanted) in (expected, None)


def rfc_3339(moment, offset, separator, zone):
    """A text that tells a moment."""
    local = datetime(1970, 1, 1) + timedelta(seconds=moment.seconds, minutes=offset)
    fraction = f".{moment.nanos:09}" if moment.nanos else ""
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    written = f"{sign}{minutes // 60:02}:{minutes % 60:02}" if offset else zone
    return local.isoformat(separator, "seconds") + fraction + written


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.builds(
                Moment,
                st.integers(-62_135_500_000, 253_402_200_000),
                st.sampled_from([0, 1, 500_000_000, 999_999_999]),
            ),
            st.integers(-14 * 60, 14 * 60),
            st.sampled_from("Tt "),
            st.sampled_from(["", "Z", "z"]),
        ),
        min_size=2,
        max_size=6,
    )
)
async def test_times_are_compared_as_moments_whatever_their_offset(
    collection, make_document, written
):
    moments = {f"d{n}": moment for n, (moment, *_) in enumerate(written)}
    await collection.delete(EVERYTHING)
    await write(
        collection,
        *(make_document(f"d{n}", metadata={"at": rfc_3339(*w)}) for n, w in enumerate(written)),
    )
    bound = written[0][0]
    for test, expected in (
        (OneOf((bound,)), {n for n, m in moments.items() if m == bound}),
        (InRange(gt=bound), {n for n, m in moments.items() if m > bound}),
        (InRange(lte=bound), {n for n, m in moments.items() if m <= bound}),
    ):
        found = await passing(collection, Filter(must=(FieldCondition("at", test),)))
        assert found in (expected, None)


async def test_integers_beyond_a_double_are_told_apart(kind, collection, make_document):
    numbers = [2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1, -(2**63), 2.0**53]
    await write(
        collection, *(make_document(f"d{i}", metadata={"n": n}) for i, n in enumerate(numbers))
    )
    for test, expected in (
        (OneOf((2**53 + 1,)), {"d1"}),
        (OneOf((2**53,)), {"d0", "d5"}),
        (InRange(gt=2**53, lt=2**53 + 2), {"d1"}),
        (InRange(gte=2**63 - 1), {"d3"}),
        (InRange(lt=-(2**63) + 1), {"d4"}),
    ):
        assert await passing(collection, Filter(must=(FieldCondition("n", test),))) == expected


async def test_a_test_that_no_value_of_the_declared_type_can_pass_is_refused(
    store, schema, make_document
):
    declared = (IndexedField("year", FieldType.NUMBER),)
    await store.create("docs", replace(schema, indexed_fields=declared))
    lease = await store.acquire("docs")
    wanted = Filter(must=(FieldCondition("year", OneOf(("1999",))),))
    for call in (
        lambda: lease.collection.members(wanted),
        lambda: lease.collection.count(wanted),
        lambda: lease.collection.delete(wanted),
        lambda: lease.collection.list_page(1, wanted=wanted),
    ):
        with pytest.raises(InvalidFilterError, match="declares it as number"):
            await call()
    lease.release()


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
@pytest.mark.parametrize("share", [0, 1, 10, 50, 90, 100], ids="{}%".format)
async def test_both_lists_hold_what_passes_and_nothing_else(
    kind, store, schema, make_document, share, declared
):
    fields = (IndexedField("percent", FieldType.NUMBER), IndexedField("tags")) if declared else ()
    schema = replace(schema, indexed_fields=fields)
    await store.create("docs", schema)
    lease = await store.acquire("docs")
    collection, reference = lease.collection, Reference(schema)
    documents = [
        make_document(
            f"d{i}",
            text=["blue sky", "deep sea", "sky and sea"][i % 3],
            metadata={"percent": 37 * i % 100, "tags": ["abcd"[i % 4], "abcd"[i % 3]]},
        )
        for i in range(200)
    ]
    for some in (documents, documents[::3]):  # a third of them twice
        await write(collection, *some)
        reference.upsert(some)
    wanted = Filter(
        must=(FieldCondition("percent", InRange(lt=share)),),
        must_not=(FieldCondition("tags", OneOf(("d",))),) if share % 3 else (),
    )
    query = documents[5].vector.tolist()
    similarities = reference.similarities(query, wanted)
    for k in (1, 10, 200):
        found = await nearest(collection, query, k, wanted)
        assert len(found) == min(k, len(similarities))
        assert found == pytest.approx({n: similarities[n] for n in found}, abs=2e-3)
    everywhere = await with_words(collection, "sky", 200)
    inside = {n: score for n, score in everywhere.items() if n in reference.passing(wanted)}
    found = await with_words(collection, "sky", 200, wanted)
    assert found.keys() == inside.keys()
    if kind.has("default_words"):  # by the statistics of all documents, whatever is filtered out
        assert found == pytest.approx(inside, rel=1e-5)
    lease.release()


async def test_members_serve_several_searches_and_objects_of_the_collection(
    store, collection, make_document
):
    await write(collection, *(make_document(str(n), metadata={"n": n}) for n in range(10)))
    members = await collection.members(Filter(must=(FieldCondition("n", InRange(lt=4)),)))
    lease = await store.acquire("notes")
    for one in (collection, lease.collection):
        retrieval = one.retrieval()
        found = await retrieval.nearest(make_document("7").vector, 10, members)
        assert sorted((await retrieval.load(found.ranked.keys)).ids) == list("0123")
        words = await retrieval.with_words("text", 10, members)
        assert sorted((await retrieval.load(words.ranked.keys)).ids) == list("0123")
    lease.release()


async def test_ids_bound_a_search_too(collection, make_document):
    await write(collection, *map(make_document, "abcdef"))
    wanted = Filter(must=(of_ids("a", "c", "nobody"),), must_not=(of_ids("c"),))
    assert list(await nearest(collection, make_document("b").vector, 9, wanted)) == ["a"]
    assert await passing(collection, wanted) == {"a"}
