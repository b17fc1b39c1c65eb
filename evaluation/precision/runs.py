"""Both passes over a test collection in one precision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from twopass._core import top_k
from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.precision.models import Advance, Models
from twopass.server.models.passages import passage_of

Candidates: TypeAlias = Mapping[str, Int32s]
"""Positions of documents in the corpus, best first, by query id."""

Logits: TypeAlias = Mapping[str, Float32s]
"""A logit for each candidate, by query id."""


@dataclass(frozen=True, slots=True)
class Run:
    """Results of one precision on a collection.

    Attributes:
        found: Candidates that its own first pass found.
        logits: Logits of the candidates it was given to read, in their order.
    """

    found: Candidates
    logits: Logits


def find(models: Models, dataset: Dataset, depth: int, advance: Advance) -> Candidates:
    """Runs an exact dense first pass: the `depth` documents nearest to each query."""
    passages = models.embed_passages(texts_of(dataset), advance)
    queries = models.embed_queries(list(dataset.queries.values()), advance)
    return {
        query: top_k(np.ascontiguousarray(passages @ vector), depth)
        for query, vector in zip(dataset.queries, queries, strict=True)
    }


def read(models: Models, dataset: Dataset, candidates: Candidates, advance: Advance) -> Logits:
    """Runs the second pass: a logit for each query with each of its candidates."""
    passages = models.tokenize(texts_of(dataset))
    logits = {}
    for query, numbers in candidates.items():
        rows = Ragged.from_rows([passages[number] for number in numbers])
        logits[query] = models.score(dataset.queries[query], rows)
        advance(len(numbers))
    return logits


def texts_of(dataset: Dataset) -> Sequence[str]:
    """The passages of a collection, as the models read them."""
    return [passage_of(document.title, document.text) for document in dataset.documents]
