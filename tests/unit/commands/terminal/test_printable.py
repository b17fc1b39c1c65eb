"""Text of documents, files and servers before it reaches a terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.commands.terminal.printable import printable, printable_json, printable_lines

_ANY_TEXT = st.text(st.characters(categories=None))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b31mred", r"\x9b31mred"),
        ("bell \x07 and delete \x7f", r"bell \x07 and delete \x7f"),
        ("two\nlines\r\nand\ta tab", "two lines and a tab"),
        ("\u202eflipped\u202c \u2067isolated\u2069", r"\u202eflipped\u202c \u2067isolated\u2069"),
        ("half a pair: \ud83d", r"half a pair: \ud83d"),
        ("family 👨‍👩‍👧, 日本語, שלום\u200e", "family 👨‍👩‍👧, 日本語, שלום\u200e"),
        ("[bold]brackets[/] and \\ backslashes", "[bold]brackets[/] and \\ backslashes"),
    ],
)
def test_control_characters_are_shown_and_all_else_stays(text, shown):
    assert printable(text) == shown


@given(_ANY_TEXT)
def test_no_text_keeps_a_control_character_or_a_lone_surrogate(text):
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not any(unicodedata.bidirectional(c) in _BIDIRECTIONAL_CONTROLS for c in shown)
    shown.encode()  # a lone surrogate has no encoding


@given(_ANY_TEXT)
def test_lines_stay_lines(text):
    assert printable_lines(text).replace("\n", " ") == printable(text)


# Without surrogates, two of which JSON reads as one character.
@given(st.text(st.characters(exclude_categories=["Cs"])) | st.just("lone: \ud83d"))
def test_an_escaped_json_document_reads_as_the_same_content(text):
    document = printable_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(document) == {text: [text]}
    assert printable(document) == document


_BIDIRECTIONAL_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
