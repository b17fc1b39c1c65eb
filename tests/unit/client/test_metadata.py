"""Metadata between Python and messages: every value comes back as it went."""

import json
import math

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import InvalidArgumentError, _metadata
from twopass.v1.document_pb2 import Document

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
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


def sent(values):
    written = _metadata.metadata_json(values, "metadata")
    return Document.FromString(Document(metadata_json=written).SerializeToString())


@given(metadata)
def test_metadata_comes_back_as_it_went(values):
    back = _metadata.read_metadata(sent(values))
    # As JSON, so that 1 and 1.0 differ, 0.0 and -0.0, True and 1, and the order of keys.
    assert json.dumps(back) == json.dumps(values)


@given(metadata)
def test_metadata_that_a_server_answers_as_a_message_is_read_too(values):
    message = Struct()
    message.update(values)
    assert _metadata.read_metadata(Document(metadata=message)) == _metadata.mapping(message)
    doubles = {"year": 2024, "rating": 4.5, "large": 2.0**60, "deep": {"list": [1, None]}}
    message = Struct()
    message.update(doubles)
    back = _metadata.mapping(message)
    assert back == doubles
    assert {name: type(back[name]) for name in ("year", "large")} == {"year": int, "large": float}


def test_numpys_numbers_will_do_and_stay_what_they_are():
    given_values = {"year": 2024.0, "rating": np.float32(4.5), "count": np.int64(7), "l": (1,)}
    back = _metadata.read_metadata(sent(given_values))
    assert back == {"year": 2024.0, "rating": 4.5, "count": 7, "l": [1]}
    kinds = {name: type(value) for name, value in back.items()}
    assert kinds == {"year": float, "rating": float, "count": int, "l": list}


def test_what_json_has_no_word_for_is_refused_by_its_place():
    deep = {}
    for _ in range(100_000):
        deep = {"deep": deep}
    for values, said in [
        ({"a": [1, math.inf]}, r"m.a\[1\]: inf given"),
        ({"a": {"b": 2**63}}, r"m.a.b: .* from -2\^63"),
        ({"a": "\ud800"}, r"m.a: .*U\+D800"),
        (deep, "m.*: nested too deeply"),
    ]:
        with pytest.raises(InvalidArgumentError, match=said):
            _metadata.metadata_json(values, "m")
