"""Where sentences end, in every script and in what is no prose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.search.spans.sentences import (
    MAX_CASELESS_CHARS,
    MAX_SENTENCE_CHARS,
    sentences,
)


def parts(text):
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "whole",
    [
        ["It rains.", "Is it wet?", "It is!"],
        # abbreviations, initials and numbers
        ["Dr. Smith met Mr. Jones at 5 p.m. on Jan. 5.", "They talked."],
        ["J. F. Kennedy spoke with Gen. Taylor, e.g. of the U.S. Army.", "He left."],
        ["See Fig. 3 and No. 5 (cf. Lee et al. 2020).", "It costs 3.14 euros."],
        ["Das ist z. B. so.", "Hr. Meier kommt."],
        # brackets and quotation marks
        ["It fits (see below).", "(This is an aside.)", 'He said "No."', "She left [1]."],
        # other scripts
        ["今日は雨です。", "明日は晴れるでしょう\uff01", "「はい。」", "と彼は言った。"],
        ["他说\uff1a“好。”", "然后走了。"],
        ["मैं घर जा रहा हूँ।", "वह स्कूल गया।"],
        ["هل جئت؟", "نعم."],
        ["Привет.", "Как дела?"],
        # beyond the first plane, where ICU counts twice
        ["\U0001f600\U0001f600.", "Yes \U0001f600.", "No."],
        # halves of characters
        ["ab\udc00cd.", "Ef \ud83d gh."],
    ],
    ids=lambda whole: ascii(whole[0]),
)
def test_a_text_is_cut_into_its_sentences(whole):
    assert parts(" ".join(whole)) == whole


def test_lines_of_lists_headings_and_code_are_each_one():
    assert parts("Heading\nA line below.\n- item one\n- item two\n1. First.\n2. Second\n") == [
        *("Heading", "A line below.", "- item one", "- item two", "1. First.", "2. Second"),
    ]
    assert parts("x = 1;\ny = f(x)\nif x:\n    return y\n") == [
        *("x = 1;", "y = f(x)", "if x:", "return y"),
    ]


def test_lines_that_were_broken_to_a_width_are_no_ends():
    first = "This is a paragraph that was broken to a width of\nsome columns by an editor."
    second = "It goes on and on until it is\r\nbroken again before\n  the end."
    assert parts(f"{first} {second}\n\nAnother one.") == [first, second, "Another one."]


def test_a_name_at_the_beginning_of_a_broken_line_is_no_beginning():
    text = "The longest of all the rivers of the world is the\nAmazon, as some say."
    assert parts(text) == [text]


@pytest.mark.parametrize("text", ["", " ", " \n\t\n"])
def test_white_space_has_no_sentence(text):
    assert parts(text) == []


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("word, " * 400, MAX_SENTENCE_CHARS),
        ("a" * 2_000, MAX_SENTENCE_CHARS),
        ("สวัสดีครับ วันนี้อากาศดี ผมไปตลาด " * 40, MAX_CASELESS_CHARS),
        ("漢" * 2_000, MAX_CASELESS_CHARS),
        ("e\u0301" * 1_000, MAX_SENTENCE_CHARS),
    ],
    ids=["commas", "one word", "Thai", "Han", "accents"],
)
def test_a_sentence_that_is_too_long_is_cut_into_parts_of_about_equal_length(text, most):
    found = parts(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    lengths = [len(part) for part in found]
    assert max(lengths) <= most
    assert min(lengths) > most // 4
    assert not any(part[0] == "\u0301" for part in found)


def test_a_long_sentence_is_cut_where_it_says_so_itself():
    clause = "and one more thing that has to be said before the sentence may come to its end"
    found = parts("; ".join([clause] * 12))
    assert len(found) > 1
    assert all(part.endswith(";") for part in found[:-1])


@given(st.text(max_size=400) | st.text(alphabet=" .a\nA(\U0001f600漢。\ud800\r1-", max_size=400))
def test_sentences_hold_every_character_but_white_space(text):
    found = sentences(text)
    before = 0
    for start, end in found:
        assert text[before:start].strip() == ""
        assert text[start:end] == text[start:end].strip() != ""
        assert end - start <= MAX_SENTENCE_CHARS
        before = end
    assert text[before:].strip() == ""


@pytest.mark.parametrize("text", [" " * 200_000, "\n" * 200_000, "(" * 200_000, "a. " * 70_000])
def test_texts_made_to_be_slow_are_not(text):
    # Quadratic in one of these would be tens of seconds: the suite's timeout would tell.
    assert len(sentences(text)) < len(text)
