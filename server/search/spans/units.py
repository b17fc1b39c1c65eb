"""What of a hit's text is scored, and what texts are made of the scored parts."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twopass.index.stopping import Stop
from twopass.server.search.spans.sentences import MAX_SENTENCE_CHARS, sentences
from twopass.server.search.spans.settings import MAX_CHARS, MAX_UNITS, Tags

# Most characters of a title that are read before each sentence: a longer one leaves it no room.
_MAX_TITLE_CHARS = 200
# Stands in a pruned text where something is left out.
_LEFT_OUT = " \u2026 "


@dataclass(frozen=True, slots=True)
class SpanText:
    """A hit's text.

    Attributes:
        passage: Title, space and text together.
        text_start: Where the text begins in it.
        part: The first character of the best window in the passage, and one past its last; None
            where the hit has none.
    """

    passage: str
    text_start: int = 0
    part: tuple[int, int] | None = None

    @classmethod
    def of(cls, title: str | None, passage: str, part: tuple[int, int] | None = None) -> "SpanText":
        """The text of a passage; the title itself where there is nothing else.

        Args:
            title: The title; None or "" for none.
            passage: What `passage_of` gives of title and text.
            part: The best window, if there is one.
        """
        start = len(title.lstrip()) + 1 if title and not title.isspace() else 0
        return cls(passage, start if start < len(passage) else 0, part)

    @property
    def title(self) -> str:
        """What is read before each unit; "" for nothing."""
        return self.passage[: self.text_start].strip()[:_MAX_TITLE_CHARS]

    def read(self, start: int, end: int) -> str:
        """What the reranker reads of a unit: the title gives it its subject."""
        unit = self.passage[start:end]
        return f"{self.title} {unit}" if self.text_start else unit


def sentences_of(texts: Sequence[SpanText], stop: Stop) -> list[list[tuple[int, int]]]:
    """Where the sentences of each text stand in its passage, at most `MAX_UNITS` of each."""
    found = []
    for text in texts:
        stop.check()
        found.append(_sentences(text))
    return found


def _sentences(text: SpanText) -> list[tuple[int, int]]:
    begin, end = text.part or (text.text_start, len(text.passage))
    # A window begins and ends anywhere: sentences that it holds a part of are read whole.
    first = max(text.text_start, begin - MAX_SENTENCE_CHARS)
    last = min(end, begin + MAX_CHARS) + MAX_SENTENCE_CHARS
    if text.part is None:
        last = begin + MAX_CHARS
    found = sentences(text.passage[first:last])
    placed = ((first + start, first + stop) for start, stop in found)
    return [place for place in placed if place[0] < end and place[1] > begin][:MAX_UNITS]


def joined(
    units: Sequence[tuple[int, int]], lengths: Sequence[int], most: int
) -> list[tuple[int, int]]:
    """Units in a row as windows of at most `most` tokens; a longer unit is a window of its own.

    Args:
        units: Where they stand.
        lengths: The tokens of each.
        most: Most tokens of a window.
    """
    windows: list[tuple[int, int]] = []
    num_tokens = 0
    for (start, end), length in zip(units, lengths, strict=True):
        if windows and num_tokens + length <= most:
            windows[-1] = (windows[-1][0], end)
            num_tokens += length
        else:
            windows.append((start, end))
            num_tokens = length
    return windows


def pruned(
    passage: str, units: Sequence[tuple[int, int]], kept: Iterable[int], neighbors: int
) -> str:
    """What units leave of a text, in its order; those in a row with what stands between them.

    Args:
        passage: The text that the units stand in.
        units: Where they stand.
        kept: Which of them stay.
        neighbors: How many before and after each of those stay too.
    """
    stay = {
        beside
        for unit in kept
        for beside in range(max(0, unit - neighbors), min(len(units), unit + neighbors + 1))
    }
    runs: list[tuple[int, int]] = []
    for unit in sorted(stay):
        start, end = units[unit]
        if unit - 1 in stay:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return _LEFT_OUT.join(passage[start:end] for start, end in runs)


def highlighted(text: SpanText, spans: Iterable[tuple[int, int]], tags: Tags) -> str:
    """The text, without its title, with tags around spans that do not overlap."""
    written = html.escape if tags.escape_html else str
    parts, done = [], text.text_start
    for start, end in sorted(spans):
        parts += [written(text.passage[done:start]), tags.before]
        parts += [written(text.passage[start:end]), tags.after]
        done = end
    return "".join([*parts, written(text.passage[done:])])
