"""Filters select what Haystack's own evaluation selects, and are refused by its error."""

import itertools
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from haystack import Document
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter
from haystack_integrations.document_stores.twopass import TwopassDocumentStore
from haystack_integrations.document_stores.twopass.filters import condition_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.client import Client

MISSING = object()
NUMBERS = [MISSING, None, -3, 0, 1, 1.0, 2.5, 2**53 + 1]
TEXTS = [MISSING, None, "", "a", "b c", "meta", "2020"]
FLAGS = [MISSING, None, True, False]
MOMENTS = [
    *(MISSING, None, "2020-01-01T00:00:00+00:00", "2020-01-01T01:00:00+01:00"),
    *("2019-12-31T23:59:59.500000+00:00", "2020-01-01T00:00:00Z"),
]
DAYS = [MISSING, None, "2020-01-01", "2020-01-01T00:00:00", "1969-07-21T20:17:40", "2024-02-29"]
VALUES = {
    "number": NUMBERS,
    "text": TEXTS,
    "flag": FLAGS,
    "moment": MOMENTS,
    "day": DAYS,
    "in.side.number": NUMBERS,
}


def _with(meta: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        meta = meta.setdefault(parent, {})
    if value is not MISSING:
        meta[name] = value


def _documents() -> list[Document]:
    """Documents with every pair of values of neighbouring fields, and every value of each."""
    documents = []
    for first, second in itertools.pairwise([*VALUES, next(iter(VALUES))]):
        for one, other in itertools.product(VALUES[first], VALUES[second]):
            meta: dict[str, Any] = {}
            _with(meta, first, one)
            _with(meta, second, other)
            number = len(documents)
            documents.append(Document(id=f"{number}", content="x", meta=meta, embedding=[1.0]))
    return documents


DOCUMENTS = _documents()


@pytest.fixture(scope="module")
def store(target: str, client: Client) -> Iterator[TwopassDocumentStore]:
    name = f"test-{secrets.token_hex(6)}"
    made = TwopassDocumentStore(name, embedding_dim=1, target=target)
    made.write_documents(DOCUMENTS)
    yield made
    made.close()
    client.delete_collection(name)


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(VALUES)))
    values = st.sampled_from([value for value in VALUES[name] if value is not MISSING])
    operators = ["==", "!=", "in", "not in"]
    if name not in ("text", "flag"):
        operators += [">", ">=", "<", "<="]
    operator = draw(st.sampled_from(operators))
    value = draw(st.lists(values, max_size=4) if operator.endswith("in") else values)
    return {"field": f"meta.{name}", "operator": operator, "value": value}


ids = st.sampled_from(["0", "7", "unknown"])
of_ids = st.one_of(
    st.builds(
        lambda o, v: {"field": "id", "operator": o, "value": v}, st.sampled_from(["==", "!="]), ids
    ),
    st.builds(
        lambda o, v: {"field": "id", "operator": o, "value": v},
        st.sampled_from(["in", "not in"]),
        st.lists(ids, max_size=3),
    ),
)
filters_ = st.recursive(
    st.one_of(comparisons(), of_ids),
    lambda inner: st.builds(
        lambda operator, conditions: {"operator": operator, "conditions": conditions},
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


@given(filters_)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_filters_select_what_haystack_selects(
    store: TwopassDocumentStore, filters: dict[str, Any]
) -> None:
    found = {document.id for document in store.filter_documents(filters)}
    assert found == {each.id for each in DOCUMENTS if document_matches_filter(filters, each)}
    assert store.count_documents_by_filter(filters) == len(found)


def test_more_values_than_one_test_takes_are_split(store: TwopassDocumentStore) -> None:
    values = [*range(10_000, 12_500), 1]
    found = store.filter_documents({"field": "meta.number", "operator": "in", "value": values})
    assert found
    assert {document.meta["number"] for document in found} == {1}


def test_a_list_passes_by_one_of_its_elements(empty: TwopassDocumentStore) -> None:
    empty.write_documents([Document(id="a", content="x", meta={"tags": ["new", "short"]})])
    assert empty.filter_documents({"field": "meta.tags", "operator": "==", "value": "new"})


def test_true_is_not_one(store: TwopassDocumentStore) -> None:
    assert not store.filter_documents({"field": "meta.flag", "operator": "==", "value": 1})


@pytest.mark.parametrize(
    "filters",
    [
        {"field": "meta.number", "operator": ">", "value": "high"},
        {"field": "meta.number", "operator": "<=", "value": [1]},
        {"field": "meta.number", "operator": ">", "value": True},
        {"field": "meta.number", "operator": "in", "value": "1"},
        {"field": "meta.number", "operator": "like", "value": 1},
        {"field": "meta.number", "operator": "==", "value": [1]},
        {"field": "meta.number", "operator": "==", "value": 2**64},
        {"field": "meta.number", "operator": "==", "value": float("nan")},
        {"field": "meta.number", "operator": ">=", "value": float("nan")},
        {"field": "meta.number", "value": 1},
        {"field": "content", "operator": "==", "value": "x"},
        {"field": "id", "operator": ">", "value": "1"},
        {"operator": "XOR", "conditions": []},
        {"operator": "AND", "conditions": [{}]},
        {"operator": "AND", "conditions": ["meta.number"]},
        {"operator": "AND"},
        {"conditions": []},
    ],
    ids=str,
)
def test_what_is_no_filter_is_refused_before_anything_is_sent(filters: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        condition_of(filters)


@pytest.mark.parametrize("filters", [None, {}])
def test_an_empty_filter_is_no_condition(filters: dict[str, Any] | None) -> None:
    assert condition_of(filters) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("meta.year", 1), ("year", 1), ("meta.meta.x", 2), ('meta."quoted', 3), ("meta.", 4)],
)
def test_a_field_is_found_whatever_its_name(
    empty: TwopassDocumentStore, field: str, value: int
) -> None:
    meta = {"year": 1, "meta": {"x": 2}, '"quoted': 3, "": 4}
    empty.write_documents([Document(id="a", content="x", meta=meta)])
    assert empty.filter_documents({"field": field, "operator": "==", "value": value})
    assert not empty.filter_documents({"field": field, "operator": "==", "value": 5})
    assert empty.get_metadata_field_unique_values(field) == ([value], 1)
    assert empty.get_metadata_field_min_max(field) == {"min": value, "max": value}
