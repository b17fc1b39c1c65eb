"""Filters written as Python, and the messages that they become."""

import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce
from operator import and_, or_

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from twopass.client import Condition, InvalidArgumentError, document_ids, field
from twopass.client._filters import filter_message
from twopass.v1 import filter_pb2
from twopass.v1.filter_pb2 import Filter

DAY = date(2024, 1, 31)
MIDNIGHT, NOON, LAST = (
    f"2024-01-31T{time}Z" for time in ("00:00:00", "12:00:00", "23:59:59.999999999")
)
CET = timezone(timedelta(hours=1))


def message(wanted):
    return MessageToDict(filter_message(wanted))


def of_field(name, **test):
    return {"field": {"field": name, **test}}


@pytest.mark.parametrize(
    ("condition", "test"),
    [
        (field("x").equals("a"), {"equalTo": "a"}),
        (field("x").equals(1), {"equalTo": 1}),
        (field("x").equals(np.float32(0.5)), {"equalTo": 0.5}),
        (field("x").equals(True), {"equalTo": True}),
        (field("x").equals(None), {"equalTo": None}),
        (field("x").is_in(["a", 1, None]), {"anyOf": ["a", 1, None]}),
        (field("x").is_in([]), {"anyOf": []}),
        (field("x").between(gt=0, lte=2), {"range": {"gt": 0, "lte": 2}}),
        (field("x").equals(2**53 + 1), {"equalToLiteral": {"integer": str(2**53 + 1)}}),
        (field("x").equals(np.int64(-(2**63))), {"equalToLiteral": {"integer": str(-(2**63))}}),
        (field("x").equals(datetime(2024, 1, 31, 12)), {"equalToLiteral": {"time": NOON}}),
        (
            field("x").is_in([2**60, "a", None, True, 0.5, datetime(2024, 1, 31, 12)]),
            {
                "anyOfLiterals": {
                    "values": [
                        {"integer": str(2**60)},
                        {"text": "a"},
                        {"null": None},
                        {"boolean": True},
                        {"number": 0.5},
                        {"time": NOON},
                    ]
                }
            },
        ),
        (field("x").between(1, 2), {"range": {"gte": 1, "lte": 2}}),
        (
            field("x").between(0.5, 2**60),
            {"interval": {"gte": {"number": 0.5}, "lte": {"integer": str(2**60)}}},
        ),
        (
            field("x").between("2024-01-01", "2024-12-31"),
            {"interval": {"gte": {"text": "2024-01-01"}, "lte": {"text": "2024-12-31"}}},
        ),
        (field("x").before(3), {"range": {"lt": 3}}),
        (field("x").after("a"), {"interval": {"gt": {"text": "a"}}}),
        (field("x") >= 1990, {"range": {"gte": 1990}}),
        (field("x") > "b", {"interval": {"gt": {"text": "b"}}}),
        (field("x") <= 1.5, {"range": {"lte": 1.5}}),
        (field("x") < datetime(2024, 1, 31, 13, tzinfo=CET), {"interval": {"lt": {"time": NOON}}}),
        # A date is its whole day.
        (field("x") >= DAY, {"interval": {"gte": {"time": MIDNIGHT}}}),
        (field("x") < DAY, {"interval": {"lt": {"time": MIDNIGHT}}}),
        (field("x") > DAY, {"interval": {"gt": {"time": LAST}}}),
        (field("x") <= DAY, {"interval": {"lte": {"time": LAST}}}),
        (
            field("x").equals(DAY),
            {"interval": {"gte": {"time": MIDNIGHT}, "lte": {"time": LAST}}},
        ),
        (
            field("x").after(date.max),
            {"interval": {"gt": {"time": "9999-12-31T23:59:59.999999999Z"}}},
        ),
        (field("x") < datetime.min, {"interval": {"lt": {"time": "0001-01-01T00:00:00Z"}}}),
        (field("x").starts_with(""), {"prefix": ""}),
        (field("x").exists(), {"exists": True}),
        (field("x").is_missing(), {"exists": False}),
    ],
)
def test_a_test_becomes_a_message(condition, test):
    assert message(condition) == {"must": [of_field("x", **test)]}


def test_conditions_join():
    a, b, ids = field("a").exists(), field("b").exists(), document_ids(["x", "y"])
    of_a, of_b = of_field("a", exists=True), of_field("b", exists=True)
    assert message(a & b) == {"must": [of_a, of_b]}
    assert message(a | b) == {"should": [of_a, of_b]}
    assert message(~ids) == {"mustNot": [{"ids": {"ids": ["x", "y"]}}]}
    assert message(a & (b | ~a)) == {
        "must": [of_a, {"filter": {"should": [of_b, {"filter": {"mustNot": [of_a]}}]}}]
    }


@pytest.mark.parametrize("number", [1, 2, 18, 60, 256, 1_000])
def test_conditions_joined_by_one_operator_stand_side_by_side(number):
    some = [field(f"f{n}").exists() for n in range(number)]
    every = [of_field(f"f{n}", exists=True) for n in range(number)]
    assert message(reduce(and_, some)) == {"must": every}
    if number > 1:
        assert message(reduce(or_, some)) == {"should": every}
        assert message(reduce(and_, [~one for one in some])) == {"mustNot": every}
        assert message(~reduce(or_, some)) == {"mustNot": every}


def test_joining_keeps_what_conditions_mean():
    a, b, c, d = (field(name).exists() for name in "abcd")
    of_a, of_b, of_c, of_d = (of_field(name, exists=True) for name in "abcd")
    assert message(a & ~b & c) == {"must": [of_a, of_c], "mustNot": [of_b]}
    assert message((a & b) & (c & d)) == {"must": [of_a, of_b, of_c, of_d]}
    assert message((a | b) | (c | d)) == {"should": [of_a, of_b, of_c, of_d]}
    assert message((a | b) & (c | d)) == {
        "must": [{"filter": {"should": [of_a, of_b]}}, {"filter": {"should": [of_c, of_d]}}]
    }
    assert message((a & b) | c) == {"should": [{"filter": {"must": [of_a, of_b]}}, of_c]}
    assert message(~~a) == {"must": [of_a]}
    assert message(~(~a & ~b)) == {"should": [of_a, of_b]}
    assert message(~(a & b)) == {"mustNot": [{"filter": {"must": [of_a, of_b]}}]}
    assert message(~(a & ~b)) == {"mustNot": [{"filter": {"must": [of_a], "mustNot": [of_b]}}]}
    everything = Condition(filter_pb2.Condition(filter=Filter()))
    assert message(everything & a) == {"must": [of_a]}
    assert message(everything | a) == {"should": [{"filter": {}}, of_a]}
    assert message(~everything) == {"mustNot": [{"filter": {}}]}


def test_a_filter_nested_too_deeply_is_refused_before_it_is_sent():
    deep = field("a").exists()
    for n in range(7):
        deep = (deep & field(f"b{n}").exists()) | field(f"c{n}").exists()
    deep = deep & field("z").exists()
    assert isinstance(deep & field("z").exists(), Condition)
    with pytest.raises(InvalidArgumentError, match=r"over 16 deep; .*side by"):
        (deep | deep) & (deep | deep)
    raw = innermost = Filter()
    for _ in range(500):
        innermost = innermost.must.add().filter
    for use in (
        lambda: filter_message(raw),
        lambda: filter_message(Condition(raw.must[0])),
        lambda: ~Condition(raw.must[0]),
        lambda: Condition(raw.must[0]) & deep,
    ):
        with pytest.raises(InvalidArgumentError, match="filter: nested over 16 deep"):
            use()


def test_a_key_is_quoted_where_it_must_be():
    assert field("author")["name"].name == "author.name"
    assert field("author")["a.b"]['"']["\\"][""].name == r'''author."a.b"."\"".\.""'''


def test_a_message_of_the_contract_is_taken_as_it_is():
    wanted = Filter()
    assert filter_message(wanted) is wanted
    assert filter_message(None) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: field("a").exists() and field("b").exists(), "no truth of its own"),
        (lambda: not field("a").exists(), "no truth of its own"),
        (lambda: 1 < field("a") < 5, "no truth of its own"),
        (lambda: field("a").equals(["x"]), "a: a str, int, float, .* list given"),
        (lambda: field("a").equals(Decimal(1)), "a: a str, int, .* Decimal given"),
        (lambda: field("a").is_in("abc"), "a: several values are needed, a single str given"),
        (lambda: field("a").is_in([b"abc"]), "a: a str, .* bytes given"),
        (lambda: field("a").is_in([DAY]), "a: a date given, .* whole day"),
        (lambda: field("a").between(), "a: no bound given"),
        (lambda: field("a").between(gt="1", lt=2), "several kinds given, number and text"),
        (lambda: field("a").between(DAY, "2024"), "several kinds given, text and time"),
        (lambda: field("a").between(1, gte=2), "a: least, gte: both given"),
        (lambda: field("a") >= None, "a: no bound given"),
        (lambda: field("a") >= True, "a.gte: a number, str, .* bool given"),
        (lambda: field("a") >= b"1", "a.gte: a number, str, .* bytes given"),
        (lambda: document_ids("x"), "ids: several"),
        (lambda: filter_message({"a": 1}), "filter: a Condition or a Filter needed, dict given"),
    ],
)
def test_what_means_something_else_is_a_type_error(wrong, said):
    with pytest.raises(TypeError, match=said):
        wrong()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400], ids=["2^63", "-2^63-1", "1e400"])
def test_an_integer_beyond_64_bits_is_refused(number):
    for use in (
        field("a").equals,
        lambda value: field("a").is_in(["x", value]),
        lambda value: field("a").between(gte=0, lt=value),
        lambda value: field("a") <= value,
        field("a").after,
    ):
        with pytest.raises(InvalidArgumentError, match=r"^a\S*: .*2\^63"):
            use(number)


def test_a_number_that_is_not_finite_equals_nothing():
    for number in (math.inf, math.nan):
        with pytest.raises(InvalidArgumentError, match="finite"):
            field("a").equals(number)
