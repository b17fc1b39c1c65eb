"""Judged pairs: what was scored, and whether it is relevant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twopass.evaluation.datasets import Part
from twopass.evaluation.runs import Answers


class Unjudged(StrEnum):
    """What a hit counts as that nobody judged."""

    LEAVE_OUT = "leave-out"
    """Nothing: figures are of judged hits alone, which people see first, so they look better."""
    IRRELEVANT = "irrelevant"
    """Irrelevant: figures are lower bounds, since some of them are relevant."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPairs:
    """Pairs of a query and a passage that were scored and judged.

    Attributes:
        logits: What the reranker answered, float64 `[num_pairs]`.
        scores: What its calibration makes of them, float32 `[num_pairs]`.
        relevant: Whether the passage answers, bool `[num_pairs]`.
        query: The number of the pair's query, from 0, int64 `[num_pairs]`.
        in_held_out: Whether its query is of the half that nothing is chosen on, bool `[num_pairs]`.
        num_queries: Queries that were asked.
        num_unjudged: Scored pairs that nobody judged, whatever they count as.
    """

    logits: NDArray[np.float64]
    scores: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    query: NDArray[np.int64]
    in_held_out: NDArray[np.bool_]
    num_queries: int
    num_unjudged: int = 0

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.logits)

    def at(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "JudgedPairs":
        """Some of the pairs, by a mask or by positions."""
        return JudgedPairs(
            self.logits[chosen],
            self.scores[chosen],
            self.relevant[chosen],
            self.query[chosen],
            self.in_held_out[chosen],
            self.num_queries,
            self.num_unjudged,
        )

    @property
    def halves(self) -> tuple["JudgedPairs", "JudgedPairs"]:
        """The half to choose on, and the half to judge on; a query's pairs are in one of them."""
        return self.at(~self.in_held_out), self.at(self.in_held_out)

    @property
    def best_of_each_query(self) -> "JudgedPairs":
        """Of each query the pair with the greatest logit, which decides whether it is answered."""
        order = np.lexsort((-self.logits, self.query))
        is_first = np.ones(len(order), np.bool_)
        is_first[1:] = self.query[order][1:] != self.query[order][:-1]
        return self.at(order[is_first])


def pairs_of_answers(
    answers: Answers, qrels: Mapping[str, Mapping[str, int]], unjudged: Unjudged
) -> JudgedPairs:
    """The pairs that a server scored, as judges see them.

    Args:
        answers: Answers of searches with a second pass, by query id.
        qrels: For each query id, grades by document id; 0 and less mean judged irrelevant.
        unjudged: What hits count as that have no grade.
    """
    rows: list[tuple[float, float, bool, int, bool]] = []
    num_unjudged = 0
    for number, (query, answer) in enumerate(answers.items()):
        held_out = Part.HELD_OUT.has(query)
        grades = qrels.get(query, {})
        for hit in answer.hits:
            if hit.logit is None or hit.score is None:
                continue
            grade = grades.get(hit.id)
            num_unjudged += grade is None
            if grade is None and unjudged is Unjudged.LEAVE_OUT:
                continue
            relevant = grade is not None and grade > 0  # below 0 is junk, as TREC judges it
            rows.append((hit.logit, hit.score, relevant, number, held_out))
    return _pairs(rows, len(answers), num_unjudged)


def pairs_of_rows(
    rows: Sequence[tuple[str, float, float, bool]],
) -> JudgedPairs:
    """Pairs that were brought with their judgements: query text, logit, score and relevance."""
    numbers: dict[str, int] = {}
    for query, *_ in rows:
        numbers.setdefault(query, len(numbers))
    return _pairs(
        [
            (logit, score, relevant, numbers[query], Part.HELD_OUT.has(query))
            for query, logit, score, relevant in rows
        ],
        len(numbers),
        0,
    )


def _pairs(
    rows: Sequence[tuple[float, float, bool, int, bool]], num_queries: int, num_unjudged: int
) -> JudgedPairs:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    return JudgedPairs(
        np.array(columns[0], np.float64),
        np.array(columns[1], np.float32),
        np.array(columns[2], np.bool_),
        np.array(columns[3], np.int64),
        np.array(columns[4], np.bool_),
        num_queries,
        num_unjudged,
    )
