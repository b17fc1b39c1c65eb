"""`python -m twopass.benchmarks.stores`: the first pass of stores, measured side by side."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.size.corpus import Corpus
from twopass.benchmarks.size.texts import Texts
from twopass.benchmarks.stores.measuring import Measured, measure
from twopass.evaluation.datasets import DatasetError
from twopass.server.store_url import without_password

_MS = 1e3


def main(
    store: Annotated[
        list[str] | None,
        typer.Option(
            help="URL of a store beside the default one, such as postgresql://user@host/database; "
            "repeatable. It gets a collection `bench-stores`, deleted in the end."
        ),
    ] = None,
    documents: Annotated[int, typer.Option(min=1_000, help="How many documents.")] = 100_000,
    dimension: Annotated[int, typer.Option(min=2, help="Components of a vector.")] = 384,
    queries: Annotated[int, typer.Option(min=1, help="Searches of each kind.")] = 200,
    index_kind: Annotated[str, typer.Option(help="Of every store's collection.")] = "HNSW16",
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="Test collection in BEIR's form, to make documents and questions of."),
    ] = None,
) -> None:
    """Fills a collection in each store, and searches it by vectors, by words and by both.

    No model and no server takes part: what is timed is the first pass alone, one search at a time.
    """
    console = Console()
    try:
        made = Texts.of(texts, documents // 2) if texts else Texts.made_up(0)
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="twopass-stores-") as folder:
        corpus = Corpus.make(Path(folder) / "corpus", documents, dimension, made)
        measured = [
            asyncio.run(measure(url, Path(folder) / "data", corpus, index_kind, queries))
            for url in ("", *(store or ()))
        ]
    for line in this_machine().lines():
        console.print(line)
    console.print(_table(measured, documents, dimension, index_kind))


def _table(measured: list[Measured], documents: int, dimension: int, kind: str) -> Table:
    table = Table(title=f"{documents:,} documents, {dimension} components, {kind}, k 50")
    table.add_column("")
    for one in measured:
        table.add_column(without_password(one.place), justify="right", overflow="fold")
    rows = [
        ("written, documents/s", [f"{one.documents_a_second:,.0f}" for one in measured]),
        ("disk, bytes/document", [f"{one.bytes_a_document:,.0f}" for one in measured]),
        ("recall of the nearest", [f"{one.recall:.3f}" for one in measured]),
    ]
    rows += [
        (
            f"{what}, p50 / p95 ms",
            [f"{_MS * one.p50(what):.1f} / {_MS * one.p95(what):.1f}" for one in measured],
        )
        for what in measured[0].seconds
    ]
    for name, cells in rows:
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    typer.run(main)
