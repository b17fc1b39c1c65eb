"""`python -m twopass.benchmarks.sizing`: what a server needs for so many documents, a row each.

Memory and disk hardly depend on what else the machine does; searches a second do, and are left out
unless `--seconds` asks for them.
"""

import dataclasses
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from twopass._core import available_cpus
from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.size.corpus import Corpus
from twopass.benchmarks.size.ingest import ingest
from twopass.benchmarks.size.searches import COLLECTION, build, copy_as, resident_bytes
from twopass.benchmarks.size.texts import Texts
from twopass.client import Client, Rerank
from twopass.commands.terminal.tables import print_report
from twopass.server.local import COMPUTES_ALL, LocalServer, orderly_end

_DIMENSION, _SEED = 384, 0
_TIMEOUT = 600.0
# Enough for the buffers of both passes to be as large as they get.
_WARM_UP, _CONCURRENCY = 200, 8
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """What a server with one collection takes.

    Attributes:
        num_documents: Documents of the collection; 0 for a server without one.
        index_kind: Its faiss factory string; empty where there is no collection.
        memory_bytes: Resident memory of the whole server once both passes have been searched.
        written_bytes: The most that it was while the documents were written; 0 where that was not
            measured.
        disk_bytes: All files of the collection.
        start_seconds: From the process's start to SERVING, models included.
        per_second: Searches of both passes a second, eight under way; None where not measured.
    """

    num_documents: int
    index_kind: str
    memory_bytes: int
    written_bytes: int
    disk_bytes: int
    start_seconds: float
    per_second: float | None = None


def main(
    documents: Annotated[
        list[int] | None, typer.Option(min=1_000, help="How many; repeatable. Unset: 10,000.")
    ] = None,
    index_kind: Annotated[
        list[str] | None, typer.Option(help="Index kinds; unset: Flat, HNSW32.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0, help="How long to count searches a second; 0 leaves them out.")
    ] = 0.0,
    depth: Annotated[int, typer.Option(min=1, help="Candidates reranked.")] = 50,
    data: Annotated[
        Path | None, typer.Option(help="Folder for the collections; unset: a temporary one.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder of the report, sizing.json.")] = Path(
        "bench-results"
    ),
) -> None:
    """Measure what a server takes in memory and on disk, by its number of documents."""
    output.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with orderly_end(), tempfile.TemporaryDirectory(dir=data) as scratch:
        for row in _measure(
            documents or [10_000], index_kind or ["Flat", "HNSW32"], Rerank(depth=depth), seconds,
            Path(scratch),
        ):  # fmt: skip
            rows.append(row)
            report = {
                "machine": dataclasses.asdict(this_machine()),
                "dimension": _DIMENSION,
                "depth": depth,
                "rows": [dataclasses.asdict(each) for each in rows],
            }
            (output / "sizing.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    print_report(as_table(rows))
    Console().print(f"\n{output / 'sizing.json'}")


def as_table(rows: list[Row]) -> Table:
    """A row for each number of documents and kind of index."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("documents", justify="right")
    table.add_column("index")
    columns = ("memory MB", "while written MB", "disk MB", "start s", "searches/s")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row.num_documents:,}",
            row.index_kind,
            f"{row.memory_bytes / _MB:,.0f}",
            f"{row.written_bytes / _MB:,.0f}" if row.written_bytes else "",
            f"{row.disk_bytes / _MB:,.0f}",
            f"{row.start_seconds:,.1f}",
            "" if row.per_second is None else f"{row.per_second:,.0f}",
        )
    return table


def _measure(
    numbers: list[int], kinds: list[str], rerank: Rerank, seconds: float, scratch: Path
) -> Iterator[Row]:
    """Yields a row as soon as it is measured: a later one may take too long, or too much."""
    yield _empty(scratch / "empty")
    for number in numbers:
        folder = scratch / str(number)
        corpus = Corpus.make(folder / "corpus", number, _DIMENSION, Texts.made_up(_SEED), _SEED)
        source = folder / "source"
        with (
            LocalServer(source) as server,
            Client(server.target, timeout=_TIMEOUT) as client,
        ):
            ingest(client, COLLECTION, corpus, "Flat")
            written = _bytes_at_most(server.pid)
        for kind in kinds:
            copy = folder / kind
            copy_as(source, copy, kind)
            build(copy, available_cpus())
            yield _row(copy, corpus, kind, written if kind == "Flat" else 0, rerank, seconds)


def _empty(folder: Path) -> Row:
    began = time.perf_counter()
    with LocalServer(folder) as server:
        return Row(0, "", resident_bytes(server.pid), 0, 0, time.perf_counter() - began)


def _row(
    folder: Path, corpus: Corpus, kind: str, written: int, rerank: Rerank, seconds: float
) -> Row:
    began = time.perf_counter()
    with (
        LocalServer(folder, flags=COMPUTES_ALL) as server,
        Client(server.target, timeout=_TIMEOUT) as client,
    ):
        start_seconds = time.perf_counter() - began
        searches = _Searches(client, corpus, rerank)
        searches.run(_WARM_UP)
        per_second = searches.per_second(seconds) if seconds else None
        memory = resident_bytes(server.pid)
    files = (file for file in folder.rglob("*") if file.is_file())
    disk = sum(file.stat().st_size for file in files)
    return Row(corpus.size, kind, memory, written, disk, start_seconds, per_second)


class _Searches:
    """Searches of both passes, several under way at once."""

    def __init__(self, client: Client, corpus: Corpus, rerank: Rerank) -> None:
        self._client, self._rerank = client, rerank
        self._vectors = corpus.queries(_WARM_UP)
        beginnings = (document.text[:60] for document in corpus.documents())
        self._words = list(itertools.islice(beginnings, _WARM_UP))

    def run(self, count: int) -> None:
        """Runs so many."""
        with ThreadPoolExecutor(_CONCURRENCY) as threads:
            list(threads.map(self._one, range(count)))

    def per_second(self, seconds: float) -> float:
        """Searches answered a second, counted for so long or a little longer."""
        count, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            self.run(_CONCURRENCY * 4)
            count += _CONCURRENCY * 4
        return count / passed

    def _one(self, number: int) -> None:
        number %= _WARM_UP
        self._client.search(
            COLLECTION, self._words[number], vector=self._vectors[number], rerank=self._rerank
        )


def _bytes_at_most(pid: int) -> int:
    """The most resident memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    typer.run(main)
