"""Filters written as Python, and the messages that they become."""

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from twopass.client import document_ids, field
from twopass.client._filters import filter_message
from twopass.v1.filter_pb2 import Filter


def message(wanted):
    return MessageToDict(filter_message(wanted))


def of_field(name, **test):
    return {"field": {"field": name, **test}}


@pytest.mark.parametrize(
    ("condition", "test"),
    [
        (field("x").equals("a"), {"equals": "a"}),
        (field("x").equals(1), {"equals": 1}),
        (field("x").equals(np.float32(0.5)), {"equals": 0.5}),
        (field("x").equals(True), {"equals": True}),
        (field("x").equals(None), {"equals": None}),
        (field("x").is_in(["a", 1, None]), {"in": ["a", 1, None]}),
        (field("x").is_in([]), {"in": []}),
        (field("x").between(gt=0, lte=2), {"range": {"gt": 0, "lte": 2}}),
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


def test_a_message_of_the_contract_is_taken_as_it_is():
    wanted = Filter()
    assert filter_message(wanted) is wanted
    assert filter_message(None) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: field("a").exists() and field("b").exists(),
        lambda: not field("a").exists(),
        lambda: field("a").equals(["x"]),
        lambda: field("a").between(gt="1"),
        lambda: document_ids("x"),
        lambda: filter_message({"a": 1}),
    ],
)
def test_what_means_something_else_is_a_type_error(wrong):
    with pytest.raises(TypeError):
        wrong()
