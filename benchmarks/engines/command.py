"""Engines side by side: the same weights, the same token ids, in turns.

Run it as `python -m twopass.benchmarks.engines`.
"""

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from twopass.benchmarks.engines.batching import Order, padded_plan, select
from twopass.benchmarks.engines.cpus import confine, num_cores, thread_counts, usable_cpus
from twopass.benchmarks.engines.measuring import Model, Progress, engine_field
from twopass.benchmarks.engines.report import as_tables
from twopass.benchmarks.engines.results import Report
from twopass.benchmarks.engines.roster import Contender, chosen
from twopass.benchmarks.engines.shapes import SHAPES, open_named
from twopass.benchmarks.engines.workloads import Sizes, Workload, WorkloadFactory, WorkloadName
from twopass.benchmarks.machine import this_machine
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import EngineError
from twopass.engines.installing import how_to_install
from twopass.engines.model.folder import ModelFolder
from twopass.evaluation.datasets import DatasetError, load_dataset
from twopass.server.local import orderly_end

# Quantisers see sequences that are then measured: that can only flatter them.
_CALIBRATION_BATCHES = 4
_TABLE_COLUMNS = 132
_RERANKER = "twopass-minilm-l6"


def engines(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Test collection in BEIR's form, for real texts; several may be given, of which "
            "the first gives the pairs, and all give passages to embed. Unset: made-up texts."
        ),
    ] = None,
    reranker: Annotated[
        list[str] | None,
        typer.Option(
            help="Model of the pairs; repeatable; twopass-minilm-l6 if unset. "
            f"{', '.join(SHAPES)}: that shape with random weights."
        ),
    ] = None,
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
    mixed_queries: Annotated[
        int, typer.Option(min=1, help="Queries of the mixed workload, 10 passages each.")
    ] = 10,
    threads: Annotated[
        str,
        typer.Option(
            help="Of each engine; 0: one for each CPU. Several, as in 1,2,4,8, are measured one "
            "after the other, and the report says how each engine scales."
        ),
    ] = "0",
    seed: Annotated[int, typer.Option(min=0, help="Fixes the texts, and random weights.")] = 1,
    exports: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps the models in the peers' formats for the next run. Unset: "
            "they are converted anew."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for engines.json, engines.txt and engines.png.")
    ] = None,
) -> None:
    """Measure engines, ours and the field's, on the same weights and token ids."""
    cpus = usable_cpus()
    with orderly_end(), tempfile.TemporaryDirectory() as made:
        try:
            plan = Plan(
                contenders=chosen(engine or []),
                thread_counts=thread_counts(threads, len(cpus)),
                cpus=cpus,
                exports=exports or Path(made) / "exports",
            )
            datasets = [load_dataset(folder) for folder in data or []]
            sizes = Sizes(rounds, embed_rounds, embed_passages, mixed_queries)
            names = workload or list(WorkloadName)
            subjects = [
                Subject(
                    folder := open_named(model, Path(made) / "models", seed),
                    WorkloadFactory(folder, datasets, sizes, seed).make_all(kind, names),
                )
                for kind, models in (
                    (ModelKind.RERANKER, reranker or [_RERANKER]),
                    (ModelKind.ENCODER, [encoder]),
                )
                if any(name.kind is kind for name in names)
                for model in models
            ]
        except (ValueError, DatasetError, EngineError) as error:
            Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
            raise typer.Exit(1) from None
        for report in _reports(plan, subjects):
            if output:  # after each workload: a run of an hour may not come to its end
                _save(report, output)
    Console(width=_TABLE_COLUMNS).print(as_tables(report), highlight=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is measured, and where.

    Attributes:
        contenders: All of them, with every model.
        thread_counts: Of each engine, one number after the other.
        cpus: That may be used, the first preferred.
        exports: Folder of the models in other formats, by revision.
    """

    contenders: Sequence[Contender]
    thread_counts: Sequence[int]
    cpus: Sequence[int]
    exports: Path


@dataclass(frozen=True, slots=True)
class Subject:
    """A model and what it shall compute."""

    folder: ModelFolder
    workloads: Sequence[Workload]


def _reports(plan: Plan, subjects: Sequence[Subject]) -> Iterator[Report]:
    """Yields what is known after each workload, the last time everything."""
    cpus = plan.cpus[: max(plan.thread_counts)]
    report = Report(machine=this_machine(), num_cores=num_cores(cpus), engines=(), measured=())
    with _progress() as progress:
        for subject in subjects:
            exports = plan.exports / subject.folder.spec.revision[:16]
            exports.mkdir(parents=True, exist_ok=True)
            model = Model(subject.folder, exports, _calibration(subject.workloads))
            for num_threads in plan.thread_counts:
                confine(plan.cpus[:num_threads])
                before = report.engines
                with engine_field(progress, model, num_threads) as field:
                    for contender in plan.contenders:
                        field.enter(contender)
                    for workload in subject.workloads:
                        measured = field.measure(workload)
                        report = dataclasses.replace(
                            report,  # someone may have been refused in the course of it
                            engines=(*before, *field.engines),
                            measured=(*report.measured, measured),
                        )
                        yield report


@contextmanager
def _progress() -> Iterator[Progress]:
    """One line that changes on a terminal; lines in a log elsewhere."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("starting") as status:
            yield status.update
    else:
        yield lambda message: typer.echo(message, err=True)


def _calibration(workloads: Sequence[Workload]) -> tuple[TokenBatch, ...]:
    """The beginning of the largest workload."""
    batch = max((w.batch for w in workloads), key=lambda batch: batch.num_tokens)
    plan = padded_plan(batch.lengths, Order.GIVEN)[:_CALIBRATION_BATCHES]
    return tuple(select(batch, rows) for rows in plan)


def _save(report: Report, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report.as_json(), indent=1)
    (folder / "engines.json").write_text(content + "\n", encoding="utf-8")
    with (folder / "engines.txt").open("w", encoding="utf-8") as file:
        Console(file=file, width=_TABLE_COLUMNS).print(as_tables(report), highlight=False)
    try:
        from twopass.benchmarks.engines.picture import save_picture
    except ModuleNotFoundError:
        typer.echo(f"no picture: {how_to_install('bench')}", err=True)
        return
    save_picture(report, folder / "engines.png")
