"""What it costs, and what it saves, that very frequent words of a query are not searched."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from twopass.benchmarks.size.texts import Question
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import ndcg
from twopass.index.lanes import Lane
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.damage import Damage
from twopass.index.schema import LexicalTokenizer
from twopass.index.words.lexical import MAX_POSTINGS, LexicalIndex

_K = 10
# Searched for every word, a question takes seconds among millions.
_MAX_QUESTIONS = 200
_EVERYTHING = 2**62


@dataclass(frozen=True, slots=True)
class FrequentWords:
    """Lexical searches of judged questions, with frequent words left out and without.

    Attributes:
        max_postings: Most matches that a query scores, by default.
        num_questions: That have judgements; none where the documents are made up.
        ndcg: nDCG@10 by default.
        ndcg_of_all: That of a search for every word.
        ms: Median of a search by default.
        ms_of_all: That of a search for every word.
    """

    max_postings: int
    num_questions: int
    ndcg: float
    ndcg_of_all: float
    ms: float
    ms_of_all: float


def measure_frequent_words(collection: Path, questions: Sequence[Question]) -> FrequentWords | None:
    """Searches a collection's file for judged questions, in this process; None without any.

    Args:
        collection: Its folder; nobody writes to it.
        questions: Answers are numbers of documents, whose keys are one more.
    """
    judged = [question for question in questions if question.answers][:_MAX_QUESTIONS]
    if not judged:
        return None
    file = collection / "documents.sqlite"
    lane = Lane("check", 1)
    damage = Damage(collection.name, file, lane)
    connections = ReadConnections(collection.name, file, damage)
    try:
        some, all_words = (
            _searched(LexicalIndex(connections, LexicalTokenizer.UNICODE, max_postings=n), judged)
            for n in (MAX_POSTINGS, _EVERYTHING)
        )
    finally:
        connections.close()
        damage.close()
        lane.close()
    return FrequentWords(MAX_POSTINGS, len(judged), some[0], all_words[0], some[1], all_words[1])


def _searched(index: LexicalIndex, questions: Sequence[Question]) -> tuple[float, float]:
    """nDCG@10, and median milliseconds."""
    orders: dict[str, list[str]] = {}
    took = []
    shown = track(questions, "searching words", console=Console(stderr=True))
    for number, question in enumerate(shown):
        began = time.perf_counter()
        keys = index.search(question.text, _K).keys
        took.append(1e3 * (time.perf_counter() - began))
        orders[str(number)] = [str(key - 1) for key in keys.tolist()]
    dataset = Dataset(
        name="questions",
        documents=(),
        queries={str(number): question.text for number, question in enumerate(questions)},
        qrels={
            str(number): {str(answer): grade for answer, grade in question.answers.items()}
            for number, question in enumerate(questions)
        },
    )
    return ndcg(dataset, orders), float(np.median(took))
