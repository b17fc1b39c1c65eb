"""The parts of documents with their logits: sentences by the server's own code, and windows."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from twopass.benchmarks.spans.questions import Question
from twopass.engines.base.model import LoadedReranker, PairQuery
from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.server.models.passages import Truncation, passage_of
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.second_pass import Policy, SecondPass
from twopass.server.search.spans.scoring import SpanQuery, SpanScoring
from twopass.server.search.spans.settings import MAX_UNITS, SpanSettings
from twopass.server.search.spans.units import SpanText

WINDOWS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Lengths of windows that are tried, in tokens."""

_EVERYTHING = SpanSettings(hits=1, max_spans=MAX_UNITS, min_score=0.0)
_MOST_TOKENS = 1 << 20
# Questions under way at once, so that batches are full.
_AT_ONCE = 32


@dataclass(frozen=True, slots=True, eq=False)
class ScoredText:
    """The text of a question's document.

    Attributes:
        question: The question.
        places: Where each token of the text stands in it, int32 `[num_tokens, 2]`.
        sentences: Where its sentences stand, in the text's order.
        logits: Of the sentences, float32 `[num_sentences]`.
        windows: By length in tokens, the first token of the best window of that length.
    """

    question: Question
    places: Int32s
    sentences: list[tuple[int, int]]
    logits: Float32s
    windows: dict[int, int]

    @property
    def text(self) -> str:
        """The document's text, without its title."""
        return self.question.document.text

    @property
    def num_tokens(self) -> int:
        """Tokens of the text."""
        return len(self.places)

    def tokens_within(self, start: int, end: int) -> int:
        """How many tokens begin within characters of the text."""
        begins = self.places[:, 0]
        return int(np.searchsorted(begins, end) - np.searchsorted(begins, start))

    def tokens(self, first: int, count: int) -> str:
        """So many tokens of the text in a row, as text."""
        inside = self.places[first : first + count]
        return self.text[int(inside[0, 0]) : int(inside[-1, 1])] if len(inside) else ""


class Scorer:
    """Scores the parts of documents with one reranker."""

    def __init__(self, reranker: LoadedReranker) -> None:
        self._reranker = reranker
        self._tokenizing = Tokenizing(1)
        arbiter = Arbiter(max_queued_pairs=1 << 20)
        self._second_pass = SecondPass(arbiter)
        self._spans = SpanScoring(arbiter, self._tokenizing, self._second_pass)

    def scored(
        self, questions: Sequence[Question], on_done: Callable[[], object]
    ) -> list[ScoredText]:
        """Scores sentences and windows of each question's document.

        Args:
            questions: The questions.
            on_done: Called after each.
        """

        async def each() -> list[ScoredText]:
            turn = asyncio.Semaphore(_AT_ONCE)

            async def one(question: Question) -> ScoredText:
                async with turn:
                    found = await self._scored(question)
                on_done()
                return found

            return await asyncio.gather(*map(one, questions))

        return asyncio.run(each())

    def close(self) -> None:
        """Ends its threads."""
        self._tokenizing.close()

    async def _scored(self, question: Question) -> ScoredText:
        document = question.document
        query = await self._tokenizing.pair_query(self._reranker, question.text)
        text = SpanText.of(document.title, passage_of(document.title, document.text))
        asked = SpanQuery(_EVERYTHING, self._reranker, query)
        found = await self._spans.find(asked, [text], Request())
        shift = text.text_start
        spans = sorted(found.of(0).spans, key=lambda span: span.start)
        places = self._reranker.tokenizer.places(document.text)
        logits = np.array([span.logit for span in spans], np.float32)
        sentences = [(span.start - shift, span.end - shift) for span in spans]
        scored = ScoredText(question, places, sentences, logits, {})
        best_first = np.argsort(-logits, kind="stable")
        lengths = {min(length, scored.num_tokens) for length in WINDOWS}
        lengths |= {chosen_tokens(scored, best_first[:count].tolist()) for count in (1, 3)}
        scored.windows.update(await self._best_windows(scored, query, text.title, lengths))
        return scored

    async def _best_windows(
        self, scored: ScoredText, query: PairQuery, title: str, lengths: set[int]
    ) -> dict[int, int]:
        """The first token of the best window of each length; windows overlap by a half."""
        windows = [
            (length, first)
            for length in sorted(lengths)
            for first in _firsts(scored.num_tokens, length)
        ]
        texts = [f"{title} {scored.tokens(first, length)}".strip() for length, first in windows]
        rows: Ragged = await self._tokenizing.passage_ids(
            self._reranker, texts, Truncation.TRUNCATE
        )
        logits = (await self._second_pass.score(self._reranker, query, rows, Policy())).logits
        best: dict[int, tuple[float, int]] = {}
        for (length, first), logit in zip(windows, logits.tolist(), strict=True):
            if length not in best or logit > best[length][0]:
                best[length] = (logit, first)
        return {length: first for length, (_, first) in best.items()}


def chosen_tokens(scored: ScoredText, sentences: Sequence[int]) -> int:
    """Tokens of some sentences."""
    return sum(scored.tokens_within(*scored.sentences[i]) for i in sentences)


def _firsts(num_tokens: int, length: int) -> list[int]:
    last = max(0, num_tokens - length)
    return [*range(0, last, max(1, length // 2)), last]
