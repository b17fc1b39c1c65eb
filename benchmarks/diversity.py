"""What collapsing and diversity do to the first ten: duplicates shown, and what relevance it costs.

Each test collection is searched as it is, and once more with near duplicates planted: copies of
every third document, each without some of its words. `python -m twopass.benchmarks.diversity
FOLDER…` takes folders in BEIR's form.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from twopass.client import Client, Collapse, Diversity, Document
from twopass.evaluation.datasets import Dataset, load_dataset
from twopass.server.local import LocalServer

_COPIES = 3
_DROPPED_WORDS = 0.08
_TOP = 10
_ALPHA = 0.5
_COPY = "#copy-"
_WAYS: Mapping[str, dict[str, object]] = {
    "by relevance alone": {},
    "collapse 0.95": {"collapse": Collapse(similarity=0.95)},
    "collapse 0.90": {"collapse": Collapse(similarity=0.90)},
    "diversity 0.9": {"diversity": Diversity(relevance_weight=0.9)},
    "diversity 0.7": {"diversity": Diversity(relevance_weight=0.7)},
    "diversity 0.5": {"diversity": Diversity(relevance_weight=0.5)},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way of ordering, on one collection.

    Attributes:
        dataset: The collection.
        way: The way.
        ndcg: nDCG@10 on the collection as it is.
        duplicates: Share of the first ten, with duplicates planted, that copy one shown before.
        alpha_ndcg: alpha-nDCG@10 there (Clarke et al. 2008), alpha 0.5: of each document and its
            copies, the second is worth half of the first.
        milliseconds: What comparing took, median.
    """

    dataset: str
    way: str
    ndcg: float
    duplicates: float
    alpha_ndcg: float
    milliseconds: float


def _some(dataset: Dataset, num_documents: int) -> tuple[Document, ...]:
    """The documents that are judged for the queries, and others up to a number."""
    judged = {each for grades in dataset.qrels.values() for each in grades}
    first = [document for document in dataset.documents if document.id in judged]
    others = [document for document in dataset.documents if document.id not in judged]
    return tuple((first + others)[:num_documents])


def _copies(documents: Sequence[Document]) -> list[Document]:
    chance = random.Random(0)  # noqa: S311  # the same copies every time
    made = []
    for document in documents[::3]:
        for number in range(_COPIES):
            words = document.text.split()
            kept = [word for word in words if chance.random() >= _DROPPED_WORDS] or words
            made.append(Document(f"{document.id}{_COPY}{number}", " ".join(kept), document.title))
    return made


def _source(document_id: str) -> str:
    return document_id.partition(_COPY)[0]


def _dcg(gains: Sequence[float]) -> float:
    return float(sum(gain / np.log2(rank + 2) for rank, gain in enumerate(gains[:_TOP])))


def _ndcg(ids: Sequence[str], grades: Mapping[str, int]) -> float:
    ideal = _dcg(sorted((float(grade) for grade in grades.values()), reverse=True))
    return _dcg([float(grades.get(each, 0)) for each in ids]) / ideal if ideal else 0.0


def _alpha_ndcg(ids: Sequence[str], grades: Mapping[str, int], copied: frozenset[str]) -> float:
    seen: Counter[str] = Counter()
    gains = []
    for each in ids:
        source = _source(each)
        gains.append((1 - _ALPHA) ** seen[source] * (grades.get(source, 0) > 0))
        seen[source] += 1
    possible = [
        (1 - _ALPHA) ** number
        for each, grade in grades.items()
        if grade > 0
        for number in range(1 + _COPIES * (each in copied))
    ]
    ideal = _dcg(sorted(possible, reverse=True))
    return _dcg(gains) / ideal if ideal else 0.0


def _measure(client: Client, dataset: Dataset, documents: Sequence[Document]) -> list[Row]:
    copies = _copies(documents)
    copied = frozenset(document.id for document in documents[::3])
    for name, content in (("as-is", documents), ("planted", [*documents, *copies])):
        client.create_collection(name)
        client.upsert(name, content)
    rows = []
    for way, options in _WAYS.items():
        ndcg, duplicates, alpha, took = [], [], [], []
        for query_id, query in dataset.queries.items():
            grades = dataset.qrels[query_id]
            plain = client.search("as-is", query, top_n=_TOP, **options)  # type: ignore[arg-type]
            ndcg.append(_ndcg([hit.id for hit in plain.hits], grades))
            found = client.search("planted", query, top_n=_TOP, **options)  # type: ignore[arg-type]
            ids = [hit.id for hit in found.hits]
            duplicates.append(1 - len({_source(each) for each in ids}) / max(1, len(ids)))
            alpha.append(_alpha_ndcg(ids, grades, copied))
            took.append(found.timings.arrange_ms or 0.0)
        rows.append(
            Row(
                dataset.name,
                way,
                float(np.mean(ndcg)),
                float(np.mean(duplicates)),
                float(np.mean(alpha)),
                float(np.median(took)),
            )
        )
    for name in ("as-is", "planted"):
        client.delete_collection(name)
    return rows


def main(
    folders: Annotated[list[Path], typer.Argument(help="Test collections in BEIR's form.")],
    documents: Annotated[int, typer.Option(help="Most documents of each.", min=10)] = 600,
    queries: Annotated[int, typer.Option(help="Most queries of each.", min=1)] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what collapsing and diversity do to the first ten hits."""
    rows: list[Row] = []
    with LocalServer(None) as server, Client(server.target, timeout=600) as client:
        for folder in folders:
            dataset = load_dataset(folder, queries)
            rows += _measure(client, dataset, _some(dataset, documents))
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print("collection         way                 nDCG@10  duplicates  alpha-nDCG@10  ms")
    for row in rows:
        print(
            f"{row.dataset:<18} {row.way:<18} {row.ndcg:>8.3f} {row.duplicates:>11.1%} "
            f"{row.alpha_ndcg:>14.3f} {row.milliseconds:>4.1f}"
        )


if __name__ == "__main__":
    typer.run(main)
