"""`make engine-faults`: breaks a server's reranker in every way, and looks on.

What callers of Rerank and of Search saw, what health said, and how long until all was well again.
"""

import argparse
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.table import Table

from twopass.client import Client, Document, TwopassError
from twopass.engines.base.sequences import TokenBatch

from ..integration.faulty_engines import (
    break_reranker,
    computes_nonsense,
    hangs,
    over,
    runs_out_of_memory,
    throws,
)
from ..integration.serving import Server
from .driver import NO_RETRIES

SERVING = health_pb2.HealthCheckResponse.SERVING
PAUSE_SECONDS = 0.02
GIVE_UP_SECONDS = 60.0
TEXTS = ("the sea is salt", "the moon draws the tide", "sand is worn stone")


@dataclass
class Seen:
    """What became of the calls of one kind, while a fault lasted and until it was mended."""

    ended: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0

    def __str__(self) -> str:
        shares = ", ".join(f"{count} {status}" for status, count in self.ended.most_common())
        return f"{shares}; slowest {self.slowest_ms:,.0f} ms"


def rerank(client: Client) -> str:
    """Calls Rerank; returns its status."""
    try:
        client.rerank("why is there a tide?", TEXTS, timeout=5.0)
    except TwopassError as error:
        return error.code.name
    return "OK"


def search(client: Client) -> str:
    """Calls Search, which may fall back; returns its status, or the second pass's."""
    try:
        result = client.search("docs", "why is there a tide?", timeout=5.0)
    except TwopassError as error:
        return error.code.name
    return str(result.rerank_status)


class Onlooker:
    """Calls without end, and watches health, until told to stop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.seen = {"rerank": Seen(), "search": Seen()}
        self.health: list[tuple[float, int]] = []
        self._began = time.perf_counter()
        self._states = health_pb2_grpc.HealthStub(server.channel).Watch(
            health_pb2.HealthCheckRequest()
        )
        self._threads = [
            threading.Thread(target=self._call, args=("rerank", rerank)),
            threading.Thread(target=self._call, args=("search", search)),
            threading.Thread(target=self._watch),
        ]
        for thread in self._threads:
            thread.start()

    def since_began(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._began

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()
        self._states.cancel()
        for thread in self._threads:
            thread.join()

    def _call(self, name: str, call: Callable[[Client], str]) -> None:
        seen = self.seen[name]
        with Client(self._server.target, options=NO_RETRIES) as client:
            while not self._stop.wait(PAUSE_SECONDS):
                began = time.perf_counter()
                seen.ended[call(client)] += 1
                seen.slowest_ms = max(seen.slowest_ms, 1e3 * (time.perf_counter() - began))

    def _watch(self) -> None:
        try:
            for state in self._states:
                self.health.append((self.since_began(), state.status))
        except grpc.RpcError:  # cancelled
            pass


def look_on(server: Server, fault: Callable[[TokenBatch], np.ndarray]) -> tuple[Onlooker, str, str]:
    """Breaks the reranker; returns what was seen, and when health changed and came back."""
    onlooker = Onlooker(server)
    time.sleep(0.5)
    broken = onlooker.since_began()
    break_reranker(server, fault)
    while onlooker.since_began() - broken < GIVE_UP_SECONDS:
        time.sleep(PAUSE_SECONDS)
        later = [(at, state) for at, state in onlooker.health if at > broken]
        if len(later) > 1 and later[-1][1] == SERVING:
            break
    time.sleep(0.5)
    onlooker.stop()
    later = [(at - broken, state) for at, state in onlooker.health if at > broken]
    noticed = next((f"{at:.2f} s" for at, state in later if state != SERVING), "never")
    mended = next((f"{at:.2f} s" for at, state in later[1:] if state == SERVING), "never")
    return onlooker, noticed, mended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probe-seconds", type=float, default=1.0)
    parser.add_argument("--probe-timeout-seconds", type=float, default=5.0)
    settings = vars(parser.parse_args())
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("engine", "health NOT_SERVING", "SERVING again", "Rerank", "Search"):
        table.add_column(column)
    failed = []
    with (
        tempfile.TemporaryDirectory() as data,
        Server(Path(data), gated=False, score_cache_bytes=0, **settings) as server,
    ):
        with Client(server.target) as client:
            client.create_collection("docs")
            client.upsert("docs", [Document(str(i), text) for i, text in enumerate(TEXTS)])
        for fault in (throws, runs_out_of_memory, computes_nonsense, hangs):
            onlooker, noticed, mended = look_on(server, fault)
            seen = onlooker.seen
            name = fault.__name__.replace("_", " ")
            table.add_row(name, noticed, mended, str(seen["rerank"]), str(seen["search"]))
            with Client(server.target) as client:
                if mended == "never" or rerank(client) != "OK":
                    failed.append(name)
        over.set()
    Console(width=240).print(table)
    if failed:
        raise SystemExit(f"not mended: {', '.join(failed)}")


if __name__ == "__main__":
    main()
