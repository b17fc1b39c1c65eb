"""How good lexical searches of a large collection are, by questions whose answers are known."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from twopass.benchmarks.size.texts import Question
from twopass.client import Client, Fields, Retrieve
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import ndcg

_K = 10
_MAX_QUESTIONS = 200


@dataclass(frozen=True, slots=True)
class JudgedWords:
    """Lexical searches of judged questions, through gRPC, one at a time.

    Attributes:
        num_questions: How many.
        ndcg: nDCG@10.
        p50_ms: Median time from call to answer, in milliseconds.
    """

    num_questions: int
    ndcg: float
    p50_ms: float


def measure_judged_words(
    client: Client, collection: str, questions: Sequence[Question]
) -> JudgedWords | None:
    """Searches a collection for the first judged questions; None without any.

    Args:
        client: Of the server.
        collection: The collection.
        questions: Answers are numbers of documents, whose ids are "d" and the number.
    """
    judged = [question for question in questions if question.answers][:_MAX_QUESTIONS]
    if not judged:
        return None
    orders: dict[str, list[str]] = {}
    took = []
    shown = track(judged, "searching judged questions", console=Console(stderr=True))
    for number, question in enumerate(shown):
        began = time.perf_counter()
        found = client.search(
            collection,
            question.text,
            top_n=_K,
            retrieve=Retrieve("lexical", k=_K),
            rerank=False,
            fields=Fields(text=False, metadata=False),
        )
        took.append(1e3 * (time.perf_counter() - began))
        orders[str(number)] = [hit.id for hit in found.hits]
    dataset = Dataset(
        name="questions",
        documents=(),
        queries={str(number): question.text for number, question in enumerate(judged)},
        qrels={
            str(number): {f"d{answer}": grade for answer, grade in question.answers.items()}
            for number, question in enumerate(judged)
        },
    )
    return JudgedWords(len(judged), ndcg(dataset, orders), float(np.median(took)))
