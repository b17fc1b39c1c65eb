import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.http.bodies import MalformedBodyError, decode
from twopass.server.http.dialects.tei_bodies import (
    TOKEN_BYTES,
    DecodeBody,
    EmbedBody,
    PredictBody,
    RerankBody,
    SimilarityBody,
    TokenizeBody,
)
from twopass.server.http.endpoint import HttpRequest
from twopass.server.tei.types import TruncationDirection

# What untagged unions of TEI accept somewhere, and what they accept nowhere.
SCALARS = st.one_of(
    st.text(max_size=3), st.integers(-5, 2**40), st.booleans(), st.none(), st.floats(0, 1)
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


def read(kind, body, model=""):
    http = HttpRequest(method="POST", path="/", model=model)
    return decode(json.dumps(body).encode(), kind).read(http)


def is_id(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_ids(value):
    return isinstance(value, list) and all(map(is_id, value))


def is_text_or_ids(value):
    return isinstance(value, str) or is_ids(value)


def embedded(inputs):
    """The reference: what TEI's `Input` means, as a list of texts and lists of ids, or None."""
    if isinstance(inputs, str):
        return [inputs]
    if is_ids(inputs) and inputs:
        return [inputs]
    if isinstance(inputs, list) and all(map(is_text_or_ids, inputs)):
        return inputs
    return None


def classified(inputs):
    """The reference: what TEI's `PredictInput` means, as lists of one or two texts, or None."""
    if isinstance(inputs, str):
        return [[inputs]]
    if not isinstance(inputs, list) or not inputs:
        return None
    if all(isinstance(each, str) for each in inputs):
        return [inputs] if len(inputs) <= 2 else None
    lists_of_texts = all(
        isinstance(each, list) and all(isinstance(text, str) for text in each) for each in inputs
    )
    return inputs if lists_of_texts else None


def outcome(kind, inputs, *, of):
    try:
        asked = read(kind, {"inputs": inputs})
    except MalformedBodyError:
        return None
    return [each if isinstance(each, str) else list(each) for each in getattr(asked, of)]


@given(inputs=JSON)
def test_inputs_to_embed_mean_what_they_mean_to_tei(inputs):
    assert outcome(EmbedBody, inputs, of="inputs") == embedded(inputs)


@given(inputs=JSON)
def test_inputs_to_classify_mean_what_they_mean_to_tei(inputs):
    assert outcome(PredictBody, inputs, of="inputs") == classified(inputs)


@given(ids=JSON)
def test_ids_to_decode_are_those_of_one_text_or_of_several(ids):
    expected = None
    if is_ids(ids) and ids:
        expected = [ids]
    elif isinstance(ids, list) and all(map(is_ids, ids)):
        expected = ids
    try:
        found = [list(each) for each in read(DecodeBody, {"ids": ids}).ids]
    except MalformedBodyError:
        found = None
    assert found == expected


BODIES = [
    (EmbedBody, {"inputs": "a"}),
    (PredictBody, {"inputs": "a"}),
    (RerankBody, {"query": "a", "texts": ["b"]}),
    (TokenizeBody, {"inputs": "a"}),
    (DecodeBody, {"ids": [1]}),
    (SimilarityBody, {"inputs": {"source_sentence": "a", "sentences": ["b"]}}),
]


@pytest.mark.parametrize(("kind", "body"), BODIES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_null_is_as_what_is_missing_and_what_is_unknown_is_passed_over(kind, body):
    optional = {name: None for name in kind.__struct_fields__ if name not in body}
    assert read(kind, body | optional | {"unknown": {"a": []}}) == read(kind, body)


def test_by_default_texts_are_cut_at_their_end_and_vectors_normalised():
    asked = read(EmbedBody, {"inputs": "a"}, "m")
    assert (asked.truncate, asked.direction) == (True, TruncationDirection.RIGHT)
    assert (asked.normalize, asked.dimensions, asked.model) == (True, None, "m")
    assert read(TokenizeBody, {"inputs": "a"}).add_special_tokens
    assert read(DecodeBody, {"ids": [1]}).skip_special_tokens


@pytest.mark.parametrize("spelling", ["left", "Left"])
@pytest.mark.parametrize(("kind", "body"), BODIES[:3], ids=lambda v: getattr(v, "__name__", ""))
def test_both_spellings_of_a_direction_are_known(kind, body, spelling):
    asked = read(kind, body | {"truncation_direction": spelling, "truncate": False})
    assert (asked.truncate, asked.direction) == (False, TruncationDirection.LEFT)
    with pytest.raises(MalformedBodyError, match="truncation_direction"):
        read(kind, body | {"truncation_direction": "middle"})


def test_answers_count_as_large_as_json_writes_them():
    assert read(EmbedBody, {"inputs": "a"}).component_bytes == 16
    assert read(TokenizeBody, {"inputs": "a"}).token_bytes == TOKEN_BYTES
