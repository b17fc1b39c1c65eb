"""The sentences of hits that answer, as commands show them."""

from dataclasses import replace

import pytest

from twopass.client import ScoredSpan, SearchHit, Span, SpansStatus
from twopass.commands.terminal.hits import print_hits
from twopass.commands.terminal.query_words import QueryWords
from twopass.commands.terminal.spans import (
    Shown,
    in_a_pipe,
    on_a_terminal,
    told_of_spans,
)
from twopass.server.models.passages import passage_of as server_passage_of

from .test_hits import HIT, RESULT

TEXT = "It is late. The sky is\nblue. It is day. \x1b[31m"
SKY, DAY = TEXT.index("The"), TEXT.rindex("It")
BEFORE = len("The sky ")
SPANNED: SearchHit = replace(
    HIT,
    text=TEXT,
    spans=(
        ScoredSpan(BEFORE + SKY, BEFORE + SKY + 16, 0.75, 1.0),
        ScoredSpan(BEFORE + DAY, BEFORE + DAY + 10, 0.25, -1.0),
    ),
    pruned_text="The sky is\nblue. It is day.",
    highlighted_text="It is late. **The sky is\nblue.** **It is day.**",
)
NO_WORDS = QueryWords.of([])


def shown_as(shown):
    return [str(line) for line in on_a_terminal(SPANNED, shown, NO_WORDS)]


def test_sentences_are_shown_with_their_scores_best_first():
    assert shown_as(Shown.SPANS) == ["0.750  The sky is blue.", "0.250  It is day."]


def test_the_text_is_shown_with_its_sentences_underlined_and_no_terminal_obeys_it():
    (line,) = on_a_terminal(SPANNED, Shown.HIGHLIGHT, NO_WORDS)
    assert str(line) == r"It is late. The sky is blue. It is day. \x1b[31m"
    underlined = [str(line)[each.start : each.end] for each in line.spans]
    assert underlined == ["The sky is blue.", "It is day."]


def test_of_a_long_text_what_stands_around_the_best_sentence_is_shown():
    far = "word " * 200
    start = BEFORE + len(far)
    hit = replace(HIT, text=f"{far}Here. {far}", spans=(ScoredSpan(start, start + 5, 0.5, 0.0),))
    (line,) = on_a_terminal(hit, Shown.HIGHLIGHT, NO_WORDS)
    assert str(line).startswith("… ")
    assert str(line).endswith(" …")
    assert "Here." in str(line)


@pytest.mark.parametrize("title", ["", "The sky", "  The sky", "The sky ", " "])
def test_spans_count_the_characters_of_title_and_text_as_models_read_them(title, capsys):
    text = "It is late. The sky is blue."
    start = server_passage_of(title, text).index("The sky is")
    span = ScoredSpan(start, start + 16, 0.75, 1.0)
    hit = replace(HIT, title=title, text=text, spans=(span,), span=Span(start, start + 16))
    assert in_a_pipe(hit, Shown.SPANS) == "0.750 The sky is blue."
    (line,) = on_a_terminal(hit, Shown.HIGHLIGHT, NO_WORDS)
    assert str(line) == text
    assert [text[each.start : each.end] for each in line.spans] == ["The sky is blue."]
    print_hits(replace(RESULT, hits=(hit,)), [])
    (_, row, *_) = capsys.readouterr().out.splitlines()
    assert row.endswith(" The sky is blue.")
    assert "It is late" not in row


def test_what_is_left_of_a_text_is_shown_whole():
    assert shown_as(Shown.PRUNED) == ["The sky is blue. It is day."]


@pytest.mark.parametrize(
    ("shown", "cell"),
    [
        (Shown.SPANS, "0.750 The sky is blue. | 0.250 It is day."),
        (Shown.HIGHLIGHT, "It is late. **The sky is blue.** **It is day.**"),
        (Shown.PRUNED, "The sky is blue. It is day."),
    ],
)
def test_in_a_pipe_they_stand_in_the_cell_of_the_text(capsys, shown, cell):
    print_hits(replace(RESULT, hits=(SPANNED,)), [], shown=shown)
    assert capsys.readouterr().out.splitlines()[1].endswith(cell)


@pytest.mark.parametrize("shown", list(Shown))
def test_a_hit_without_sentences_shows_its_text(capsys, shown):
    print_hits(RESULT, [], shown=shown)
    assert capsys.readouterr().out.splitlines()[1].endswith("Why the sky is blue.")


def test_missing_sentences_are_told_of():
    assert told_of_spans(None) == told_of_spans(SpansStatus.COMPLETE) == ""
    assert "too much else waited" in told_of_spans(SpansStatus.SKIPPED_OVERLOAD)
