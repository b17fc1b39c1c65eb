"""The whole server on an engine: requests alone, and all it can do, through gRPC and HTTP."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from twopass.benchmarks.gpu.contestants import RERANKER
from twopass.benchmarks.gpu.figures import figure_of
from twopass.benchmarks.gpu.outcome import Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.server_load import (
    Cpus,
    Load,
    divided,
    loaded,
    middle,
    percentile_ms,
    started_on,
)
from twopass.benchmarks.gpu.variants import environment_of
from twopass.client import Client
from twopass.server.local import COMPUTES_ALL, LocalServer

# Less than the passages take that callers send in turn, so that each is new to the server.
_CACHE_FLAGS = ("--passage-cache-bytes", str(2 * 2**20))
_HTTP_FLAGS = ("--http-address", "127.0.0.1:0")
_CASES = {"gRPC": "Rerank {}", "HTTP": "HTTP rerank {}"}
_MIDDLE, _NEAR_THE_END = 500, 990


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is measured.

    Attributes:
        name: Of its engine in reports.
        engine: What `--engine` takes.
        environment: Variables that it is started with.
        devices: An engine on each; none for one engine, on the device that it takes by itself.
    """

    name: str
    engine: str
    environment: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()


def through_server(scale: Scale, served: Served) -> list[Row]:
    """Rerank of 40 and 100 passages of about 100 tokens, one after another and many at once."""
    cpus = divided()
    flags = [*COMPUTES_ALL, *_CACHE_FLAGS, *_HTTP_FLAGS, "--engine", served.engine]
    flags += [word for device in served.devices for word in ("--devices", device)]
    flags += ["--reranker", scale.model(RERANKER)]
    if scale.models is not None:
        flags += ["--encoder", scale.model("all-MiniLM-L6-v2")]
    log = None
    if scale.logs is not None:
        log = scale.logs / f"server-{served.name.replace(' ', '-').replace(',', '')}.log"
    with ExitStack() as undo:
        with environment_of(served.environment), started_on(cpus.server):
            server = undo.enter_context(LocalServer(None, flags=tuple(flags), log=log))
        addresses = {"gRPC": server.target, "HTTP": server.http_url}
        rows = [
            _row(scale, server.pid, addresses[wire], cpus, (wire, count, under_way))
            for wire, count, under_way in _loads(scale)
        ]
        return [row | {"CUDA graphs": _has_graphs(server.target)} for row in rows]


def _has_graphs(target: str) -> bool:
    """Whether the reranker's engine still replays CUDA graphs, after all loads."""
    with Client(target) as client:
        models = client.models()
    return any(model.cuda_graphs for model in models if model.kind == "reranker")


def _loads(scale: Scale) -> list[tuple[str, int, int]]:
    """Wire, passages, requests under way: what goals ask for first, little else."""
    smallest, largest = scale.passages[0], scale.passages[-1]
    fewest, most = scale.under_way[0], scale.under_way[-1]
    found = [
        *(("gRPC", count, 1) for count in scale.passages),
        *(("gRPC", count, most) for count in reversed(scale.passages)),
        ("HTTP", smallest, 1),
        ("HTTP", largest, most),
        ("gRPC", largest, fewest),
    ]
    return list(dict.fromkeys(found))


def _row(scale: Scale, pid: int, address: str, cpus: Cpus, asked: tuple[str, int, int]) -> Row:
    wire, count, under_way = asked
    load = Load(
        case=_CASES[wire].format(count),
        address=address,
        num_pairs=count,
        under_way=under_way,
        seconds=scale.seconds,
        turns=scale.turns,
    )
    turns = loaded(pid, load, cpus)
    found = middle(turns)
    return {
        "wire": wire,
        "passages": count,
        "under way": under_way,
        "pairs/s": figure_of([each.pairs_per_second for each in turns]),
        "p50 ms": figure_of([percentile_ms([each], _MIDDLE) for each in turns]),
        "p99 ms": percentile_ms(turns, _NEAR_THE_END),
        "server cores": found.server_cores,
        "of": len(cpus.server),
        "server us a pair": found.server_cpu_us,
        "event loop": found.loop_busy,
        "busiest caller": found.callers_busy,
        "device": found.device_busy,
        "full": found.full(len(cpus.server)) or "nobody",
    }
