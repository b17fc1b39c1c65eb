"""Filters: by example, and by properties beside LlamaIndex's own evaluation of them."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from llama_index.vector_stores.twopass import TwopassVectorStore, condition_of
from twopass.client import Client, InvalidArgumentError, Schema

Op = FilterOperator

WORDS = ["", "a", "b", "ab", "é", "10"]
NUMBERS = [-1, 0, 1, 2.5, 10, 2**53]
SCALARS = [*WORDS, *NUMBERS]
LISTS: list[list[Any]] = [[], ["a"], ["a", "b"], [1, 2.5], ["b", 10]]
# Nothing, null, and every kind of value, under a plain key and one with a dot.
METADATA: list[dict[str, Any]] = [
    {"id": str(number)} | ({} if x is None else {"x": x[0]}) | ({} if d is None else {"a.b": d[0]})
    for number, (x, d) in enumerate(
        itertools.product(
            [None, (None,), *((value,) for value in [*SCALARS, *LISTS])], [None, ("a",), (1,)]
        )
    )
]


def one(key: str, operator: FilterOperator, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])


@pytest.fixture(scope="module")
def store(target: str) -> Iterator[TwopassVectorStore]:
    """A store with a node for each of METADATA, read by every test here and changed by none."""
    name = "filters-of-llama-index"
    with Client(target) as client:
        store = TwopassVectorStore(name, client=client)
        store.add([TextNode(id_=m["id"], text="x", embedding=[1.0], metadata=m) for m in METADATA])
        yield store
        client.delete_collection(name)


def passing(store: TwopassVectorStore, filters: MetadataFilters) -> set[str]:
    return {node.node_id for node in store.get_nodes(filters=filters)}


def expected(filters: MetadataFilters) -> set[str]:
    return {metadata["id"] for metadata in METADATA if passes(metadata, filters)}


def passes(metadata: dict[str, Any], filters: MetadataFilters | MetadataFilter) -> bool:
    """The reference: LlamaIndex's evaluation of a filter, and what lists and nesting mean here."""
    if isinstance(filters, MetadataFilters):
        parts = [passes(metadata, each) for each in filters.filters if not is_empty(each)]
        if not parts or filters.condition is FilterCondition.NOT:
            return not any(parts)
        return any(parts) if filters.condition is FilterCondition.OR else all(parts)
    value = metadata.get(filters.key)
    if filters.operator is Op.NE:
        return not passes(metadata, filters.model_copy(update={"operator": Op.EQ}))
    if filters.operator is Op.NIN:
        return not passes(metadata, filters.model_copy(update={"operator": Op.IN}))
    whole = {Op.CONTAINS, Op.ANY, Op.ALL, Op.IS_EMPTY}
    if isinstance(value, list) and filters.operator not in whole:  # one of its elements passes
        return any(passes({filters.key: each}, filters) for each in value)
    if not isinstance(value, list) and filters.operator in whole - {Op.IS_EMPTY}:
        # A value that is no list is as a list of itself: LlamaIndex would look for parts of texts.
        value = [] if value is None else [value]
        if metadata.get(filters.key) is None:
            return False
    fn = build_metadata_filter_fn(
        lambda _: {filters.key: value}, MetadataFilters(filters=[filters])
    )
    try:
        return bool(fn(""))
    except TypeError:  # 1 > "a" in Python
        return False


def is_empty(filters: MetadataFilters | MetadataFilter) -> bool:
    """Whether a group has no filter at any depth: it counts as if it were not there."""
    return isinstance(filters, MetadataFilters) and all(map(is_empty, filters.filters))


scalars = st.sampled_from(SCALARS)
lists = st.sampled_from([WORDS, NUMBERS]).flatmap(
    lambda values: st.lists(st.sampled_from(values), max_size=3)
)
leaves = st.sampled_from(["x", "a.b", "missing"]).flatmap(
    lambda key: st.one_of(
        st.builds(
            MetadataFilter,
            key=st.just(key),
            operator=st.sampled_from([Op.EQ, Op.NE, Op.GT, Op.GTE, Op.LT, Op.LTE, Op.CONTAINS]),
            value=scalars,
        ),
        st.builds(
            MetadataFilter,
            key=st.just(key),
            operator=st.sampled_from([Op.IN, Op.NIN, Op.ANY, Op.ALL]),
            value=lists,
        ),
        st.builds(MetadataFilter, key=st.just(key), operator=st.just(Op.IS_EMPTY), value=st.none()),
    )
)
trees = st.recursive(
    leaves,
    lambda inner: st.builds(
        MetadataFilters,
        filters=st.lists(inner, max_size=3),
        condition=st.sampled_from([*FilterCondition, None]),
    ),
    max_leaves=6,
).map(lambda tree: tree if isinstance(tree, MetadataFilters) else MetadataFilters(filters=[tree]))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(filters=trees)
def test_filters_of_any_nesting_pass_the_nodes_that_llama_index_would_pass(store, filters):
    assert passing(store, filters) == expected(filters)


@pytest.mark.parametrize("operator", [Op.EQ, Op.NE, Op.GT, Op.GTE, Op.LT, Op.LTE, Op.CONTAINS])
@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_every_operator_on_one_value(store, operator, value):
    wanted = one("x", operator, value)
    assert passing(store, wanted) == expected(wanted)


@pytest.mark.parametrize("operator", [Op.IN, Op.NIN, Op.ANY, Op.ALL])
@pytest.mark.parametrize("values", [[], ["a"], ["a", "b"], [1, 10]], ids=repr)
def test_every_operator_on_several_values(store, operator, values):
    wanted = one("x", operator, values)
    assert passing(store, wanted) == expected(wanted)


def test_more_values_than_one_condition_takes_are_cut(store):
    many = [*(f"no {n}" for n in range(1_500)), "a"]
    assert passing(store, one("x", Op.IN, many)) == passing(store, one("x", Op.IN, ["a"]))


def test_no_filters_and_empty_ones_let_everything_pass():
    assert condition_of(None) is None
    for condition in [*FilterCondition, None]:
        empty = MetadataFilters(filters=[], condition=condition)
        assert condition_of(empty) is None
        assert condition_of(MetadataFilters(filters=[empty], condition=condition)) is None


def test_a_key_with_a_dot_is_a_key_or_a_way_into_an_object(
    target: str, name: str, node: Callable[..., TextNode]
):
    store = TwopassVectorStore(name, target)
    flat = node("flat", "x", 1.0, **{"author.name": "Ann"})
    nested = node("nested", "x", 1.0, author={"name": "Ann"})
    store.add([flat, nested, node("other", "x", 1.0, author={"name": "Bob"})])
    assert passing(store, one("author.name", Op.EQ, "Ann")) == {"flat", "nested"}
    assert passing(store, one("author.name", Op.NE, "Ann")) == {"other"}
    assert passing(store, one('"author.name"', Op.EQ, "Ann")) == {"flat"}
    store.close()


@pytest.mark.parametrize(
    ("kind", "full", "empty"),
    [("text", "a", ""), ("number", 0, None), ("bool", False, None), ("time", "2026-01-31", "")],
)
def test_emptiness_of_a_declared_field_is_tested_by_its_type(
    target: str, name: str, node: Callable[..., TextNode], kind: Any, full: Any, empty: Any
):
    schema = Schema(dimension=1, client_vectors=True, indexed_fields={"x": kind})
    store = TwopassVectorStore(name, target, collection_schema=schema)
    store.add(
        [
            node("full", "x", 1.0, x=full),
            node("empty", "x", 1.0, x=empty),
            node("list", "x", 1.0, x=[]),
            node("missing", "x", 1.0),
        ]
    )
    assert passing(store, one("x", Op.IS_EMPTY, None)) == {"empty", "list", "missing"}
    store.close()


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        (Op.TEXT_MATCH, "a", "x: the operator 'text_match' given, parts of texts"),
        (Op.TEXT_MATCH_INSENSITIVE, "a", "x: the operator 'text_match_insensitive' given"),
        (Op.EQ, None, "x: None given for the operator '=='.*see the operator is_empty"),
        (Op.GT, ["a"], "x: a list given for the operator '>'.*see the operator in, any or all"),
        (Op.IN, "a", "x: 'a' given for the operator 'in', a list is needed"),
        (Op.ALL, None, "x: None given for the operator 'all', a list is needed"),
    ],
)
def test_what_can_not_be_answered_is_refused_by_name(operator, value, message):
    with pytest.raises(ValueError, match=message):
        condition_of(one("x", operator, value))


def test_filters_nested_beyond_the_limit_are_refused_by_the_client():
    filters = one("x", Op.EQ, "a")
    for condition in itertools.islice(itertools.cycle(["and", "or"]), 40):
        other = MetadataFilter(key="y", value=1)
        filters = MetadataFilters(filters=[filters, other], condition=condition)
    with pytest.raises(InvalidArgumentError, match="nested over 16 deep"):
        condition_of(filters)
