import pytest

from twopass.server.errors import InvalidRequestError
from twopass.server.servicers.enums import EnumMapping
from twopass.v1 import rerank_pb2, search_pb2

FALLBACK = EnumMapping(
    search_pb2.Fallback,
    {search_pb2.FALLBACK_ALLOW: True, search_pb2.FALLBACK_FORBID: False},
    default=True,
)
QUERY_TRUNCATION = EnumMapping(
    rerank_pb2.QueryTruncation, {rerank_pb2.QUERY_TRUNCATION_REJECT: "reject"}, default=None
)


def test_what_is_unspecified_is_the_default():
    assert FALLBACK.read("fallback", search_pb2.FALLBACK_UNSPECIFIED) is True
    assert QUERY_TRUNCATION.read("query_truncation", 0) is None


def test_what_is_written_is_read_again():
    for mapping in (FALLBACK, QUERY_TRUNCATION):
        for value in mapping._inner.values():
            assert mapping.read("field", mapping.write(value)) == value


def test_a_default_that_a_value_stands_for_is_written_as_that_value_and_another_as_unspecified():
    assert FALLBACK.write(True) == search_pb2.FALLBACK_ALLOW
    assert QUERY_TRUNCATION.write(None) == rerank_pb2.QUERY_TRUNCATION_UNSPECIFIED


@pytest.mark.parametrize("value", [2, -1, 99], ids=["not for requests", "negative", "of no name"])
def test_other_values_are_refused_with_those_that_may_be_given(value):
    with pytest.raises(InvalidRequestError) as raised:
        QUERY_TRUNCATION.read("query_truncation", value)
    assert str(raised.value) == (
        f"query_truncation: {value} given, the values of QueryTruncation are "
        "QUERY_TRUNCATION_UNSPECIFIED, QUERY_TRUNCATION_REJECT"
    )
