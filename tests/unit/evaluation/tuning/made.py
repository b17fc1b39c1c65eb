"""Queries as they would have been read of a server, drawn at random."""

import numpy as np

from twopass.evaluation.fusions import Lists
from twopass.evaluation.tuning.arithmetic import GridQuery
from twopass.evaluation.tuning.settings import Grid, Reader
from twopass.index.fusion import ConvexFusion, ReciprocalRankFusion
from twopass.index.ranked_list import RankedList

READERS = (Reader("small"), Reader("large"))


def grid(**changed) -> Grid:
    given = {
        "ks": (3, 7, 12),
        "depths": (2, 7, 12),
        "fusions": (ReciprocalRankFusion(60), ConvexFusion(0.5), ConvexFusion(0.9)),
        "readers": READERS,
    }
    return Grid(**given | changed)


def ranked(keys, scores) -> RankedList:
    order = np.argsort(-np.asarray(scores), kind="stable")
    keys = np.asarray(keys, np.int64)[order]
    return RankedList(keys, np.asarray(scores, np.float32)[order])


def query(name: str, seed: int, *, k: int = 12, num_documents: int = 30) -> GridQuery:
    """A query whose lists overlap in part, with some equal scores among them."""
    rng = np.random.default_rng(seed)
    similarities = rng.uniform(-0.2, 0.9, num_documents).round(2)
    dense = ranked(np.arange(num_documents), similarities)
    dense = RankedList(dense.keys[:k], dense.scores[:k])
    with_words = rng.choice(num_documents, rng.integers(0, num_documents), replace=False)
    lexical = ranked(with_words, rng.gamma(2.0, 3.0, len(with_words)).round(1))
    lexical = RankedList(lexical.keys[:k], lexical.scores[:k])
    missing = np.setdiff1d(lexical.keys, dense.keys)
    beyond = ranked(missing, similarities[missing])
    ids = tuple(f"d{number}" for number in range(num_documents))
    logits = {
        reader: rng.normal(0, 3, num_documents).round(1).astype(np.float32) for reader in READERS
    }
    judged = rng.choice(num_documents, 5, replace=False)
    grades = {f"d{number}": int(rng.integers(0, 3)) for number in judged} | {"elsewhere": 1}
    return GridQuery(name, ids, Lists(dense, lexical, beyond), logits, grades)
