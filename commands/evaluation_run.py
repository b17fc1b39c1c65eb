"""Searches of test collections through one server, for the commands that measure quality."""

import dataclasses
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn

from twopass.client import Client, Rerank, RetrieveMode, TwopassError
from twopass.commands.options import connected
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.progress import progress_bar
from twopass.commands.terminal.sentences import say_beside
from twopass.engines.installing import how_to_install
from twopass.evaluation.datasets import Dataset, DatasetError, Part, load_dataset
from twopass.evaluation.judgements import load_judgements
from twopass.evaluation.runs import (
    Answers,
    EvaluationError,
    ensure_apart,
    index_dataset,
    room_for,
    search_dataset,
)
from twopass.server.local import COMPUTES_ALL, LocalServer, LocalServerError

Folders = Annotated[
    list[Path], typer.Argument(help="Test collections in BEIR form: corpus, queries, qrels.tsv.")
]
MaxQueries = Annotated[
    int | None, typer.Option(min=1, help="Use only this many queries of each; unset: all.")
]
KeptData = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Keep the indexed corpora here for the next run; unset: drop them."
    ),
]


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationRun:
    """Searches through one server, and shows the progress.

    Attributes:
        client: Client of the server.
        concurrency: Queries under way at once.
        language: Of the texts, or "none"; "" for the server's default.
    """

    client: Client
    concurrency: int
    language: str = ""

    def index(self, dataset: Dataset) -> str:
        """Indexes the corpus, unless a collection has it; returns the collection's name."""
        if dataset.collection:
            return dataset.collection
        with progress_bar(MofNCompleteColumn()) as progress:
            task = progress.add_task(
                printable(f"{dataset.name}: indexing"), total=len(dataset.documents)
            )
            return index_dataset(
                self.client,
                dataset,
                lambda done: progress.update(task, completed=done),
                language=self.language,
            )

    def search(
        self,
        dataset: Dataset,
        collection: str,
        mode: RetrieveMode | None,
        depth: int,
        rerank: Rerank | None,
    ) -> Answers:
        """Searches every query; arguments are those of `search_dataset`.

        Queries that a model has not read whole are counted on stderr.
        """
        with progress_bar(MofNCompleteColumn()) as progress:
            task = progress.add_task(
                printable(f"{dataset.name}: {mode or 'search'}"), total=len(dataset.queries)
            )
            answers = search_dataset(
                self.client,
                collection,
                dataset,
                mode=mode,
                depth=depth,
                rerank=rerank,
                concurrency=self.concurrency,
                advance=lambda done: progress.advance(task, done),
            )
        if num_cut := sum(answer.query_truncated for answer in answers.values()):
            say_beside(
                f"{dataset.name}, {mode or 'search'}: {num_cut:,} of {len(answers):,} queries are "
                "longer than a model reads; it read their beginnings"
            )
        return answers


@contextmanager
def evaluation_run(
    data: Path | None, flags: tuple[str, ...], concurrency: int, language: str = ""
) -> Iterator[EvaluationRun]:
    """Runs a server for as long as the block lasts; a failure in the block ends the command.

    Args:
        data: Folder that keeps the indexed corpora; None drops them.
        flags: Flags of the server.
        concurrency: Queries under way at once.
        language: Of the texts, or "none"; "" for the server's default.
    """
    _need_measures()
    try:
        with (
            LocalServer(data, flags=(*COMPUTES_ALL, *flags)) as server,
            Client(server.target) as client,
        ):
            yield EvaluationRun(client, concurrency, language)
    except (EvaluationError, LocalServerError, TwopassError) as error:
        exit_with(error)


@contextmanager
def evaluation_of_running(target: str, concurrency: int) -> Iterator[EvaluationRun]:
    """Searches collections of a server that runs; a failure in the block ends the command.

    Args:
        target: The server, host:port.
        concurrency: Queries under way at once.
    """
    _need_measures()
    try:
        with connected(target) as client:
            yield EvaluationRun(client, concurrency)
    except EvaluationError as error:
        exit_with(error)


def load_datasets(
    folders: Sequence[Path],
    max_queries: int | None,
    part: Part,
) -> list[Dataset]:
    """Loads test collections as `load_dataset` does; an unreadable one ends the command.

    Args:
        folders: Folders of the test collections.
        max_queries: Most queries of each to take; None for all.
        part: Which part of the judged queries to take.
    """
    try:
        ensure_apart(folders)
        return [load_dataset(folder, max_queries, part) for folder in folders]
    except DatasetError as error:
        exit_with(error)


def load_judged(
    files: Sequence[Path],
    collection: str,
    max_queries: int | None,
    part: Part,
    *,
    without_relevant: bool = False,
) -> list[Dataset]:
    """Loads files of judgements as `load_judgements` does; an unreadable one ends the command.

    Queries without a relevant document are left out, and counted on stderr.

    Args:
        files: The files; none are no datasets.
        collection: Stands for the collection of every line; "" for each line's own.
        max_queries: Most queries of each collection to take; None for all.
        part: Which part of the judged queries to take.
        without_relevant: Whether those are taken too.
    """
    if not files:
        return []
    try:
        judged = load_judgements(
            *files,
            collection=collection,
            max_queries=max_queries,
            part=part,
            without_relevant=without_relevant,
        )
    except DatasetError as error:
        exit_with(error)
    if num_left_out := judged.num_without_relevant:
        say_beside(
            f"{', '.join(map(str, files))}: left out for want of a document that is judged "
            f"relevant: {num_left_out:,} of the queries"
        )
    return list(judged.datasets)


def _need_measures() -> None:
    if importlib.util.find_spec("ir_measures") is None:
        exit_with(f"ir_measures is not installed: {how_to_install('evaluation')}")


def room_for_queries(datasets: Sequence[Dataset]) -> tuple[str, ...]:
    """Flags of a server that takes every query of some test collections, however long."""
    return room_for(query for dataset in datasets for query in dataset.queries.values())
