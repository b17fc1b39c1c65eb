"""Metadata between Python and messages: every value comes back as it went."""

import numpy as np
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import _metadata
from twopass.v1.document_pb2 import Document

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
metadata = st.dictionaries(
    texts,
    st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


exact = st.integers(-(2**63), 2**63 - 1)


def sent(values):
    message = Document(**_metadata.metadata_field(values, "metadata", "metadata"))
    return Document.FromString(message.SerializeToString())


@given(metadata)
def test_metadata_comes_back_as_it_went(values):
    message = sent(values)
    assert not message.metadata_json
    assert _metadata.read_metadata(message) == values


@given(metadata, exact, st.integers(2**53 + 1, 2**63 - 1))
def test_integers_of_64_bits_come_back_exactly(values, integer, large):
    values |= {"integer": integer, "large": [-large], "half": 0.5, "whole": 2.0}
    message = sent(values)
    assert message.metadata_json
    assert not message.HasField("metadata")
    back = _metadata.read_metadata(message)
    assert back == values
    assert type(back["whole"]) is int


@given(metadata)
def test_metadata_is_what_protobufs_own_conversion_makes_of_it(values):
    expected = Struct()
    expected.update(values)
    assert _metadata.struct(values, "metadata") == expected
    assert MessageToDict(_metadata.struct(values, "metadata")) == _metadata.mapping(expected)


def test_whole_numbers_come_back_as_int_and_numpys_numbers_will_do():
    given_values = {"year": 2024.0, "rating": np.float32(4.5), "count": np.int64(7)}
    back = _metadata.mapping(_metadata.struct(given_values, "metadata"))
    assert back == {"year": 2024, "rating": 4.5, "count": 7}
    kinds = {name: type(value) for name, value in back.items()}
    assert kinds == {"year": int, "rating": float, "count": int}
