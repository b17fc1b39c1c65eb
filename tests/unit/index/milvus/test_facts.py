"""What is stored of metadata, and that comparing it is comparing what it was made of."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.milvus.facts import (
    MAX_COMPARED,
    MAX_FACT_BYTES,
    MAX_ORDERED,
    fact_equals,
    fact_exists,
    fact_more,
    facts_of,
    field_key,
    name_ordered,
    sortable_number,
    values_of,
)

from ..naive_filters import reached
from ..random_filters import NAMES, NUMBERS, QUOTED, Drawing

ANY_NUMBER = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(NUMBERS)
)


@given(ANY_NUMBER, ANY_NUMBER)
def test_texts_of_numbers_are_in_the_order_of_the_numbers(one, other):
    exact = Fraction(one), Fraction(other)
    texts = sortable_number(one), sortable_number(other)
    assert (texts[0] < texts[1]) == (exact[0] < exact[1])
    assert (texts[0] == texts[1]) == (exact[0] == exact[1])


@given(ANY_NUMBER)
def test_every_number_is_between_the_infinities(number):
    assert sortable_number(-math.inf) < sortable_number(number) < sortable_number(math.inf)


@given(st.integers(-(2**80), 2**80), ANY_NUMBER)
def test_integers_beyond_64_bits_compare_with_stored_numbers(bound, stored):
    assert (sortable_number(stored) < sortable_number(bound)) == (Fraction(stored) < bound)


@pytest.mark.parametrize("seed", range(50))
def test_a_field_has_the_values_that_filters_test(seed):
    drawing = Drawing(seed)
    metadata = drawing.metadata()
    facts = facts_of(metadata)
    for one in NAMES + QUOTED:
        for keys in ((one,), (one, "a"), (one, one, "")):
            found = list(reached(metadata, keys))
            opened = [e for v in found for e in (v if isinstance(v, list) else [v])]
            values = [each for each in opened if not isinstance(each, list | dict)]
            stored = values_of(metadata, keys)
            assert (stored is not None) == bool(found)
            assert sorted(map(repr, stored or ())) == sorted(map(repr, values))
            key = field_key(keys)
            assert (fact_exists(key) in facts.facts) == bool(found)
            assert all(fact_equals(key, value) in facts.facts for value in values)


def test_one_true_and_their_texts_are_different_values_and_one_is_1_0():
    key = field_key(["a"])
    assert fact_equals(key, 1) == fact_equals(key, 1.0)
    assert fact_equals(key, 0) == fact_equals(key, -0.0)
    values = (1, True, "1", "true", "T", None, "null", "N", False, "")
    assert len({fact_equals(key, value) for value in values}) == len(values)


@given(st.lists(st.sampled_from(NAMES + QUOTED), min_size=1, max_size=4))
def test_fields_with_different_keys_never_share_facts(keys):
    others = [keys[:-1], [*keys, ""], ["".join(keys)], [".".join(keys)], keys[::-1]]
    for other in others:
        if other and other != keys:
            assert field_key(other) != field_key(keys)


def test_plain_names_are_kept_so_that_people_can_read_them():
    assert field_key(["author", "name"]) == "author.name"
    assert facts_of({"year": 2024}).facts == ["year:n1", f"year=n{sortable_number(2024)}", "year?"]


@given(st.text(st.characters(codec="utf-8")))
def test_no_fact_is_longer_than_milvus_holds(text):
    metadata = {text * 40: {text * 30: text * 50, "at": f"2024-01-31T00:00:00.{'1' * 900}Z"}}
    assert all(len(fact.encode()) <= MAX_FACT_BYTES for fact in facts_of(metadata).facts)


def test_the_greatest_and_the_least_of_many_values_are_ordered_whatever_is_left_out():
    many = list(range(2 * MAX_ORDERED))
    facts = facts_of({"a": many})
    assert fact_more("a", "n") in facts.facts
    assert facts.ordered[name_ordered("a", "n", 1)] == sortable_number(many[-1])
    assert facts.ordered[name_ordered("a", "n", 2)] == sortable_number(0)
    assert len(facts.ordered) == MAX_ORDERED
    assert fact_more("a", "n") not in facts_of({"a": many[:MAX_ORDERED]}).facts


@given(st.text("ab", max_size=3), st.text("ab", max_size=3))
def test_cutting_a_long_text_changes_no_comparison_with_a_text_that_may_be_compared(end, bound_end):
    text = "a" * (MAX_COMPARED - 2) + end
    bound = ("a" * (MAX_COMPARED - 2) + bound_end)[:MAX_COMPARED]
    stored = facts_of({"x": text * 2}).ordered[name_ordered("x", "t", 1)]
    assert (stored < bound, stored == bound) == (text * 2 < bound, text * 2 == bound)
