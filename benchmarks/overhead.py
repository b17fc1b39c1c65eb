"""What the server costs on top of its engine: pairs a second through gRPC and in-process.

Both sides score the same pairs, tokenising included, in turns: each idles while the other works.
Every passage is new to both, so no cache helps. Run it as `python -m twopass.benchmarks.overhead`.
"""

import dataclasses
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from twopass.benchmarks import in_process
from twopass.benchmarks.machine import Machine, this_machine
from twopass.benchmarks.report import described
from twopass.benchmarks.workload import CandidateTexts, Texts
from twopass.client import Client, Model, TwopassError
from twopass.engines.base import LoadedReranker
from twopass.engines.errors import EngineError
from twopass.engines.loading import load_model
from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config
from twopass.server.local import LocalServer, LocalServerError

_CONCURRENCY = 4
# Long enough that a turn's beginning and end, where the engine waits, are of no account.
_TURN_SECONDS = 8.0
# A turn may be made long by hand; no request of it is given up.
_TIMEOUT_SECONDS = 600.0

Score: TypeAlias = Callable[[Sequence[CandidateTexts]], int]
"""Scores candidate sets and returns how many pairs they had."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The two ways to score, and the model behind both."""

    model: Model
    in_process: Score
    through_grpc: Score


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of each side on the same pairs, in pairs a second."""

    in_process: float
    through_grpc: float

    @property
    def ratio(self) -> float:
        """What is left of the engine's speed; 1 is a server that costs nothing."""
        return self.through_grpc / self.in_process


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, and on what.

    Attributes:
        machine: Where both sides ran.
        model: The reranker, as the server described it.
        shape: The size of a request and of a turn.
        rounds: Figures of each; at least one.
    """

    machine: Machine
    model: Model
    shape: str
    rounds: tuple[Round, ...]

    def as_json(self) -> dict[str, Any]:
        """The whole report, medians and spread included, in what JSON has."""
        ratios = [r.ratio for r in self.rounds]
        return dataclasses.asdict(self) | {
            "in_process_median": statistics.median(r.in_process for r in self.rounds),
            "through_grpc_median": statistics.median(r.through_grpc for r in self.rounds),
            "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
        }


def overhead(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side, after warm-up.")] = 5,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests in a turn; unset: about 8 seconds' worth.")
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, help="Passages in a request.")] = 100,
    passage_tokens: Annotated[int, typer.Option(min=4, help="Tokens in a passage, about.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the texts.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure pairs a second through gRPC against the same engine in-process."""
    supply = (Texts(seed).candidates(n, candidates, passage_tokens) for n in itertools.count())
    try:
        with _sides() as sides:
            # Also where the number is given: the first requests warm both sides up.
            fitting = _requests_in_a_turn(sides, supply)
            num_requests = requests or fitting
            measured = tuple(_measure(sides, supply, rounds, num_requests))
    except (ConfigError, EngineError, LocalServerError, TwopassError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(1) from None
    shape = (
        f"{candidates} candidates of about {passage_tokens} tokens, every one distinct; "
        f"{num_requests} requests in a turn, {_CONCURRENCY} under way through gRPC"
    )
    report = Report(this_machine(), sides.model, shape, measured)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        _print(report)


@contextmanager
def _sides() -> Iterator[Sides]:
    """A server in a process of its own, and its reranker once more in this one."""
    # Whatever TWOPASS_ variables say of model and threads holds for both sides.
    config = load_config({})
    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalServer(Path(scratch)) as server,
        Client(server.target, timeout=_TIMEOUT_SECONDS) as client,
        ThreadPoolExecutor(_CONCURRENCY) as callers,
    ):
        model = next(m for m in client.models() if m.kind == "reranker" and m.is_default)
        reranker = load_model(
            config.reranker,
            num_threads=config.threads,
            engine=config.engine,
            precision=config.precision,
        )
        assert isinstance(reranker, LoadedReranker)

        def score_through_grpc(sets: Sequence[CandidateTexts]) -> int:
            answers = callers.map(lambda texts: client.rerank(texts.query, texts.passages), sets)
            return sum(len(answer.hits) for answer in answers)

        try:
            yield Sides(model, lambda sets: in_process.score(reranker, sets), score_through_grpc)
        finally:
            reranker.engine.close()


def _requests_in_a_turn(sides: Sides, supply: Iterator[CandidateTexts]) -> int:
    """Warms both sides up, and sizes a turn by the speed of the slower one."""
    longest = 0.0
    for score in (sides.in_process, sides.through_grpc):
        sets = list(itertools.islice(supply, _CONCURRENCY))
        began = time.perf_counter()
        score(sets)
        longest = max(longest, time.perf_counter() - began)
    return _CONCURRENCY * max(1, round(_TURN_SECONDS / longest))


def _measure(
    sides: Sides, supply: Iterator[CandidateTexts], num_rounds: int, num_requests: int
) -> Iterator[Round]:
    """Yields rounds. Who begins takes turns too, so that a machine that slows down favours none."""
    order = (sides.in_process, sides.through_grpc)
    for _ in track(range(num_rounds), "measuring", console=Console(stderr=True), transient=True):
        sets = list(itertools.islice(supply, num_requests))
        speeds = {score: _pairs_per_second(score, sets) for score in order}
        yield Round(speeds[sides.in_process], speeds[sides.through_grpc])
        order = order[::-1]


def _pairs_per_second(score: Score, sets: Sequence[CandidateTexts]) -> float:
    began = time.perf_counter()
    num_pairs = score(sets)
    return num_pairs / (time.perf_counter() - began)


def _print(report: Report) -> None:
    console = Console()
    for line in (report.shape, described([report.model]), *report.machine.lines()):
        console.print(escape(line), highlight=False)
    table = Table(box=None, header_style="bold")
    for column in ("round", "in-process, pairs/s", "through gRPC, pairs/s", "ratio"):
        table.add_column(column, justify="right")
    figures = report.as_json()
    ratio = figures["ratio"]
    medians = (figures["in_process_median"], figures["through_grpc_median"], ratio["median"])
    for number, r in enumerate(report.rounds, 1):
        table.add_row(*_row(str(number), r.in_process, r.through_grpc, r.ratio))
    table.add_section()
    table.add_row(*_row("median", *medians))
    console.print(table)
    console.print(
        f"[bold]ratio {ratio['median']:.3f}[/], from {ratio['min']:.3f} to {ratio['max']:.3f}",
        highlight=False,
    )


def _row(name: str, in_process: float, through_grpc: float, ratio: float) -> tuple[str, ...]:
    return name, f"{in_process:.1f}", f"{through_grpc:.1f}", f"{ratio:.3f}"


if __name__ == "__main__":
    typer.run(overhead)
