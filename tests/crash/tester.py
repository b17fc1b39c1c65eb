"""Lives of one server on one data folder, and what is found between them."""

import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

from twopass.client import Client
from twopass.server.config import ServerConfig
from twopass.server.config_loading import load_config

from .aliases import SwitchedAliases
from .damage import meddle
from .examination import examine, examine_file
from .killable import KillableServer
from .kinds import KINDS
from .ledger import Ledger
from .moments import wait_for_moment
from .renames import RenamedCollection
from .tiny_models import write_tiny_models
from .touches import Touches
from .workload import Workload

# Merges and flushes come several times a second, so that many a kill meets one.
_MERGE_CHANGES = 50
# Starting takes a second at most; a server that needs longer hangs.
_START_SECONDS = 60.0
_SHARE_KILLED_DURING_START = 0.2
_LONGEST_KILLED_START = 0.2


class Tester:
    """Starts, examines, burdens and kills a server.

    Attributes:
        num_problems: Broken promises so far.
    """

    def __init__(self, folder: Path, seed: int, longest_life: float) -> None:
        models = write_tiny_models(folder)
        self._config: ServerConfig = load_config(
            {
                "data": folder / "data",
                "address": "127.0.0.1:0",
                "encoder": str(models.encoder),
                "reranker": str(models.reranker),
                "threads": 1,
                "merge_changes": _MERGE_CHANGES,
            }
        )
        self._log = folder / "server.log"
        self._collections = folder / "data" / "collections"
        self._random = random.Random(seed)
        self._longest_life = longest_life
        self._ledgers = {kind.name: Ledger() for kind in KINDS}
        self._touches = {kind.name: Touches() for kind in KINDS}
        first, second, *_ = (kind.name for kind in KINDS)
        self._aliases = {
            kind.name: SwitchedAliases((f"{kind.name}-a", f"{kind.name}-b"), (first, second))
            for kind in KINDS
        }
        self._renames = {
            kind.name: RenamedCollection((f"{kind.name}-blue", f"{kind.name}-green"))
            for kind in KINDS
        }
        self._snapshots: dict[str, list[str]] = {kind.name: [] for kind in KINDS}
        self._num_snapshots = 0
        self._num_kills = 0
        self._num_kills_during_start = 0
        self._num_kills_during_writes = 0
        self._meddled: list[str] = []
        self._log_read = 0
        self._counts: Counter[str] = Counter()
        self._began = time.monotonic()

    @property
    def num_problems(self) -> int:
        return self._counts.total()

    def live_and_die(self) -> None:
        """Starts the server, examines it, sets clients on it, and kills it."""
        if meddled := meddle(self._collections, self._random):
            self._meddled.append(f"before kill {self._num_kills + 1}: {meddled}")
        server = KillableServer(self._config, self._log)
        patience = _START_SECONDS
        if self._random.random() < _SHARE_KILLED_DURING_START:
            patience = self._random.uniform(0, _LONGEST_KILLED_START)
        if target := server.wait_until_serving(patience):
            self._examine(target)
            workloads = [
                Workload(
                    [target],
                    kind,
                    self._ledgers[kind.name],
                    self._touches[kind.name],
                    self._aliases[kind.name],
                    self._renames[kind.name],
                    self._random.randrange(2**32),
                )
                for kind in KINDS
            ]
            is_writing = wait_for_moment(self._collections, self._longest_life, self._random)
            server.kill()
            self._num_kills_during_writes += is_writing
            for workload in workloads:
                workload.join()
                self._snapshots[workload.collection] += workload.snapshots
                self._note("wrong answers", workload.failures)
        else:
            server.kill()
            self._num_kills_during_start += 1
        self._num_kills += 1
        self._note("errors in the log", self._errors_logged())

    def finish(self) -> None:
        """Examines what the last kill left, and stops the server as an operator would."""
        server = KillableServer(self._config, self._log)
        self._examine(server.wait_until_serving(_START_SECONDS))
        server.stop()
        self._note("errors in the log", self._errors_logged())

    def summary(self) -> str:
        """What was done and found, in one line."""
        return (
            f"{self._num_kills} kills, {self._num_kills_during_start} of them during a start, "
            f"{self._num_kills_during_writes} while derived files were written, "
            f"{len(self._meddled)} after one was damaged or outdated, "
            f"in {time.monotonic() - self._began:.0f} s; "
            f"{self._num_acknowledged:,} writes acknowledged, {self._num_snapshots:,} snapshots, "
            f"{sum(a.num_acknowledged for a in self._aliases.values()):,} switches of aliases, "
            f"{sum(r.num_acknowledged for r in self._renames.values()):,} renames, "
            f"{self._num_indexes()}: "
            + ", ".join(f"{count} {kind}" for kind, count in self._counts.items())
        )

    def _examine(self, target: str) -> None:
        num_documents = 0
        with Client(target) as client:
            existing = {collection.name for collection in client.list_collections()}
            for kind in KINDS:
                name = kind.name
                if name not in existing:
                    client.create_collection(name, kind.schema)
                database = self._collections / name / "documents.sqlite"
                snapshots, ledger = self._snapshots[name], self._ledgers[name]
                touches = self._touches[name]
                look_inside = partial(examine_file, database, kind)
                findings = examine(
                    client, kind, ledger, touches, self._random, look_inside, snapshots
                )
                self._num_snapshots += len(snapshots)
                snapshots.clear()
                num_documents += findings.num_documents
                for what, problems in findings.by_kind().items():
                    self._note(what, problems)
                self._note("wrong aliases", self._aliases[name].examine(client))
                self._note("wrong names", self._renames[name].examine(client))
        if self._num_kills % 20 == 0:
            print(
                f"{self._num_kills:4} kills, {self._num_acknowledged:7,} writes acknowledged, "
                f"{num_documents:5,} documents",
                flush=True,
            )

    def _errors_logged(self) -> list[str]:
        """What servers have called an error since the last call: damage is only a warning."""
        with self._log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._log_read)
            lines = log.readlines()
            self._log_read = log.tell()
        return [line.strip() for line in lines if " ERROR " in line or "Traceback" in line]

    @property
    def _num_acknowledged(self) -> int:
        records = (*self._ledgers.values(), *self._touches.values())
        return sum(record.num_acknowledged for record in records)

    def _num_indexes(self) -> str:
        """How indexes came up, as the server's log tells."""
        lines = self._log.read_text(encoding="utf-8").splitlines()

        def number(message: str) -> str:
            return f"{sum(message in line for line in lines):,}"

        return (
            f"vectors merged {number('index merged')} times, loaded from a file "
            f"{number('index loaded from its file')}, from documents "
            f"{number('index read from the documents')}; words flushed {number('words flushed')} "
            f"times, loaded {number('words loaded')}, left aside {number('words left aside')}, "
            f"indexed anew {number('words indexed')}"
        )

    def _note(self, kind: str, problems: list[str]) -> None:
        self._counts[kind] += len(problems)
        if problems:
            print(*self._meddled[-3:], sep="\n")
        for problem in problems:
            print(f"kill {self._num_kills}: {kind}: {problem}", flush=True)
