"""What of a text is scored, and what is made of what was."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.errors import StoppedError
from twopass.index.stopping import NEVER, Stop
from twopass.server.models.passages import passage_of
from twopass.server.search.spans.settings import MAX_CHARS, MAX_UNITS, Tags
from twopass.server.search.spans.units import (
    SpanText,
    highlighted,
    joined,
    pruned,
    sentences_of,
)

WORDS = "One is. Two is. Three is. Four is."
UNITS = [(0, 7), (8, 15), (16, 25), (26, 34)]


def of(title, text, part=None):
    return SpanText.of(title, passage_of(title, text), part)


def read(text):
    (units,) = sentences_of([text], NEVER)
    return [text.passage[start:end] for start, end in units]


def test_the_title_is_no_sentence_and_is_read_before_each():
    text = of("A title", "One. Two.")
    assert read(text) == ["One.", "Two."]
    assert text.read(8, 12) == "A title One."
    assert of("", "One.").read(0, 4) == "One."


def test_a_title_alone_is_the_text():
    assert read(of("Is this a title? It is.", "")) == ["Is this a title?", "It is."]
    assert read(of("  ", "One.")) == ["One."]
    assert read(of(" T ", " One.")) == ["One."]


def test_a_long_title_leaves_room_for_the_sentence():
    assert len(of("long " * 1_000, "One.").read(5_001, 5_005)) < 300


def test_of_a_window_the_sentences_are_looked_at_that_it_holds_a_part_of():
    assert read(of("", WORDS, (10, 20))) == ["Two is.", "Three is."]
    assert read(of("", WORDS, (0, 7))) == ["One is."]


def test_nothing_more_is_cut_once_nobody_needs_it():
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        sentences_of([of("", WORDS)] * 100, stop)


def test_so_many_sentences_and_characters_are_looked_at():
    assert len(read(of("", "So it is. " * 500))) == MAX_UNITS
    assert sum(map(len, read(of("", "x" * 400 + ". " + "y " * 200_000)))) <= MAX_CHARS


@given(
    lengths=st.lists(st.integers(1, 40), max_size=30),
    most=st.integers(1, 60),
)
def test_windows_hold_every_unit_and_as_many_as_fit(lengths, most):
    ends = list(itertools.accumulate(lengths))
    units = [(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    windows = joined(units, lengths, most)
    assert [at for window in windows for at in range(*window)] == list(range(sum(lengths)))
    sizes = [end - start for start, end in windows]
    starts = dict(zip((start for start, _ in units), lengths, strict=True))
    assert all(
        size <= most or starts[start] == size
        for size, (start, _) in zip(sizes, windows, strict=True)
    )
    for size, (start, _) in zip(sizes, windows[1:], strict=False):
        assert size + starts[start] > most


def test_a_pruned_text_tells_where_something_is_left_out():
    assert pruned(WORDS, UNITS, [3, 1], 0) == "Two is. … Four is."
    assert pruned(WORDS, UNITS, [1, 2], 0) == "Two is. Three is."
    assert pruned(WORDS, UNITS, [0], 1) == "One is. Two is."
    assert pruned(WORDS, UNITS, [0], 8) == WORDS
    assert pruned(WORDS, UNITS, [], 8) == ""


def test_tags_stand_around_spans_and_entities_in_the_text_alone():
    text = of("T", "a < b. c & d.")
    assert highlighted(text, [(9, 15), (2, 8)], Tags()) == "<mark>a < b.</mark> <mark>c & d.</mark>"
    tags = Tags(before="<b>", after="</b>", escape_html=True)
    assert highlighted(text, [(9, 15)], tags) == "a &lt; b. <b>c &amp; d.</b>"
    assert highlighted(text, [], Tags()) == "a < b. c & d."


@given(
    st.lists(st.text("ab <&", max_size=5), max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_without_its_tags_a_highlighted_text_is_the_text(parts, chosen):
    ends = list(itertools.accumulate(map(len, parts)))
    spans = [
        (end - len(part), end)
        for part, end, is_span in zip(parts, ends, chosen, strict=False)
        if is_span
    ]
    text = of("", "".join(parts))
    if text.passage == "".join(parts):
        marked = highlighted(text, spans, Tags(before="\x01", after="\x02"))
        assert marked.replace("\x01", "").replace("\x02", "") == text.passage
