"""`python -m twopass.benchmarks.size`: a large collection through a real server, measured."""

import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from twopass._core import available_cpus
from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.size.corpus import Corpus, nearest
from twopass.benchmarks.size.ingest import Ingest, ingest, measure_stages
from twopass.benchmarks.size.judged_words import measure_judged_words
from twopass.benchmarks.size.picture import save_picture
from twopass.benchmarks.size.report import SizeReport, as_json, as_tables
from twopass.benchmarks.size.searches import (
    COLLECTION,
    K,
    KindReport,
    Queries,
    build,
    copy_as,
    empty_server_bytes,
    measure,
)
from twopass.benchmarks.size.texts import Texts
from twopass.client import Client
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.tables import print_report
from twopass.evaluation.datasets import DatasetError
from twopass.server.local import LocalServer, orderly_end

_SEED = 0


def main(
    documents: Annotated[int, typer.Option(min=1_000, help="How many documents.")] = 1_000_000,
    dimension: Annotated[int, typer.Option(min=2, help="Components of a vector.")] = 384,
    index_kind: Annotated[
        list[str] | None, typer.Option(help="Index kinds; unset: Flat, IVF1024,Flat, HNSW32.")
    ] = None,
    queries: Annotated[int, typer.Option(min=1, help="Queries of each setting.")] = 500,
    data: Annotated[
        Path | None, typer.Option(help="Folder for the collections; unset: a temporary one.")
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            help="Test collection in BEIR's form, to make documents and questions of; repeatable. "
            "Unset: common words."
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Folder of the report: size.json and size.png.")
    ] = Path("bench-results"),
) -> None:
    """Measure memory, disk, ingest, search and start-up of a large collection."""
    kinds = index_kind or ["Flat", "IVF1024,Flat", "HNSW32"]
    output.mkdir(parents=True, exist_ok=True)
    try:
        source = Texts.of(texts, documents // 2) if texts else Texts.made_up(_SEED)
    except DatasetError as error:
        exit_with(error)
    with orderly_end(), tempfile.TemporaryDirectory(dir=data) as scratch:
        corpus = Corpus.make(Path(scratch) / "corpus", documents, dimension, source, _SEED)
        for report in _measure(corpus, kinds, queries, Path(scratch)):
            _save(report, output)  # after each kind: a later one may take too long, or too much
    print_report(as_tables(report))
    Console().print(f"\n{output / 'size.json'}, {output / 'size.png'}")


def _save(report: SizeReport, output: Path) -> None:
    content = json.dumps(as_json(report), indent=2)
    (output / "size.json").write_text(content, encoding="utf-8")
    save_picture(report, output / "size.png")


def _measure(
    corpus: Corpus, kinds: list[str], num_queries: int, scratch: Path
) -> Iterator[SizeReport]:
    """Yields the report with one kind more each time."""
    num_cpus = available_cpus()
    empty_bytes = empty_server_bytes(scratch / "empty")
    stages = measure_stages(corpus, num_cpus)
    source = scratch / "source"
    with LocalServer(source) as server, Client(server.target) as client:
        seconds = ingest(client, COLLECTION, corpus, "Flat")
        words = measure_judged_words(client, COLLECTION, corpus.questions)
    queries = _queries(corpus, num_queries)
    report = SizeReport(
        machine=this_machine(),
        num_documents=corpus.size,
        dimension=corpus.dimension,
        num_queries=num_queries,
        ingest=Ingest(corpus.size / seconds, seconds, stages),
        kinds=(),
        words=words,
    )
    for index_kind in kinds:
        measured = _kind(source, index_kind, num_cpus, queries, empty_bytes)
        report = replace(report, kinds=(*report.kinds, measured))
        yield report


def _queries(corpus: Corpus, count: int) -> Queries:
    vectors = corpus.queries(count)
    words = itertools.cycle(question.text for question in corpus.questions)
    return Queries(vectors, nearest(corpus, vectors, K), list(itertools.islice(words, count)))


def _kind(
    source: Path,
    index_kind: str,
    num_cpus: int,
    queries: Queries,
    empty_bytes: int,
) -> KindReport:
    folder = source.with_name("kind")
    copy_as(source, folder, index_kind)
    try:
        seconds = build(folder, num_cpus)
        return measure(folder, index_kind, seconds, queries, empty_bytes)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
