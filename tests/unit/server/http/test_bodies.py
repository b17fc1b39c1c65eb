"""Bodies in JSON."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.http.bodies import MalformedBodyError, decode


class Body(msgspec.Struct):
    texts: list[str]


def mended(text: str) -> str:
    """A text with each half of a surrogate pair replaced, as a decoder of UTF-16 does it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@given(st.lists(st.text(st.characters() | st.characters(categories=["Cs"]) | st.just("\\"))))
def test_halves_of_characters_are_replaced_and_nothing_else(texts):
    body = json.dumps({"texts": texts}).encode()
    assert decode(body, Body).texts == list(map(mended, texts))


@pytest.mark.parametrize("content", [b"", b"{", b'{"texts": ["\\ud83d"', b"{" * 3, b"\xff"])
def test_what_is_no_json_is_a_fault_of_syntax(content):
    with pytest.raises(MalformedBodyError, match="body: ") as raised:
        decode(content, Body)
    assert raised.value.is_syntax


def test_what_is_nested_without_end_is_refused():
    with pytest.raises(MalformedBodyError, match="body: nested too deep"):
        decode(b"[" * 100_000, object)


def test_another_structure_is_told_with_its_place():
    with pytest.raises(
        MalformedBodyError, match=r"texts\[1\]: Expected `str`, got `int`"
    ) as raised:
        decode(b'{"texts": ["a", 1]}', Body)
    assert not raised.value.is_syntax
