"""Reads what `twopass eval --json` printed, and compares two ways of searching."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twopass.evaluation.measures import Evaluation, Quality, mean_quality

LOGITS_ALONE = "logits"
"""Takes the place of a depth in names of ways that order by logits, without the first pass."""


class ComparisonError(Exception):
    """The files lack the measurements to compare; the message says which."""


@dataclass(frozen=True, slots=True)
class Difference:
    """nDCG@10 of two ways on the same queries.

    Attributes:
        dataset: The test collection, or "mean" for the mean of all.
        num_queries: Number of queries.
        before: nDCG@10 of the first way.
        after: nDCG@10 of the second way.
        p_value: Probability that chance alone makes them differ so much (paired randomisation
            test).
    """

    dataset: str
    num_queries: int
    before: float
    after: float
    p_value: float

    @classmethod
    def between(cls, dataset: str, before: Quality, after: Quality) -> "Difference":
        """Compares two qualities of the same queries."""
        return cls(dataset, len(before.ndcg_of), before.ndcg, after.ndcg, after.p_value(before))


def read_evaluations(file: Path) -> list[Evaluation]:
    """Reads what `twopass eval --json` printed.

    Raises:
        ComparisonError: The file can't be read, or is not in the form that `twopass eval` prints.
    """
    try:
        return [_evaluation(found) for found in json.loads(file.read_text(encoding="utf-8"))]
    except OSError as error:
        raise ComparisonError(f"{file}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ComparisonError(f"{file}: not what `twopass eval --json` prints") from error


def qualities(evaluations: Sequence[Evaluation], way: str) -> dict[str, Quality]:
    """The quality of one way of searching on each test collection.

    Args:
        evaluations: Evaluations of all ways.
        way: "hybrid" for that first pass alone, "hybrid@50" for both passes at that depth,
            "hybrid@logits" for the reranker's own order; "dense" and "lexical" in the same form.

    Raises:
        ComparisonError: That way was not measured; names the ways that were.
    """
    found: dict[str, dict[str, Quality]] = {}
    for one in evaluations:
        for name, quality in ways_of(one).items():
            found.setdefault(name, {})[one.dataset] = quality
    if way not in found:
        raise ComparisonError(f"{way}: not measured; there are {', '.join(found) or 'none'}")
    return found[way]


def differences(before: Mapping[str, Quality], after: Mapping[str, Quality]) -> list[Difference]:
    """How two ways differ on each test collection and, last, on the mean of several.

    Raises:
        ComparisonError: The two ways were not measured on the same queries.
    """
    for dataset in sorted(before.keys() | after.keys()):
        pair = (before.get(dataset), after.get(dataset))
        if None in pair:
            raise ComparisonError(f"{dataset}: measured on one side alone")
        if len({frozenset(quality.ndcg_of) for quality in pair if quality}) > 1:
            raise ComparisonError(f"{dataset}: measured on other queries on either side")
    rows = [Difference.between(dataset, before[dataset], after[dataset]) for dataset in before]
    if len(rows) > 1:
        rows.append(Difference.between("mean", mean_quality(before), mean_quality(after)))
    return rows


def ways_of(one: Evaluation) -> dict[str, Quality]:
    """The quality of each way of searching, by the name that `qualities` takes."""
    depths = {f"{one.mode}@{depth}": quality for depth, quality in one.reranked.items()}
    alone = {} if one.reranker is None else {f"{one.mode}@{LOGITS_ALONE}": one.reranker}
    return {one.mode: one.first_pass, **depths, **alone}


def _evaluation(found: dict[str, Any]) -> Evaluation:
    reranker = found["reranker"]
    return Evaluation(
        **found
        | {
            "first_pass": Quality(**found["first_pass"]),
            "reranked": {int(depth): Quality(**q) for depth, q in found["reranked"].items()},
            "reranker": None if reranker is None else Quality(**reranker),
        }
    )
