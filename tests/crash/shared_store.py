"""Lives of two servers that share a PostgreSQL, and what is found between them.

In each life both write at once, until one of them, both, PostgreSQL with all its processes, or all
three are killed. What was killed is started again, and everything is examined through each server
in turn.
"""

import asyncio
import random
import re
import time
from collections import Counter
from functools import partial
from pathlib import Path

from twopass.client import Client, TwopassError
from twopass.server.config_loading import load_config

from ..stores.servers import PostgresServer
from .aliases import SwitchedAliases
from .examination import examine
from .killable import KillableServer
from .kinds import SHARED_KINDS
from .ledger import Findings, Ledger
from .postgres_tables import examine_tables, wait_until_quiet
from .renames import RenamedCollection
from .tiny_models import write_tiny_models
from .touches import Touches
from .workload import Workload

_NUM_SERVERS = 2
_START_SECONDS = 60.0
# An upsert is tried again until then where its server or the store has gone.
_PATIENCE = 6.0
_VICTIMS = {
    "PostgreSQL": 4,
    "a server": 3,
    "both servers": 1,
    "PostgreSQL and a server": 2,
    "everything": 2,
}
"""What is killed, and how often beside the others."""
# asyncpg leaves a future of its own behind where a connection ends between two steps of a call.
_LEFT_BEHIND = re.compile("Future exception was never retrieved.*ConnectionDoesNotExistError")


class SharedStoreTester:
    """Starts, examines, burdens and kills two servers and the PostgreSQL between them.

    Attributes:
        num_problems: Broken promises so far.
    """

    def __init__(self, folder: Path, seed: int, longest_life: float) -> None:
        models = write_tiny_models(folder)
        self._postgres = PostgresServer(syncs=True)
        self._postgres.start()
        self._config = load_config(
            {
                "store": self._postgres.url,
                "address": "127.0.0.1:0",
                "encoder": str(models.encoder),
                "reranker": str(models.reranker),
                "threads": 1,
            }
        )
        self._log = folder / "server.log"
        self._random = random.Random(seed)
        self._longest_life = longest_life
        self._servers: list[KillableServer] = []
        self._targets: list[str] = []
        self._ledgers = {kind.name: Ledger() for kind in SHARED_KINDS}
        self._touches = {kind.name: Touches() for kind in SHARED_KINDS}
        first, second, *_ = (kind.name for kind in SHARED_KINDS)
        self._aliases = {
            kind.name: SwitchedAliases((f"{kind.name}-a", f"{kind.name}-b"), (first, second))
            for kind in SHARED_KINDS
        }
        self._renames = {
            kind.name: RenamedCollection(
                (f"{kind.name}-blue", f"{kind.name}-green"), has_snapshot=False
            )
            for kind in SHARED_KINDS
        }
        self._victims: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._log_read = 0
        self._num_documents = 0
        self._began = time.monotonic()

    @property
    def num_problems(self) -> int:
        return self._counts.total()

    def live_and_die(self) -> None:
        """Starts what does not run, examines it, sets clients on it, and kills some of it."""
        self._start()
        self._examine()
        workloads = [
            Workload(
                self._targets,
                kind,
                self._ledgers[kind.name],
                self._touches[kind.name],
                self._aliases[kind.name],
                self._renames[kind.name],
                self._random.randrange(2**32),
                takes_snapshots=False,
                patience=_PATIENCE,
            )
            for kind in SHARED_KINDS
        ]
        time.sleep(self._random.uniform(0, self._longest_life))
        self._kill(self._drawn_victims())
        for workload in workloads:
            workload.stop()
        for workload in workloads:
            workload.join()
            self._note("wrong answers", workload.failures)
        self._note("errors in the log", self._errors_logged())
        if self._victims.total() % 10 == 0:
            print(
                f"{self._victims.total():4} kills, {self._num_acknowledged:7,} writes "
                f"acknowledged, {self._num_documents:5,} documents",
                flush=True,
            )

    def finish(self) -> None:
        """Examines what the last kill left, and ends everything."""
        self._start()
        self._examine()
        for server in self._servers:
            server.stop()
        self._note("errors in the log", self._errors_logged())
        self._postgres.__exit__()

    def summary(self) -> str:
        """What was done and found, in one line."""
        killed = ", ".join(f"{count} of {what}" for what, count in self._victims.items())
        return (
            f"{self._victims.total()} kills: {killed}; in {time.monotonic() - self._began:.0f} s; "
            f"{self._num_acknowledged:,} writes acknowledged by {_NUM_SERVERS} servers at once, "
            f"{sum(a.num_acknowledged for a in self._aliases.values()):,} switches of aliases, "
            f"{sum(r.num_acknowledged for r in self._renames.values()):,} renames: "
            + ", ".join(f"{count} {kind}" for kind, count in self._counts.items())
        )

    def _drawn_victims(self) -> str:
        (victims,) = self._random.choices(list(_VICTIMS), list(_VICTIMS.values()))
        return victims

    def _kill(self, victims: str) -> None:
        self._victims[victims] += 1
        doomed = list(range(_NUM_SERVERS))
        if victims in ("a server", "PostgreSQL and a server"):
            doomed = [self._random.randrange(_NUM_SERVERS)]
        elif victims == "PostgreSQL":
            doomed = []
        if victims in ("PostgreSQL", "PostgreSQL and a server", "everything"):
            self._postgres.kill()
        for number in sorted(doomed, reverse=True):
            self._servers.pop(number).kill()
            del self._targets[number]

    def _start(self) -> None:
        if not self._postgres.is_running:
            self._postgres.start()
        while len(self._servers) < _NUM_SERVERS:
            server = KillableServer(self._config, self._log)
            self._servers.append(server)
            self._targets.append(server.wait_until_serving(_START_SECONDS))
        if busy := asyncio.run(wait_until_quiet(self._postgres.url)):
            self._note("sessions that do not end", [f"{busy} of them"])

    def _examine(self) -> None:
        self._num_documents = 0
        for target, kind in zip(self._targets * len(SHARED_KINDS), SHARED_KINDS, strict=False):
            with Client(target) as client:
                _wait_for_store(client)
                existing = {collection.name for collection in client.list_collections()}
                if kind.name not in existing:
                    client.create_collection(kind.name, kind.schema)
                findings = examine(
                    client,
                    kind,
                    self._ledgers[kind.name],
                    self._touches[kind.name],
                    self._random,
                    partial(self._examine_tables, kind.name),
                    None,
                )
                self._num_documents += findings.num_documents
                for what, problems in findings.by_kind().items():
                    self._note(what, problems)
        for target in self._targets:
            with Client(target) as client:
                for kind in SHARED_KINDS:
                    self._note("wrong aliases", self._aliases[kind.name].examine(client))
                    self._note("wrong names", self._renames[kind.name].examine(client))

    def _examine_tables(self, name: str, findings: Findings) -> None:
        asyncio.run(examine_tables(self._postgres.url, name, findings))

    def _errors_logged(self) -> list[str]:
        """What servers have called an error since the last call."""
        with self._log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._log_read)
            lines = log.readlines()
            self._log_read = log.tell()
        errors = [line.strip() for line in lines if " ERROR " in line or "Traceback" in line]
        return [line for line in errors if not _LEFT_BEHIND.search(line)]

    @property
    def _num_acknowledged(self) -> int:
        records = (*self._ledgers.values(), *self._touches.values())
        return sum(record.num_acknowledged for record in records)

    def _note(self, kind: str, problems: list[str]) -> None:
        self._counts[kind] += len(problems)
        for problem in problems:
            print(f"kill {self._victims.total()}: {kind}: {problem}", flush=True)


def _wait_for_store(client: Client) -> None:
    """Waits until a server that has lived through the end of its store has found it again."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.list_collections()
        except TwopassError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return
