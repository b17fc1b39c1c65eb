"""Halves of characters in JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.http.half_characters import with_whole_characters

# Mostly what begins an escape, or looks like part of one.
characters = st.sampled_from('\ud83d\udbff\ude00\udfff\\"\nud8d') | st.characters()


def mended(text: str) -> str:
    """A text with each half of a surrogate pair replaced, as a decoder of UTF-16 does it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@given(st.lists(st.text(characters)), st.integers(19, 60), st.booleans())
def test_halves_are_replaced_and_nothing_else(texts, piece_bytes, is_ascii):
    body = json.dumps(texts, ensure_ascii=is_ascii).encode(errors="replace")
    sent = json.loads(body)
    whole = with_whole_characters(body, piece_bytes=piece_bytes)
    assert json.loads(whole) == list(map(mended, sent))


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (rb"\uD83D\ude00", rb"\uD83D\ude00"),
        (rb"\uD83D\uD83D\uDE00", rb"\ufffd\uD83D\uDE00"),
        (rb"\uDE00\uD83D", rb"\ufffd\ufffd"),
        (rb"\\ud83d", rb"\\ud83d"),
        (rb"\\\ud83d\\\ude00", rb"\\\ufffd\\\ufffd"),
        (rb"\\ud83d\ude00", rb"\\ud83d\ufffd"),
        (b"\\ud83d\xff", b"\\ud83d\xff"),
    ],
)
def test_a_pair_is_one_character_and_an_escaped_backslash_begins_none(body, whole):
    assert with_whole_characters(body) == whole


def test_a_body_without_halves_comes_back_as_it_is():
    body = b'"\\u00e9\\\\n"'
    assert with_whole_characters(body) is body
