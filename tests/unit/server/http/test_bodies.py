"""Bodies in JSON."""

import msgspec
import pytest

from twopass.server.http.bodies import MalformedBodyError, decode


class Body(msgspec.Struct):
    texts: list[str]


def test_halves_of_characters_are_replaced() -> None:
    assert decode(b'{"texts": ["\\ud83d.", "\\uD83D\\uDE00"]}', Body).texts == [
        "\ufffd.",
        "\U0001f600",
    ]


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
