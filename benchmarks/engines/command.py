"""Engines side by side: the same weights, the same token ids, in turns.

Run it as `python -m twopass.benchmarks.engines`.
"""

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from twopass._core import available_cpus
from twopass.benchmarks.engines.batching import Order, PaddedBatch, pad, padded_plan, select
from twopass.benchmarks.engines.measuring import Model, Progress, engine_field
from twopass.benchmarks.engines.processes import confine
from twopass.benchmarks.engines.report import as_tables
from twopass.benchmarks.engines.results import Engine, Measured, Report
from twopass.benchmarks.engines.roster import Contender, chosen
from twopass.benchmarks.engines.workloads import Sizes, Workload, WorkloadFactory, WorkloadName
from twopass.benchmarks.machine import this_machine
from twopass.engines.base import ModelKind
from twopass.engines.errors import EngineError
from twopass.engines.model.folder import ModelFolder, open_model
from twopass.evaluation.datasets import DatasetError, load_dataset

# Quantisers see sequences that are then measured: that can only flatter them.
_CALIBRATION_BATCHES = 4
_TABLE_COLUMNS = 132


def engines(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Test collection in BEIR's form, for real texts; several may be given, of which "
            "the first gives the pairs, and all give passages to embed. Unset: made-up texts."
        ),
    ] = None,
    reranker: Annotated[str, typer.Option(help="Model of the pairs.")] = "twopass-minilm-l6",
    encoder: Annotated[str, typer.Option(help="Model of embeddings.")] = "all-MiniLM-L6-v2",
    workload: Annotated[
        list[WorkloadName] | None, typer.Option(help="Only this one; repeatable.")
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Only engines whose name holds this; repeatable.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each engine.")] = 5,
    embed_rounds: Annotated[
        int, typer.Option(min=1, help="Turns where passages are embedded.")
    ] = 3,
    embed_passages: Annotated[int, typer.Option(min=1, help="Passages to embed.")] = 5000,
    threads: Annotated[int, typer.Option(min=0, help="Of each engine; 0: one for each CPU.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the texts.")] = 1,
    output: Annotated[
        Path | None, typer.Option(help="Folder for engines.json, engines.txt and engines.png.")
    ] = None,
) -> None:
    """Measure engines, ours and the field's, on the same weights and token ids."""
    num_threads = threads or available_cpus()
    try:
        contenders = chosen(engine or [])
        confine(num_threads)
        models = {ModelKind.RERANKER: open_model(reranker), ModelKind.ENCODER: open_model(encoder)}
        datasets = [load_dataset(folder) for folder in data or []]
        sizes = Sizes(rounds, embed_rounds, embed_passages)
        factory = WorkloadFactory(models, datasets, sizes, seed)
        workloads = [factory.make(name) for name in workload or WorkloadName]
    except (ValueError, DatasetError, EngineError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None
    for report in _reports(contenders, models, workloads, num_threads):
        if output:  # after each workload: a run of an hour may not come to its end
            _save(report, output)
    Console(width=_TABLE_COLUMNS).print(as_tables(report), highlight=False)


def _reports(
    contenders: Sequence[Contender],
    models: Mapping[ModelKind, ModelFolder],
    workloads: Sequence[Workload],
    num_threads: int,
) -> Iterator[Report]:
    """Yields what is known after each workload, the last time everything."""
    report = Report(
        machine=this_machine(),
        num_threads=num_threads,
        models={kind.value: folder.spec.id for kind, folder in models.items()},
        engines=(),
        measured=(),
    )
    with _progress() as progress:
        for kind, folder in models.items():
            of_kind = [w for w in workloads if w.kind is kind]
            if not of_kind:
                continue
            before = report.engines
            for everyone, measured in _of_model(contenders, folder, of_kind, num_threads, progress):
                report = dataclasses.replace(
                    report,
                    engines=(*before, *everyone),
                    measured=(*report.measured, measured),
                )
                yield report


def _of_model(
    contenders: Sequence[Contender],
    folder: ModelFolder,
    workloads: Sequence[Workload],
    num_threads: int,
    progress: Progress,
) -> Iterator[tuple[Sequence[Engine], Measured]]:
    """Yields each workload with everyone, who may have been refused in the course of it."""
    with tempfile.TemporaryDirectory() as exports, engine_field(progress) as field:
        model = Model(folder, Path(exports), _calibration(workloads))
        for contender in contenders:
            field.enter(contender, model, num_threads)
        for workload in workloads:
            measured = field.measure(workload)
            yield field.engines, measured


@contextmanager
def _progress() -> Iterator[Progress]:
    """One line that changes on a terminal; lines in a log elsewhere."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("starting") as status:
            yield status.update
    else:
        yield lambda message: typer.echo(message, err=True)


def _calibration(workloads: Sequence[Workload]) -> tuple[PaddedBatch, ...]:
    """The beginning of the largest workload."""
    batch = max((w.batch for w in workloads), key=lambda batch: batch.num_tokens)
    plan = padded_plan(batch.lengths, Order.GIVEN)[:_CALIBRATION_BATCHES]
    return tuple(pad(select(batch, rows)) for rows in plan)


def _save(report: Report, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report.as_json(), indent=1)
    (folder / "engines.json").write_text(content + "\n", encoding="utf-8")
    with (folder / "engines.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=_TABLE_COLUMNS).print(as_tables(report), highlight=False)
    try:
        from twopass.benchmarks.engines.picture import save_picture
    except ModuleNotFoundError:
        Console(stderr=True).print("no picture: pip install 'twopass[bench]'")
        return
    save_picture(report, folder / "engines.png")
