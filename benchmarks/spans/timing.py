"""What spans add to a search: time of the caller, and of the server's processors."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from twopass.benchmarks.spans.questions import Questions
from twopass.client import Client, SearchResult, Spans
from twopass.server.local import LocalServer

TOP_N = 5
_COLLECTION = "questions"
_WARM_UP = 5
# Each question is asked twice: its pairs must not be known the second time, nor its embedding.
_FLAGS = ("--score-cache-bytes", "0", "--query-cache-bytes", "0")
# Searches of one kind in a row: the clock of processors ticks a hundred times a second.
_ROUND = 10


@dataclass(frozen=True, slots=True)
class Timing:
    """Searches with and without spans, in turns.

    Attributes:
        num_searches: How many of each.
        plain_ms: Median time of a search without spans.
        added_ms: Median of what spans added, each question against itself; its quartiles.
        stage_ms: Median of the stage as the server tells it.
        plain_cpu_ms: Mean time of the server's processors for a search without spans.
        added_cpu_ms: Mean of what spans added to that.
        num_sentences: Mean number of sentences that were scored.
    """

    num_searches: int
    plain_ms: float
    added_ms: tuple[float, float, float]
    stage_ms: float
    plain_cpu_ms: float
    added_cpu_ms: float
    num_sentences: float


def timing(
    questions: Questions, num_searches: int, flags: Sequence[str], on_done: Callable[[], object]
) -> Timing:
    """Indexes the collection in a server of its own, and asks its questions with and without spans.

    Args:
        questions: The test collection.
        num_searches: How many questions to ask.
        flags: Further flags of the server.
        on_done: Called after each question.
    """
    texts = [question.text for question in questions.asked][:num_searches]
    with (
        LocalServer(None, flags=(*_FLAGS, *flags)) as server,
        Client(server.target, timeout=600) as client,
    ):
        client.create_collection(_COLLECTION)
        client.upsert(_COLLECTION, questions.dataset.documents)
        kinds: tuple[Spans | bool, ...] = (False, Spans(hits=TOP_N, pruned_text=True))
        counted = Spans(hits=TOP_N, min_score=0, max_spans=64)

        def ask(text: str, spans: Spans | bool) -> SearchResult:
            return client.search(_COLLECTION, text, top_n=TOP_N, spans=spans)

        for text in texts[:_WARM_UP] * 2:
            ask(text, False)
        num_sentences = [
            sum(len(hit.spans) for hit in ask(text, counted).hits) for text in texts[:_ROUND]
        ]
        seconds: dict[bool, list[float]] = {True: [], False: []}
        processor = {True: 0.0, False: 0.0}
        stages: list[float] = []
        for first in range(0, len(texts), _ROUND):
            # Which kind comes first takes turns: what comes second finds caches filled.
            order = kinds if first // _ROUND % 2 == 0 else kinds[::-1]
            for spans in order:
                began = _processor_seconds(server.pid)
                for text in texts[first : first + _ROUND]:
                    start = time.perf_counter()
                    result = ask(text, spans)
                    seconds[bool(spans)].append(time.perf_counter() - start)
                    if result.timings.spans_ms is not None:
                        stages.append(result.timings.spans_ms)
                processor[bool(spans)] += _processor_seconds(server.pid) - began
            for _ in texts[first : first + _ROUND]:
                on_done()
    added = [(a - b) * 1e3 for a, b in zip(seconds[True], seconds[False], strict=True)]
    low, middle, high = quantiles(added, n=4)
    count = len(texts)
    return Timing(
        num_searches=count,
        plain_ms=median(seconds[False]) * 1e3,
        added_ms=(low, middle, high),
        stage_ms=median(stages),
        plain_cpu_ms=processor[False] / count * 1e3,
        added_cpu_ms=(processor[True] - processor[False]) / count * 1e3,
        num_sentences=sum(num_sentences) / len(num_sentences),
    )


def _processor_seconds(pid: int) -> float:
    """Time of processors that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
