"""Lives of one server on one data folder, and what is found between them."""

import random
import time
from collections import Counter
from pathlib import Path

from twopass.client import Client, Schema
from twopass.server.config import ServerConfig, load_config

from .documents import DIMENSION
from .examination import examine
from .killable import KillableServer
from .ledger import Ledger
from .tiny_models import write_tiny_models
from .workload import Workload

_COLLECTION = "notes"
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
            }
        )
        self._log = folder / "server.log"
        self._database = folder / "data" / "collections" / _COLLECTION / "documents.sqlite"
        self._random = random.Random(seed)
        self._longest_life = longest_life
        self._ledger = Ledger()
        self._num_kills = 0
        self._num_kills_during_start = 0
        self._counts: Counter[str] = Counter()
        self._began = time.monotonic()

    @property
    def num_problems(self) -> int:
        return self._counts.total()

    def live_and_die(self) -> None:
        """Starts the server, examines it, sets clients on it, and kills it."""
        server = KillableServer(self._config, self._log)
        patience = _START_SECONDS
        if self._random.random() < _SHARE_KILLED_DURING_START:
            patience = self._random.uniform(0, _LONGEST_KILLED_START)
        if target := server.wait_until_serving(patience):
            self._examine(target)
            seed = self._random.randrange(2**32)
            workload = Workload(target, _COLLECTION, self._ledger, seed)
            time.sleep(self._random.uniform(0, self._longest_life))
            server.kill()
            workload.join()
            self._note("wrong answers", workload.failures)
        else:
            server.kill()
            self._num_kills_during_start += 1
        self._num_kills += 1

    def finish(self) -> None:
        """Examines what the last kill left, and stops the server as an operator would."""
        server = KillableServer(self._config, self._log)
        self._examine(server.wait_until_serving(_START_SECONDS))
        server.stop()

    def summary(self) -> str:
        """What was done and found, in one line."""
        return (
            f"{self._num_kills} kills, {self._num_kills_during_start} of them during a start, "
            f"in {time.monotonic() - self._began:.0f} s; "
            f"{self._ledger.num_acknowledged:,} writes acknowledged: "
            + ", ".join(f"{count} {kind}" for kind, count in self._counts.items())
        )

    def _examine(self, target: str) -> None:
        with Client(target) as client:
            if not client.list_collections():
                schema = Schema(client_vectors=True, dimension=DIMENSION)
                client.create_collection(_COLLECTION, schema)
            seed = self._random.randrange(2**32)
            findings = examine(client, _COLLECTION, self._ledger, self._database, seed)
        for kind, problems in findings.by_kind().items():
            self._note(kind, problems)
        if self._num_kills % 20 == 0:
            print(
                f"{self._num_kills:4} kills, {self._ledger.num_acknowledged:7,} writes "
                f"acknowledged, {findings.num_documents:5,} documents",
                flush=True,
            )

    def _note(self, kind: str, problems: list[str]) -> None:
        self._counts[kind] += len(problems)
        for problem in problems:
            print(f"kill {self._num_kills}: {kind}: {problem}", flush=True)
