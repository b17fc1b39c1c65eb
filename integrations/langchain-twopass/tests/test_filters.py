"""LangChain's filters: what they mean, and what they say when they mean nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_classic.retrievers.self_query.base import SelfQueryRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
)

from langchain_twopass import FilterError, TwopassTranslator, TwopassVectorStore
from langchain_twopass.filters import condition_of
from twopass.client import Client, InvalidArgumentError, document_ids, field

FIELDS = ("a", "b", "tags")
VALUES: tuple[Any, ...] = (None, True, False, 0, 1, 2, 1.5, "", "x", "xy", "z")
METADATA: tuple[dict[str, Any], ...] = (
    {},
    *({"a": value} for value in VALUES),
    *({"a": value, "b": VALUES[-1 - index]} for index, value in enumerate(VALUES)),
    {"tags": []},
    {"tags": ["x", "z"], "a": 1},
    {"tags": [0, 2, "xy"], "b": "x"},
    {"a": {"b": 1}},
)


def passes(metadata: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """What a filter means, read as it is written."""
    return all(_passes_key(metadata, key, value) for key, value in wanted.items())


def _passes_key(metadata: dict[str, Any], key: str, value: Any) -> bool:
    match key:
        case "$and":
            return all(passes(metadata, each) for each in value)
        case "$or":
            return any(passes(metadata, each) for each in value)
        case "$not":
            return not passes(metadata, value)
    if not isinstance(value, dict):
        value = {"$eq": value}
    has, found = key in metadata, metadata.get(key)
    elements = found if isinstance(found, list) else [found] if has else []
    bounds = {name: each for name, each in value.items() if name in _BOUNDS}
    return all(
        _passes_test(has, elements, name, each)
        for name, each in value.items()
        if name not in _BOUNDS
    ) and (
        not bounds
        or any(all(_BOUNDS[n](each, bound) for n, bound in bounds.items()) for each in elements)
    )


def _passes_test(has: bool, elements: list[Any], name: str, value: Any) -> bool:
    def equal(wanted: Any) -> bool:
        return (wanted is None and not has) or any(_same(each, wanted) for each in elements)

    match name:
        case "$eq":
            return equal(value)
        case "$ne":
            return not equal(value)
        case "$in":
            return any(map(equal, value))
        case "$nin":
            return not any(map(equal, value))
        case "$exists":
            return has == value
        case "$starts_with":
            return any(isinstance(each, str) and each.startswith(value) for each in elements)
        case "$between":
            low, high = value
            return any(
                _ordered(e, low) and _ordered(e, high) and low <= e <= high for e in elements
            )
    raise AssertionError(name)


def _same(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _ordered(one: Any, other: Any) -> bool:
    def kind(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return "none"
        return "text" if isinstance(value, str) else "number"

    return kind(one) == kind(other) != "none"


_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda one, other: _ordered(one, other) and one > other,
    "$gte": lambda one, other: _ordered(one, other) and one >= other,
    "$lt": lambda one, other: _ordered(one, other) and one < other,
    "$lte": lambda one, other: _ordered(one, other) and one <= other,
}

_names = st.sampled_from(FIELDS)
_values = st.sampled_from(VALUES)
_numbers = st.sampled_from([0, 1, 1.5, 2])
_tests = st.one_of(
    _values,
    st.fixed_dictionaries({"$eq": _values}),
    st.fixed_dictionaries({"$ne": _values}),
    st.fixed_dictionaries({"$in": st.lists(_values, max_size=4)}),
    st.fixed_dictionaries({"$nin": st.lists(_values, max_size=4)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$starts_with": st.sampled_from(["x", "z", "xy"])}),
    st.fixed_dictionaries({"$between": st.tuples(_numbers, _numbers)}),
    st.dictionaries(st.sampled_from(sorted(_BOUNDS)), _numbers, min_size=1),
    st.fixed_dictionaries({"$gte": st.sampled_from(["x", "y"]), "$ne": _values}),
)
_filters = st.recursive(
    st.dictionaries(_names, _tests, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def collection(client: Client) -> Iterator[str]:
    """Documents whose ids are their numbers in `METADATA`."""
    name = "filters-of-langchain"
    client.create_collection(name)
    client.upsert(
        name,
        (
            {"id": str(number), "text": "a document", "metadata": metadata}
            for number, metadata in enumerate(METADATA)
        ),
    )
    yield name
    client.delete_collection(name)


def found(client: Client, collection: str, wanted: Any) -> set[int]:
    documents = client.documents(collection, filter=condition_of(wanted), page_size=1_000)
    return {int(document.id) for document in documents}


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wanted=_filters)
def test_a_filter_passes_the_documents_that_its_words_say(client, collection, wanted):
    meant = {number for number, each in enumerate(METADATA) if passes(each, wanted)}
    assert found(client, collection, wanted) == meant


def test_a_filter_reaches_into_objects_by_dots(client, collection):
    assert found(client, collection, {"a.b": 1}) == {len(METADATA) - 1}


def test_more_values_than_one_test_takes_are_looked_up_all_the_same(client, collection):
    values = [f"no-{number}" for number in range(2_500)]
    assert found(client, collection, {"a": {"$in": [*values, "xy"]}}) == found(
        client, collection, {"a": "xy"}
    )
    assert found(client, collection, {"a": {"$nin": [*values, "xy"]}}) == found(
        client, collection, {"a": {"$ne": "xy"}}
    )


def test_bounds_may_be_dates_and_times(client, name):
    client.create_collection(name)
    stamps = {"old": "2019-12-31T23:59:59Z", "new": "2026-01-31T12:00:00+01:00"}
    client.upsert(
        name, ({"id": key, "text": key, "metadata": {"at": at}} for key, at in stamps.items())
    )
    for bound in (date(2020, 1, 1), datetime(2026, 1, 31, 11, tzinfo=UTC)):
        documents = client.documents(name, filter=condition_of({"at": {"$gte": bound}}))
        assert [document.id for document in documents] == ["new"]


def test_conditions_of_the_client_are_taken_as_they_are(client, collection):
    condition = document_ids(["1", "2"]) & field("a").exists()
    assert condition_of(condition) is condition
    assert found(client, collection, condition) == {1, 2}


@pytest.mark.parametrize("empty", [None, {}])
def test_an_empty_filter_is_no_filter(empty):
    assert condition_of(empty) is None


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("year > 1990", "a mapping, a FilterDirective or a Condition of twopass.client is needed"),
        ({"year": {"$near": 3}}, r"year: the operator \$near is unknown; \$eq, "),
        ({"$gte": 1990}, r'the operator \$gte joins no filters; .* as in \{"year"'),
        ({"author": {"name": "Ada"}}, 'a field inside an object is named .* "author.name"'),
        ({"author": {}}, "operators are needed"),
        ({"tags": ["a", "b"]}, r"one value is needed; .* \$in tests for several"),
        ({"tags": {"$in": "abc"}}, r"tags: \$in 'abc' given, a list is needed"),
        ({"year": {"$between": [1]}}, "two bounds are needed"),
        ({"year": {"$gt": None}}, r"year: \$gt None given, a number, a text, a date"),
        ({"year": {"$exists": 1}}, "true or false is needed"),
        ({"$and": []}, r"\$and: \[\] given, a list of filters is needed"),
        ({"$or": {"a": 1}}, r"\$or: .* a list of filters is needed"),
        ({"$not": {}}, r"\$not: \{\} given, a mapping with at least one key is needed"),
        ({"$and": [{}]}, r"\$and: \{\} given, a mapping with at least one key"),
        ({1: 2}, "1 given, a field's name or an operator is needed"),
        ({"a": {"$not": 3}}, r"a: \$not 3 given, operators are needed"),
    ],
)
def test_a_filter_that_means_nothing_says_what_is_wrong_with_it(wanted, said):
    with pytest.raises(FilterError, match=said):
        condition_of(wanted)


def test_a_value_that_metadata_can_not_have_is_named():
    with pytest.raises(InvalidArgumentError, match="size"):
        condition_of({"size": 2**64})
    with pytest.raises(TypeError, match=r"owner: a str, int, float, .* object given"):
        condition_of({"owner": object()})


# --- expressions of langchain_core.structured_query ---------------------------------------------


def test_an_expression_means_what_the_mapping_means(client, collection):
    expression = Operation(
        Operator.OR,
        [
            Comparison(Comparator.GTE, "a", 1),
            Operation(
                Operator.AND,
                [
                    Comparison(Comparator.IN, "a", ["x", "z"]),
                    Operation(Operator.NOT, [Comparison(Comparator.EQ, "b", "z")]),
                ],
            ),
            Comparison(Comparator.CONTAIN, "tags", "xy"),
        ],
    )
    mapping = {
        "$or": [
            {"a": {"$gte": 1}},
            {"$and": [{"a": {"$in": ["x", "z"]}}, {"$not": {"b": "z"}}]},
            {"tags": "xy"},
        ]
    }
    assert found(client, collection, expression) == found(client, collection, mapping)


def test_dates_of_the_query_language_are_dates():
    day = Comparison(Comparator.GT, "at", {"type": "date", "date": "2026-01-31"})
    moment = Comparison(
        Comparator.LTE, "at", {"type": "datetime", "datetime": "2026-01-31T12:00:00+00:00"}
    )
    assert condition_of(day).message == field("at").after(date(2026, 1, 31)).message
    assert (
        condition_of(moment).message
        == (field("at") <= datetime(2026, 1, 31, 12, tzinfo=UTC)).message
    )


def test_a_comparator_that_has_no_counterpart_is_refused():
    with pytest.raises(ValueError, match=r"(?i)disallowed comparator .*like"):
        condition_of(Comparison(Comparator.LIKE, "a", "x%"))


async def test_a_self_query_retriever_filters_by_what_the_model_said(target, name):
    store = await TwopassVectorStore.afrom_texts(
        ["A film about time.", "A film about tides.", "Another film about time."],
        metadatas=[{"year": 1999}, {"year": 2005}, {"year": 2010}],
        ids=["a", "b", "c"],
        collection_name=name,
        target=target,
    )
    said = StructuredQuery("time", Comparison(Comparator.GT, "year", 2000), limit=2)
    retriever = SelfQueryRetriever(
        query_constructor=RunnableLambda(lambda _: said),
        vectorstore=store,
        structured_query_translator=TwopassTranslator(),
    )
    assert [each.id for each in await retriever.ainvoke("films on time since 2000")] == ["c", "b"]
    assert [each.id for each in retriever.invoke("films on time since 2000")] == ["c", "b"]
    await store.aclose()


def test_a_structured_query_without_a_filter_has_none():
    assert TwopassTranslator().visit_structured_query(StructuredQuery("time", None)) == (
        "time",
        {},
    )
