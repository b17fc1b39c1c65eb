import json
import math

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.documents import MAX_METADATA_BYTES, MAX_METADATA_DEPTH
from twopass.server.errors import InvalidRequestError
from twopass.server.servicers.metadata import (
    read_metadata,
    read_metadata_json,
    write_metadata,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab.é", max_size=3), inner)
)
METADATA = st.dictionaries(st.text("ab.é", max_size=3), VALUES)


def nested(depth: int) -> Struct:
    """Objects in each other, so many with the outermost; the innermost is empty."""
    message = inner = Struct()
    for _ in range(depth - 1):
        inner = inner.fields["x"].struct_value
        inner.SetInParent()
    return message


def with_integers(value):
    """The same with whole numbers up to 2^53 as int, but for a zero with a sign."""
    match value:
        case dict():
            return {key: with_integers(one) for key, one in value.items()}
        case list():
            return [with_integers(one) for one in value]
        case float() if value.is_integer() and abs(value) <= 2**53 and repr(value) != "-0.0":
            return int(value)
    return value


@given(METADATA)
def test_metadata_is_read_as_json_format_reads_it(metadata):
    message = ParseDict(metadata, Struct())
    read, expected = read_metadata("metadata", message), with_integers(MessageToDict(message))
    assert read == expected
    assert repr(read) == repr(expected)  # 1 and 1.0 and True are equal, and not the same


@given(METADATA)
def test_metadata_is_written_as_json_format_writes_it(metadata):
    message = Struct()
    write_metadata(metadata, message)
    assert message == ParseDict(metadata, Struct())


def test_empty_objects_and_lists_and_values_without_a_kind_come_back():
    message = Struct(fields={"a": Value(), "b": Value(list_value=ListValue())})
    message.fields["c"].struct_value.SetInParent()
    assert read_metadata("m", message) == {"a": None, "b": [], "c": {}} == MessageToDict(message)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_place(number):
    message = Struct()
    message.fields["a"].list_value.values.add().number_value = 1
    message.fields["a"].list_value.values.add().number_value = number
    with pytest.raises(InvalidRequestError, match=rf"documents\[3\].metadata.a\[1\]: {number}"):
        read_metadata("documents[3].metadata", message)


def test_metadata_may_be_nested_to_the_limit_and_no_deeper():
    assert read_metadata("m", nested(MAX_METADATA_DEPTH)) == MessageToDict(
        nested(MAX_METADATA_DEPTH)
    )
    with pytest.raises(InvalidRequestError, match=f"deeper than {MAX_METADATA_DEPTH}"):
        read_metadata("m", nested(MAX_METADATA_DEPTH + 1))


def test_metadata_nested_beyond_pythons_recursion_is_refused_as_any_other():
    with pytest.raises(InvalidRequestError, match="nested deeper"):
        read_metadata("m", nested(5_000))


def test_an_error_repeats_no_long_keys():
    message = Struct()
    message.fields["k" * 10_000].number_value = math.nan
    with pytest.raises(InvalidRequestError) as raised:
        read_metadata("m", message)
    assert len(str(raised.value)) < 400


def test_metadata_far_too_large_is_refused_before_it_is_read():
    message = Struct()
    message.fields["x"].string_value = "y" * (8 * MAX_METADATA_BYTES)
    with pytest.raises(InvalidRequestError, match=r"m: 524,3\d\d bytes given, at most 65,536 as"):
        read_metadata("m", message)


def test_metadata_that_may_be_stored_is_never_too_large_as_a_message():
    """The parts that grow most: numbers of one digit, and empty objects and lists."""
    for item in (0, {}, [], [[]], {"": 0}, True, None, ""):
        items = [item] * (MAX_METADATA_BYTES // (len(json.dumps(item, separators=(",", ":"))) + 1))
        metadata = {"x": items[:-4]}
        assert len(json.dumps(metadata, separators=(",", ":"))) <= MAX_METADATA_BYTES
        message = Struct()
        write_metadata(metadata, message)
        assert read_metadata("m", message) == metadata


EXACT = st.dictionaries(
    st.text("ab.é", max_size=3),
    st.recursive(
        SCALARS | st.integers(-(2**63), 2**63 - 1),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab.é", max_size=3), inner),
    ),
)


@given(EXACT, st.booleans(), st.sampled_from([None, 2]))
def test_metadata_is_read_from_json_as_python_reads_it(metadata, ascii_alone, indent):
    text = json.dumps(metadata, ensure_ascii=ascii_alone, indent=indent)
    assert repr(read_metadata_json("m", text)) == repr(metadata)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON: Expecting value.* an? .*object is needed"),
        ("{", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ("[1]", "a list given, an object is needed"),
        ("null", "null given, an object is needed"),
        ("1", "a number given, an object is needed"),
        ('"a"', "a text given, an object is needed"),
        ('{"a": NaN}', "NaN given, but JSON's numbers are finite"),
        ('{"a": [-Infinity]}', "-Infinity given"),
        ('{"a": 1e400}', "the number 1e400 given, which is beyond what a double can hold"),
        ('{"a": 9223372036854775808}', "the integer 9223372036854775808 given, at least"),
        ('{"a": -9223372036854775809}', "the integer -9223372036854775809 given"),
        ('{"a": 1' + "0" * 400 + "}", "the integer 10+… of 401 characters given"),
        ('{"a": 1' + "0" * 400_000 + "}", "the integer 10+… of 400,001 characters given"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "the key 'b' given twice in one object"),
        ('{"' + "k" * 1_000 + '": 1, "' + "k" * 1_000 + '": 1}', "of 1,000 characters' given"),
        ("[" * 100_000, "nested deeper than 32"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested deeper than 32"),
        (f'{{"a": "{"y" * 524_288}"}}', "524,297 bytes given, at most 65,536"),
    ],
    ids=lambda value: value[:20],
)
def test_json_that_metadata_can_not_be_is_refused(text, said):
    with pytest.raises(
        InvalidRequestError, match=rf"^documents\[3\].metadata_json: .*{said}"
    ) as no:
        read_metadata_json("documents[3].metadata_json", text)
    assert len(str(no.value)) < 400


def test_the_greatest_and_the_least_integer_are_read():
    text = '{"a": 9223372036854775807, "b": -9223372036854775808}'
    assert read_metadata_json("m", text) == {"a": 2**63 - 1, "b": -(2**63)}
