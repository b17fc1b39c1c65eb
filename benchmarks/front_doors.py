"""What a rerank costs at each front door: microseconds of a core beyond the work itself.

One server answers in this process, with an engine that computes nothing and answers at once, while
a client in another process asks over one connection. From the processor time that a request takes,
of all threads together, that of the same request handed to the pipeline directly is taken away:
what is left is reading, dispatching and answering. Run it as `python -m
twopass.benchmarks.front_doors`.
"""

import base64
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from twopass.benchmarks.asking import Door
from twopass.benchmarks.machine import Machine, this_machine
from twopass.benchmarks.messages import Loop
from twopass.benchmarks.workload import CandidateTexts, Texts
from twopass.engines.base.engine import EngineInfo
from twopass.engines.base.model import LoadedModel, LoadedReranker
from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.server.app import App
from twopass.server.config import ServerConfig
from twopass.server.config_loading import load_config
from twopass.server.local import orderly_end
from twopass.server.models.caches import ByteCache
from twopass.server.models.loading import load_models
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.open_set import SetOptions
from twopass.server.search.reranking import Reranking
from twopass.server.search.second_pass import SecondPass
from twopass.server.telemetry.metrics import Metrics
from twopass.v1 import rerank_pb2

_DIRECT = "pipeline alone"
# Different requests that are asked in turn: the caches of a server know them after the first time.
_NUM_REQUESTS = 64


class _InstantEngine:
    """Answers every batch at once, with logits that fall from pair to pair."""

    output_width = 1

    def __init__(self, info: EngineInfo) -> None:
        self.info = info

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        done: Future[Float32s] = Future()
        done.set_result(-np.arange(len(batch), dtype=np.float32))
        return done

    def close(self) -> None:
        """Holds no device."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, and on what.

    Attributes:
        machine: Where it ran.
        shape: The size of a request and of a turn.
        microseconds: Processor time of a request in each turn, by way in; `pipeline alone` is the
            work itself.
    """

    machine: Machine
    shape: str
    microseconds: Mapping[str, Sequence[float]]

    def beyond_the_work(self, door: str) -> list[float]:
        """What a request costs at a door beyond the work itself, turn by turn."""
        turns = zip(self.microseconds[door], self.microseconds[_DIRECT], strict=True)
        return [cost - work for cost, work in turns]


def front_doors(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each way in.")] = 9,
    requests: Annotated[int, typer.Option(min=1, help="Requests in a turn.")] = 1_000,
    candidates: Annotated[int, typer.Option(min=1, help="Passages in a request.")] = 10,
    passage_words: Annotated[int, typer.Option(min=4, help="Words in a passage, about.")] = 80,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure what a rerank costs at each front door, beyond the work itself."""
    sets = [Texts(1).candidates(n, candidates, passage_words) for n in range(_NUM_REQUESTS)]
    with _ways_in(sets) as ways:
        report = Report(
            this_machine(),
            _shape(sets, requests),
            _measured(ways, rounds, requests),
        )
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        _print(report)


Ask = Callable[[int], None]
"""Has a number of requests answered."""


@contextmanager
def _ways_in(sets: Sequence[CandidateTexts]) -> Iterator[dict[str, Ask]]:
    """A server, the ways to ask it, and the work itself."""
    loop = Loop()
    with orderly_end(), tempfile.TemporaryDirectory() as scratch, ExitStack() as undo:
        undo.callback(loop.close)
        config = load_config(
            {
                "data": Path(scratch),
                "address": "127.0.0.1:0",
                "http_address": "127.0.0.1:0",
                "log_level": "warning",
                "score_cache_bytes": 0,
            }
        )
        app = App(config, load=_without_engines)
        loop.run(app.start())
        undo.callback(lambda: loop.run(app.stop()))
        grpc, http = f"127.0.0.1:{app.port}", f"127.0.0.1:{app.http_port}"
        doors = {
            "gRPC": Door(grpc, "/twopass.v1.RerankService/Rerank", _messages(sets), True),
            "HTTP, Cohere's": Door(http, "/v2/rerank", _bodies(sets, "documents")),
            "HTTP, TEI's": Door(http, "/rerank", _bodies(sets, "texts")),
            "HTTP, Connect": Door(http, "/twopass.v1.RerankService/Rerank", _as_json(sets)),
        }
        asks = {name: undo.enter_context(_asking(door)) for name, door in doors.items()}
        yield {_DIRECT: undo.enter_context(_working(config, sets, loop)), **asks}


def _without_engines(config: ServerConfig) -> list[LoadedModel]:
    models = []
    for model in load_models(config):
        info = model.engine.info
        if isinstance(model, LoadedReranker):
            model.engine.close()
            model = dataclasses.replace(model, engine=_InstantEngine(info))
        models.append(model)
    return models


@contextmanager
def _working(config: ServerConfig, sets: Sequence[CandidateTexts], loop: Loop) -> Iterator[Ask]:
    """Hands requests to a pipeline like the server's, on the server's event loop."""
    models = Models(_without_engines(config))
    metrics = Metrics()
    arbiter = Arbiter(max_queued_pairs=config.max_queued_pairs, metrics=metrics)
    passages: ByteCache[Int32s] = ByteCache("passages", config.passage_cache_bytes, metrics)
    tokenizing = Tokenizing(1, passages)
    reranking = Reranking(models, arbiter, tokenizing, SecondPass(arbiter))

    async def rank(count: int) -> None:
        for number in range(count):
            texts = sets[number % len(sets)]
            options = SetOptions(
                query=texts.query,
                num_candidates=len(texts.passages),
                passage_chars=list(map(len, texts.passages)),
            )
            with reranking.open(options, Request()) as ranking:
                ranking.add(texts.passages, [None] * len(texts.passages))
                await ranking.ranked()

    yield lambda count: loop.run(rank(count))
    tokenizing.close()


@contextmanager
def _asking(door: Door) -> Iterator[Ask]:
    """A client in a process of its own."""
    command = [sys.executable, "-m", "twopass.benchmarks.asking"]
    with subprocess.Popen(  # noqa: S603  # our own interpreter and command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def tell(line: str) -> None:
            stdin.write(line + "\n")
            stdin.flush()
            if not stdout.readline():
                raise RuntimeError(f"{door.path}: the client ended; see above")

        tell(door.to_line())
        yield lambda count: tell(str(count))
        stdin.close()


def _measured(ways: Mapping[str, Ask], rounds: int, requests: int) -> dict[str, list[float]]:
    """Microseconds of a request in each turn; all ways in take turns."""
    for ask in ways.values():
        ask(2 * _NUM_REQUESTS)
    found: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    console = Console(stderr=True)
    for _ in track(range(rounds), "measuring", console=console, transient=True):
        for name in order:
            before = time.process_time()
            ways[name](requests)
            found[name].append((time.process_time() - before) / requests * 1e6)
        order.reverse()
    return found


def _messages(sets: Sequence[CandidateTexts]) -> tuple[str, ...]:
    return tuple(_encoded(_message(texts).SerializeToString()) for texts in sets)


def _message(texts: CandidateTexts) -> rerank_pb2.RerankRequest:
    candidates = [rerank_pb2.Candidate(text=text) for text in texts.passages]
    return rerank_pb2.RerankRequest(query=texts.query, candidates=candidates)


def _bodies(sets: Sequence[CandidateTexts], field: str) -> tuple[str, ...]:
    return tuple(_json({"query": texts.query, field: texts.passages}) for texts in sets)


def _as_json(sets: Sequence[CandidateTexts]) -> tuple[str, ...]:
    return tuple(
        _json({"query": texts.query, "candidates": [{"text": text} for text in texts.passages]})
        for texts in sets
    )


def _json(body: object) -> str:
    return _encoded(json.dumps(body).encode())


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _shape(sets: Sequence[CandidateTexts], requests: int) -> str:
    chars = statistics.fmean(len(text) for texts in sets for text in texts.passages)
    return (
        f"Rerank of {len(sets[0].passages)} passages of {chars:.0f} characters, {len(sets)} "
        f"requests in turn, passages known to the cache; {requests:,} requests in a turn, over "
        "one connection, one after the other; an engine that answers at once"
    )


def _print(report: Report) -> None:
    console = Console()
    for line in (report.shape, *report.machine.lines()):
        console.print(escape(line), highlight=False)
    table = Table(box=None, header_style="bold")
    table.add_column("microseconds of a core, a request")
    for column in ("in all", "beyond the work", "least", "most"):
        table.add_column(column, justify="right")
    for name, turns in report.microseconds.items():
        beyond = report.beyond_the_work(name)
        figures = [statistics.median(turns)]
        if name != _DIRECT:
            figures += [statistics.median(beyond), min(beyond), max(beyond)]
        table.add_row(name, *(f"{figure:.0f}" for figure in figures))
    console.print(table)


if __name__ == "__main__":
    typer.run(front_doors)
