"""What the server costs on top of its engine: pairs a second by gRPC, by HTTP and in-process.

All sides score the same number of pairs, tokenising included, in turns: the others idle meanwhile.
Every passage is new to each, so no cache helps. Run it as `python -m twopass.benchmarks.overhead`.
"""

import dataclasses
import http
import http.client
import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
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
from twopass.engines.base.model import LoadedReranker
from twopass.engines.errors import EngineError
from twopass.engines.loading import load_model
from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config
from twopass.server.local import COMPUTES_ALL, LocalServer, LocalServerError

_CONCURRENCY = 4
# Long enough that a turn's beginning and end, where the engine waits, are of no account.
_TURN_SECONDS = 8.0
# A turn may be made long by hand; no request of it is given up.
_TIMEOUT_SECONDS = 600.0

Score: TypeAlias = Callable[[Sequence[CandidateTexts]], int]
"""Scores candidate sets and returns how many pairs they had."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The ways to score, and the model behind all of them."""

    model: Model
    in_process: Score
    through_grpc: Score
    through_http: Score


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of each side, in pairs a second."""

    in_process: float
    through_grpc: float
    through_http: float

    @property
    def ratio(self) -> float:
        """What gRPC leaves of the engine's speed; 1 is a server that costs nothing."""
        return self.through_grpc / self.in_process

    @property
    def http_ratio(self) -> float:
        """Pairs a second by HTTP as a share of those by gRPC."""
        return self.through_http / self.through_grpc


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
        return dataclasses.asdict(self) | {
            "in_process_median": statistics.median(r.in_process for r in self.rounds),
            "through_grpc_median": statistics.median(r.through_grpc for r in self.rounds),
            "through_http_median": statistics.median(r.through_http for r in self.rounds),
            "ratio": _spread([r.ratio for r in self.rounds]),
            "http_ratio": _spread([r.http_ratio for r in self.rounds]),
        }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


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
    """Measure pairs a second by gRPC and by HTTP against the same engine in-process."""
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
        f"{num_requests} requests in a turn, {_CONCURRENCY} under way at a server"
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
        LocalServer(None, flags=(*COMPUTES_ALL, "--http-address", "127.0.0.1:0")) as server,
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

        connections = threading.local()

        def rerank(texts: CandidateTexts) -> int:
            if not hasattr(connections, "http"):
                connections.http = http.client.HTTPConnection(
                    server.http_url.removeprefix("http://"), timeout=_TIMEOUT_SECONDS
                )
            body = json.dumps({"query": texts.query, "documents": texts.passages})
            connections.http.request("POST", "/v2/rerank", body)
            answer = connections.http.getresponse()
            content = answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise LocalServerError(f"/v2/rerank: {answer.status} {content[:200]!r}")
            return len(json.loads(content)["results"])

        try:
            yield Sides(
                model,
                lambda sets: in_process.score(reranker, sets),
                score_through_grpc,
                lambda sets: sum(callers.map(rerank, sets)),
            )
        finally:
            reranker.engine.close()


def _requests_in_a_turn(sides: Sides, supply: Iterator[CandidateTexts]) -> int:
    """Warms all sides up, and sizes a turn by the speed of the slowest one."""
    longest = 0.0
    for score in (sides.in_process, sides.through_grpc, sides.through_http):
        sets = list(itertools.islice(supply, _CONCURRENCY))
        began = time.perf_counter()
        score(sets)
        longest = max(longest, time.perf_counter() - began)
    return _CONCURRENCY * max(1, round(_TURN_SECONDS / longest))


def _measure(
    sides: Sides, supply: Iterator[CandidateTexts], num_rounds: int, num_requests: int
) -> Iterator[Round]:
    """Yields rounds. Who begins takes turns too, so that a machine that slows down favours none."""
    order = (sides.in_process, sides.through_grpc, sides.through_http)
    for _ in track(range(num_rounds), "measuring", console=Console(stderr=True), transient=True):
        speeds = {
            # A server keeps the tokens of passages: by another way in they must be others.
            score: _pairs_per_second(score, list(itertools.islice(supply, num_requests)))
            for score in order
        }
        yield Round(
            speeds[sides.in_process], speeds[sides.through_grpc], speeds[sides.through_http]
        )
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
    columns = ("round", "in-process, pairs/s", "by gRPC, pairs/s", "ratio", "by HTTP, pairs/s")
    for column in (*columns, "HTTP / gRPC"):
        table.add_column(column, justify="right")
    figures = report.as_json()
    for number, r in enumerate(report.rounds, 1):
        table.add_row(
            str(number),
            f"{r.in_process:.1f}",
            f"{r.through_grpc:.1f}",
            f"{r.ratio:.3f}",
            f"{r.through_http:.1f}",
            f"{r.http_ratio:.3f}",
        )
    table.add_section()
    table.add_row(
        "median",
        f"{figures['in_process_median']:.1f}",
        f"{figures['through_grpc_median']:.1f}",
        f"{figures['ratio']['median']:.3f}",
        f"{figures['through_http_median']:.1f}",
        f"{figures['http_ratio']['median']:.3f}",
    )
    console.print(table)
    for name, of in (("gRPC / in-process", "ratio"), ("HTTP / gRPC", "http_ratio")):
        spread = figures[of]
        console.print(
            f"[bold]{name} {spread['median']:.3f}[/], "
            f"from {spread['min']:.3f} to {spread['max']:.3f}",
            highlight=False,
        )


if __name__ == "__main__":
    typer.run(overhead)
