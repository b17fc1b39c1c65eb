"""Measures what the first pass computes, by the number of documents.

Processor time, not time by the clock: it hardly depends on what else the machine does. Documents
are made up and bring their vectors; searches bring theirs, so nothing is embedded.
"""

import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from twopass._core import available_cpus
from twopass.benchmarks.scale.alone import core_seconds
from twopass.benchmarks.scale.constants import CONSTANTS_FILE
from twopass.benchmarks.scale.tables import markdown
from twopass.benchmarks.size.corpus import Corpus
from twopass.benchmarks.size.ingest import ingest
from twopass.benchmarks.size.searches import COLLECTION, build, copy_as
from twopass.benchmarks.size.texts import Texts
from twopass.client import Client, Fields, Retrieve, RetrieveMode
from twopass.engines.base.sequences import Float32s
from twopass.server.local import LocalServer

_DIMENSION, _SEED = 384, 0
_QUERIES, _WARM_UP = 400, 50
_TIMEOUT = 600.0
_MODES: tuple[RetrieveMode, ...] = ("dense", "lexical", "hybrid")


@dataclass(frozen=True, slots=True)
class FirstPassCost:
    """Processor time of the server for searches of so many documents, without a second pass.

    Attributes:
        num_documents: How many documents there are.
        depth: Candidates found.
        core_ms: Milliseconds of a core a search, by mode.
        ingest_core_ms: Milliseconds of a core a document that brings its vector.
        build_core_ms: Milliseconds of a core a document to build the graph of vectors.
    """

    num_documents: int
    depth: int
    core_ms: dict[RetrieveMode, float]
    ingest_core_ms: float
    build_core_ms: float


def measure_first_pass(num_documents: int, depth: int, scratch: Path | None) -> FirstPassCost:
    """Writes documents, builds `HNSW32`, and searches one at a time."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        place = Path(folder)
        made_up = Texts.made_up(_SEED)
        corpus = Corpus.make(place / "corpus", num_documents, _DIMENSION, made_up, _SEED)
        with LocalServer(place / "source") as server, Client(server.target) as client:
            began = core_seconds(server.pid)
            ingest(client, COLLECTION, corpus, "Flat")
            written = core_seconds(server.pid) - began
        copy_as(place / "source", place / "graph", "HNSW32")
        began = time.process_time()
        build(place / "graph", available_cpus())
        built = time.process_time() - began
        with (
            LocalServer(place / "graph") as server,
            Client(server.target, timeout=_TIMEOUT) as client,
        ):
            vectors = corpus.queries(_QUERIES)
            words = [q.text for q in itertools.islice(itertools.cycle(made_up.questions), _QUERIES)]
            costs = {m: _core_ms(client, server.pid, m, vectors, words, depth) for m in _MODES}
    return FirstPassCost(
        num_documents=num_documents,
        depth=depth,
        core_ms=costs,
        ingest_core_ms=1000 * written / num_documents,
        build_core_ms=1000 * built / num_documents,
    )


def _core_ms(
    client: Client,
    pid: int,
    mode: RetrieveMode,
    vectors: Float32s,
    words: Sequence[str],
    depth: int,
) -> float:
    def search(number: int) -> None:
        client.search(
            COLLECTION,
            words[number] if mode != "dense" else "",
            vector=vectors[number] if mode != "lexical" else None,
            retrieve=Retrieve(mode, k=depth),
            rerank=False,
            fields=Fields(text=True, metadata=False),
        )

    for number in range(_WARM_UP):
        search(number)
    began = core_seconds(pid)
    for number in range(_QUERIES):
        search(number)
    return 1000 * (core_seconds(pid) - began) / _QUERIES


def main(
    documents: Annotated[
        list[int] | None, typer.Option(min=1_000, help="How many; repeatable. Unset: 10,000.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="Candidates found.")] = 50,
    scratch: Annotated[
        Path | None, typer.Option(help="Folder for the collections; unset: a temporary one.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write what was measured into constants.json.")
    ] = False,
) -> None:
    """Measure the processor time of a first pass, by the number of documents."""
    costs = []
    for number in sorted(documents or [10_000]):
        costs.append(measure_first_pass(number, depth, scratch))
        if keep:
            _keep(costs[-1])
    typer.echo(
        markdown(
            (
                "documents",
                *(f"{mode}, core-ms" for mode in _MODES),
                "ingest, core-ms",
                "build, core-ms",
            ),
            [
                (
                    f"{cost.num_documents:,}",
                    *(f"{cost.core_ms[mode]:.1f}" for mode in _MODES),
                    f"{cost.ingest_core_ms:.3f}",
                    f"{cost.build_core_ms:.2f}",
                )
                for cost in costs
            ],
        )
    )


def _keep(cost: FirstPassCost) -> None:
    read = json.loads(CONSTANTS_FILE.read_text(encoding="utf-8"))
    rows = [row for row in read["first_pass"] if row["documents"] != cost.num_documents]
    command = f"python -m twopass.benchmarks.scale.first_pass --documents {cost.num_documents}"
    rounded = {mode: round(ms, 2) for mode, ms in cost.core_ms.items()}
    rows.append({"documents": cost.num_documents, "core_ms": rounded, "command": command})
    read["first_pass"] = sorted(rows, key=lambda row: float(row["documents"]))
    CONSTANTS_FILE.write_text(json.dumps(read, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
