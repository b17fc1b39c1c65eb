"""Tests that no value of a declared type passes are told from those that some value may pass."""

import pytest

from twopass.index.errors import InvalidFilterError
from twopass.index.filter_types import check_types
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

DECLARED = [IndexedField(type_.value, type_) for type_ in FieldType]
COMPARABLE = {"text": "text time", "time": "text time", "number": "number", "bool": "bool"}
TESTS = {
    "text": [OneOf(("a",)), InRange(gte="a"), StartsWith("a")],
    "number": [OneOf((1,)), OneOf((0.5, 2)), InRange(lt=2**60), InRange(gt=0.5, lt=3)],
    "bool": [OneOf((True,)), OneOf((False, True))],
    "time": [OneOf((Moment(0),)), InRange(gt=Moment(0), lte=Moment(1))],
}


@pytest.mark.parametrize("declared", COMPARABLE)
@pytest.mark.parametrize("kind", TESTS)
def test_a_test_fits_a_type_or_is_refused(declared, kind):
    for test in TESTS[kind]:
        for field in (declared, f'"{declared}"'):
            wanted = Filter(must=(FieldCondition(field, test),))
            if kind in COMPARABLE[declared].split():
                check_types(wanted, DECLARED)
                continue
            said = rf"filter.must\[0\].field: .* compared with {kind}, .* declares it as {declared}"
            with pytest.raises(InvalidFilterError, match=said):
                check_types(wanted, DECLARED)


def test_null_existence_and_undeclared_fields_fit_every_type():
    tests = [OneOf((None,)), Exists(), IsMissing(), OneOf(("a", 1, True, Moment(0)))]
    every = [test for tests_ in TESTS.values() for test in tests_]
    conditions = [FieldCondition(field.field, test) for field in DECLARED for test in tests]
    conditions += [FieldCondition(name, test) for test in every for name in ("x", "text.x")]
    check_types(Filter(should=tuple(conditions)), DECLARED)
    check_types(Filter(must=(FieldCondition("text", OneOf((1,))),)), [])


def test_the_place_of_a_test_is_told_however_deep_it_stands():
    bad = FieldCondition("text", InRange(gt=1))
    inner = Filter(must_not=(FieldCondition("x", Exists()), bad))
    wanted = Filter(must=(FieldCondition("text", Exists()),), should=(Filter(), inner))
    with pytest.raises(InvalidFilterError) as refused:
        check_types(wanted, DECLARED)
    assert refused.value.field == "filter.should[1].filter.must_not[1].field"
