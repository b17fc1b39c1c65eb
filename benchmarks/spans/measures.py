"""How many answers parts of a document hold, and how much of it they are."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from twopass.benchmarks.spans.scored import WINDOWS, ScoredText, chosen_tokens
from twopass.engines.model.calibration import Calibration

Parts: TypeAlias = tuple[list[str], int]
"""Parts of a text, and how many of its tokens they have."""

Way: TypeAlias = Callable[[ScoredText], Parts]
Setting = TypeVar("Setting", int, float)

WANTED = 0.95
"""The share of answers that pruning is to keep."""

# Steps of log odds below the best sentence, from only the best to nearly everything.
_MARGINS = tuple(np.arange(0.0, 12.0, 0.05).tolist())
DEFAULT_MARGIN = math.log(8)
"""How far below the best sentence a server's pruned text goes, in log odds."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What one way of choosing parts gives.

    Attributes:
        name: The way.
        answers: Share of the questions whose answer is in the parts.
        tokens: Share of all tokens that are in the parts.
        setting: What was chosen for it on the other half, in words; "" for nothing.
    """

    name: str
    answers: float
    tokens: float
    setting: str = ""


def measures(texts: Sequence[ScoredText], calibration: Calibration) -> list[Measure]:
    """Every way side by side, each by its answers and its tokens.

    Ways that keep 95 % of the answers are chosen on one half of the questions, and told of the
    other; all others of all questions.

    Args:
        texts: Scored documents.
        calibration: The reranker's.
    """
    fixed: dict[str, Way] = {
        "best sentence": lambda text: _sentences(text, _best(text, 1)),
        "as many first tokens": lambda text: _first(text, _size(text, 1)),
        "best window of as many tokens": lambda text: _window(text, _size(text, 1)),
        "three best sentences": lambda text: _sentences(text, _best(text, 3)),
        "as many first tokens (3)": lambda text: _first(text, _size(text, 3)),
        "best window of as many tokens (3)": lambda text: _window(text, _size(text, 3)),
        "first 64 tokens": lambda text: _first(text, 64),
        "best window of 64 tokens": lambda text: _window(text, 64),
        "pruned text, by default": lambda text: _sentences(
            text, _within(text, DEFAULT_MARGIN, calibration)
        ),
    }
    found = [_measure(name, way, texts) for name, way in fixed.items()]
    longest = max(text.num_tokens for text in texts)
    found += [
        _chosen(
            "pruned text, 95 %",
            "log odds {:.2f}",
            lambda text, margin: _sentences(text, _within(text, margin, calibration)),
            _MARGINS,
            texts,
        ),
        _chosen("first tokens, 95 %", "{} tokens", _first, range(1, longest + 1), texts),
        _chosen("best windows, 95 %", "{} tokens", _window, WINDOWS, texts),
    ]
    return found


def _measure(name: str, way: Way, texts: Sequence[ScoredText], setting: str = "") -> Measure:
    num_answered = num_kept = 0
    for text in texts:
        parts, num_tokens = way(text)
        num_answered += text.question.is_answered_by(parts)
        num_kept += num_tokens
    num_tokens = sum(text.num_tokens for text in texts)
    return Measure(name, num_answered / len(texts), num_kept / num_tokens, setting)


def _chosen(
    name: str,
    setting: str,
    way: Callable[[ScoredText, Setting], Parts],
    settings: Sequence[Setting],
    texts: Sequence[ScoredText],
) -> Measure:
    """The smallest setting that keeps enough answers of one half, measured on the other."""
    halves = [[t for t in texts if t.question.is_development is half] for half in (True, False)]
    development, held_out = [half or list(texts) for half in halves]

    def kept(value: Setting) -> float:
        return _measure(name, lambda text: way(text, value), development).answers

    low, high = 0, len(settings) - 1  # more is kept the larger the setting is
    while low < high:
        middle = (low + high) // 2
        if kept(settings[middle]) >= WANTED:
            high = middle
        else:
            low = middle + 1
    value = settings[low]
    return _measure(name, lambda text: way(text, value), held_out, setting.format(value))


def _best(text: ScoredText, count: int) -> list[int]:
    return [int(place) for place in np.argsort(-text.logits, kind="stable")[:count]]


def _within(text: ScoredText, margin: float, calibration: Calibration) -> list[int]:
    """Sentences whose odds are not far below the best one's, as a server keeps them."""
    if not len(text.logits):
        return []
    below = (text.logits.max() - text.logits) * calibration.a
    return [int(place) for place in np.flatnonzero(below <= margin)]


def _size(text: ScoredText, count: int) -> int:
    return chosen_tokens(text, _best(text, count))


def _sentences(text: ScoredText, chosen: Sequence[int]) -> Parts:
    """Sentences, those in a row as one part."""
    runs: list[tuple[int, int]] = []
    last = -2
    for i in sorted(chosen):
        start, end = text.sentences[i]
        if i == last + 1:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
        last = i
    return [text.text[start:end] for start, end in runs], chosen_tokens(text, chosen)


def _first(text: ScoredText, count: int) -> Parts:
    return [text.tokens(0, count)], min(count, text.num_tokens)


def _window(text: ScoredText, count: int) -> Parts:
    length = min(count, text.num_tokens)
    return [text.tokens(text.windows[length], length)], length
