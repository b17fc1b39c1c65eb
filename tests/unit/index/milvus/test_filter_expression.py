"""Filters as expressions: what is escaped, refused, and left to be made sure of.

That they pass what filters pass is tested against a server, with all stores.
"""

import pytest

from twopass.index.errors import UnsupportedByStoreError
from twopass.index.filters import (
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    OneOf,
    StartsWith,
)
from twopass.index.milvus.facts import MAX_COMPARED, fact_more
from twopass.index.milvus.filter_expression import compile_filter, literal


def only(test, field="a"):
    return compile_filter(Filter(must=(FieldCondition(field, test),)))


def test_an_empty_filter_asks_nothing():
    assert compile_filter(Filter()).text == ""


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "a\nb", "\t\r", "' or 1 == 1 or '"])
def test_no_text_ends_its_literal(text):
    written = literal(text)
    inside = written[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inside
    assert "\n" not in inside
    assert "\r" not in inside


def test_ids_are_looked_up_by_the_field_that_holds_them():
    wanted = Filter(must=(IdCondition(("x", 'y"')),))
    assert compile_filter(wanted).text == 'id in ["x", "y\\""]'
    assert compile_filter(wanted, (), "document").text == 'document in ["x", "y\\""]'


def test_a_negation_holds_for_documents_without_the_field():
    assert only(IsMissing()).text == 'not (array_contains(facts, "a?"))'


@pytest.mark.parametrize("test", [InRange(gte=1, lt=2), InRange(gt="a", lte="b"), StartsWith("a")])
def test_what_is_not_said_of_documents_with_many_values_is_told(test):
    kind = "n" if isinstance(test, InRange) and test.gte == 1 else "t"
    assert only(test).exact_unless == ((fact_more("a", kind), "a"),)


@pytest.mark.parametrize(
    "test", [InRange(gte=1), InRange(lt="b"), InRange(), OneOf((1, "a", None)), StartsWith("")]
)
def test_one_end_of_an_interval_is_exact_however_many_values_there_are(test):
    assert only(test).exact_unless == ()


def test_a_longer_text_than_is_ordered_is_not_compared_with():
    only(InRange(gte="x" * MAX_COMPARED))
    only(OneOf(("x" * 10_000,)))
    with pytest.raises(UnsupportedByStoreError, match="256 characters"):
        only(InRange(gte="x" * (MAX_COMPARED + 1)))
