"""Candidates as measurements need them: their ranks, the first pass's score, the logit."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass.client import SearchHit, SearchResult
from twopass.engines.base.sequences import Int32s
from twopass.index.fusion import reading_order
from twopass.server.search.second_pass import best_first

CandidateSets: TypeAlias = Mapping[str, Sequence["Candidate"]]
"""Candidates in first-pass order, by query id."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One document of a candidate set.

    Attributes:
        id: The document's id.
        dense_rank: Its rank by meaning, from 1; None where that list lacks it.
        lexical_rank: Its rank by words, from 1; None where that list lacks it.
        score: The score that decided its place before the second pass.
        logit: The reranker's logit; None where the reranker did not read it.
    """

    id: str
    dense_rank: int | None
    lexical_rank: int | None
    score: float
    logit: float | None


def candidates(result: SearchResult) -> list[Candidate]:
    """The candidates of an answer that returns all of them, in first-pass order."""
    return [
        Candidate(hit.id, hit.dense_rank, hit.lexical_rank, _score(hit), hit.logit)
        for hit in sorted(result.hits, key=lambda hit: hit.first_pass_rank)
    ]


def reranked_order(found: Sequence[Candidate], depth: int, blend: float) -> list[str]:
    """Document ids in the order that a second pass of that depth and blend gives.

    Args:
        found: Candidates in first-pass order, with their logits.
        depth: How many candidates the reranker reads.
        blend: Weight of the first pass.
    """
    positions = np.sort(_reading_order(found)[:depth])
    read = [found[position] for position in positions]
    logits = np.array([candidate.logit for candidate in read], np.float32)
    scores = np.array([candidate.score for candidate in read], np.float32)
    order = best_first(logits, scores, blend, 0)
    unread = np.setdiff1d(np.arange(len(found)), positions)
    return [read[place].id for place in order] + [found[place].id for place in unread]


def read_candidates(file: Path) -> dict[str, list[Candidate]]:
    """Reads the candidate sets that `write_candidates` wrote; none where the file is missing."""
    if not file.is_file():
        return {}
    sets: dict[str, list[Candidate]] = {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            sets[row["query"]] = [Candidate(*values) for values in row["candidates"]]
    return sets


def write_candidates(file: Path, sets: CandidateSets) -> None:
    """Writes candidate sets, one line each; an existing file is replaced at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as lines:
        for query, found in sets.items():
            row = {"query": query, "candidates": [astuple(candidate) for candidate in found]}
            lines.write(json.dumps(row) + "\n")
    partial.rename(file)


def _score(hit: SearchHit) -> float:
    scores = (hit.fused_score, hit.dense_score, hit.lexical_score)
    return next(score for score in scores if score is not None)


def _reading_order(found: Sequence[Candidate]) -> Int32s:
    """The order in which the second pass reads candidates, in first-pass order."""

    def ranks(given: Iterable[int | None]) -> NDArray[np.float64]:
        return np.array([np.inf if rank is None else rank for rank in given], np.float64)

    return reading_order(
        np.arange(1, len(found) + 1, dtype=np.float64),
        ranks(candidate.dense_rank for candidate in found),
        ranks(candidate.lexical_rank for candidate in found),
    )
