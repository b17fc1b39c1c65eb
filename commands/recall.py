"""`twopass recall`: how many of the nearest vectors an approximate index finds, and how fast."""

import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from twopass.client import Client, Collection, Fields, Retrieve
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.progress import track
from twopass.commands.terminal.tables import Table, figures, names, print_table
from twopass.index.errors import InvalidSchemaError
from twopass.index.kinds import IndexKind

_EF_SEARCH = (16, 32, 64, 128, 256, 512, 1024)
_SEED = 7
# The index sums in another order than this command, and may hold half-precision codes: a document
# whose score is this close to the k-th nearest one's counts as found.
_TIE = 1e-3
_ROWS_PER_PRODUCT = 65_536


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall and latency of one setting.

    Attributes:
        setting: The setting, such as "ef_search=64".
        recall: Share of the k truly nearest documents that were found, mean over the queries.
        median_ms: Median time of the first pass on the server, in milliseconds.
        p99_ms: 99th percentile of that time, in milliseconds.
    """

    setting: str
    recall: float
    median_ms: float
    p99_ms: float


def recall(
    collection: CollectionName,
    k: Annotated[
        int, typer.Option("-k", min=1, max=1000, help="Nearest documents to look for.")
    ] = 10,
    num_queries: Annotated[
        int, typer.Option("--queries", min=1, help="Documents drawn at random as queries.")
    ] = 200,
    ef_search: Annotated[
        list[int] | None, typer.Option(help="Values of HNSW's ef to try; unset: 16 to 1024.")
    ] = None,
    nprobe: Annotated[
        list[int] | None, typer.Option(help="Values of IVF's nprobe to try; unset: 1 to all lists.")
    ] = None,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Measure a collection's first pass against an exact search.

    Queries are documents of the collection; a query's own document does not count. Reads all
    vectors once, 4 bytes for each component.
    """
    with connected(target) as client:
        described = client.get_collection(collection)
        if described.num_split:
            exit_with(
                f"{collection}: {described.num_split:,} of its documents are split, and have no "
                "vector of their own"
            )
        if described.num_documents <= k:
            exit_with(f"{collection}: {described.num_documents:,} documents, over {k:,} are needed")
        settings = _settings(described, ef_search or (), nprobe or ())
        documents = _Documents.read(client, described)
        rows = documents.draw(num_queries)
        scores = documents.scores(rows)
        results = [_measure(client, collection, s, documents, rows, scores, k) for s in settings]
    if as_json:
        print_json([dataclasses.asdict(result) for result in results])
    else:
        print_table(_table(described, results, k))


class _Documents:
    """All vectors of a collection, as its index holds them."""

    def __init__(self, ids: list[str], vectors: NDArray[np.float32]) -> None:
        self.row_of = {name: row for row, name in enumerate(ids)}
        self.vectors = vectors

    @classmethod
    def read(cls, client: Client, described: Collection) -> "_Documents":
        vectors = np.empty((described.num_documents, described.schema.dimension), np.float32)
        ids = []
        documents = client.documents(
            described.name,
            page_size=500,
            fields=Fields(text=False, metadata=False, vector=True),
        )
        shown = track(documents, "reading vectors", described.num_documents)
        for row, document in zip(range(len(vectors)), shown, strict=False):
            ids.append(document.id)
            vectors[row] = document.vector
        return cls(ids, vectors[: len(ids)])

    def draw(self, count: int) -> NDArray[np.int64]:
        """Rows of randomly drawn documents, ascending."""
        drawn = np.random.default_rng(_SEED)
        size = min(count, len(self.vectors))
        return np.sort(drawn.choice(len(self.vectors), size, replace=False))

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores of the rows against all documents, `[num_rows, num_documents]`.

        A row's score against itself is minus infinity.
        """
        scores = np.empty((len(rows), len(self.vectors)), np.float32)
        for start in range(0, len(self.vectors), _ROWS_PER_PRODUCT):
            block = slice(start, start + _ROWS_PER_PRODUCT)
            scores[:, block] = self.vectors[rows] @ self.vectors[block].T
        scores[np.arange(len(rows)), rows] = -np.inf
        return scores


def _settings(described: Collection, efs: Iterable[int], nprobes: Iterable[int]) -> list[Retrieve]:
    try:
        kind = IndexKind.parse(described.schema.index_kind)
    except InvalidSchemaError:  # a kind of another store, of which only what was asked for is tried
        searched = [Retrieve("dense", ef_search=ef) for ef in efs]
        searched += [Retrieve("dense", nprobe=n) for n in nprobes]
        return searched or [Retrieve("dense")]
    if kind.num_links:
        return [Retrieve("dense", ef_search=ef) for ef in efs or _EF_SEARCH]
    if kind.num_lists:
        powers = [2**n for n in range(kind.num_lists.bit_length()) if 2**n < kind.num_lists]
        return [Retrieve("dense", nprobe=n) for n in nprobes or (*powers, kind.num_lists)]
    return [Retrieve("dense")]


def _measure(
    client: Client,
    collection: str,
    setting: Retrieve,
    documents: _Documents,
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    k: int,
) -> Recall:
    found = 0
    took = []
    for row, of_row in zip(rows.tolist(), scores, strict=True):
        began = time.perf_counter()
        result = client.search(
            collection,
            vector=documents.vectors[row],
            top_n=k + 1,  # the query's own document is left out
            retrieve=dataclasses.replace(setting, k=k + 1),
            rerank=False,
            fields=Fields(text=False, metadata=False),
        )
        elapsed_ms = 1e3 * (time.perf_counter() - began)
        took.append(result.timings.retrieve_ms or elapsed_ms)
        others = [documents.row_of[hit.id] for hit in result.hits if hit.id in documents.row_of]
        limit = np.partition(of_row, -k)[-k] - _TIE
        near = sum(of_row[other] >= limit for other in others if other != row)
        found += min(int(near), k)
    breadth = {"ef_search": setting.ef_search, "nprobe": setting.nprobe}
    said = [f"{name}={value}" for name, value in breadth.items() if value is not None]
    median, p99 = np.percentile(took, [50, 99])
    return Recall(" ".join(said) or "exact", found / (k * len(rows)), float(median), float(p99))


def _table(described: Collection, results: list[Recall], k: int) -> Table:
    table = Table(
        [*names("setting"), *figures(f"recall@{k}", "median ms", "p99 ms")],
        title=f"{described.name}: {described.num_documents:,} documents, "
        f"{described.schema.index_kind}",
        num_names=1,
    )
    for result in results:
        table.add(
            result.setting,
            f"{result.recall:.4f}",
            f"{result.median_ms:.2f}",
            f"{result.p99_ms:.2f}",
        )
    return table
