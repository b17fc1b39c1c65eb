"""Clients of a server that will be killed: they write, search, copy, switch and rename at once."""

import random
import threading
import time
from collections.abc import Callable, Sequence

from twopass.client import (
    Client,
    DeadlineExceededError,
    OverloadedError,
    Retrieve,
    TwopassError,
    UnavailableError,
)

from .aliases import SwitchedAliases
from .documents import document, vector_of, word_of
from .kinds import Kind
from .ledger import Ledger, Operation
from .renames import RenamedCollection
from .touches import FIELD, Touches

_NUM_WRITERS = 3
_NUM_SEARCHERS = 1
_NUM_SHARED_IDS = 12
# One commit of these fills some hundred pages of the write-ahead log: long enough to be torn.
_LARGE_WRITE = 60


_SECONDS_BETWEEN_SNAPSHOTS = 0.5
_SECONDS_BETWEEN_SWITCHES = 0.05

EVERYWHERE = Retrieve("dense", nprobe=2)
"""Where an index of two lists is searched as far as an exact one."""

_SEARCHED = (EVERYWHERE, Retrieve("lexical"), Retrieve("hybrid", nprobe=2))


class Workload:
    """Threads that write, delete and search until their server is gone.

    Each writer has ids of its own, which it writes several at a time, and all share some, which
    they write one at a time: what `Ledger` needs to tell every write's outcome.

    Attributes:
        collection: The name of the collection they use.
        failures: What a client saw that it never may see while the server lived.
        snapshots: Names of the snapshots that the server said it has made.
    """

    def __init__(
        self,
        targets: Sequence[str],
        kind: Kind,
        ledger: Ledger,
        touches: Touches,
        aliases: SwitchedAliases,
        renamed: RenamedCollection,
        seed: int,
        *,
        takes_snapshots: bool = True,
        patience: float = 20,
    ) -> None:
        """Starts the threads, which use the servers in turn; all have the same collections.

        A call that is not answered within `patience` seconds ends its thread.
        """
        self._patience = patience
        self._clients = [
            Client(target, timeout=patience, options=[("grpc.enable_retries", 0)])
            for target in targets
        ]
        self.collection = kind.name
        self._kind = kind
        self._ledger = ledger
        self._touches = touches
        self._aliases = aliases
        self._renamed = renamed
        self._is_over = False
        self.failures: list[str] = []
        self.snapshots: list[str] = []
        roles = [self._write] * _NUM_WRITERS + [self._search] * _NUM_SEARCHERS
        roles += [self._switch, self._rename] + [self._copy] * takes_snapshots
        self._threads = [
            threading.Thread(target=self._until_killed, args=(role, number, seed))
            for number, role in enumerate(roles)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Waits until every thread has found out that its server is gone."""
        for thread in self._threads:
            thread.join()
        for client in self._clients:
            client.close()

    def stop(self) -> None:
        """Ends the threads whose servers live on, after the call that each is in."""
        self._is_over = True

    def _until_killed(
        self, role: Callable[[int, random.Random, Client], None], number: int, seed: int
    ) -> None:
        drawn = random.Random(f"{seed} {number}")
        client = self._clients[number % len(self._clients)]
        try:
            while not self._is_over:
                role(number, drawn, client)
        except (UnavailableError, DeadlineExceededError, OverloadedError):
            return  # of a busy machine too: what is refused or late was never acknowledged
        except TwopassError as error:
            # A connection that breaks in the middle of an answer may have other names.
            if "Stream removed" not in error.message and error.code.name != "CANCELLED":
                self.failures.append(f"{role.__name__}: {error.code.name}: {error.message}")
        except Exception as error:  # a thread must not end unheard
            self.failures.append(f"{role.__name__}: {error!r}")

    def _write(self, number: int, drawn: random.Random, client: Client) -> None:
        own = [f"w{number}-{n}" for n in range(self._kind.num_ids)]
        shared = f"shared-{drawn.randrange(_NUM_SHARED_IDS)}"
        choice = drawn.random()
        if choice < 0.5:
            self._upsert(tuple(drawn.sample(own, drawn.randint(1, 8))), drawn, client)
        elif choice < 0.55:
            self._upsert(tuple(drawn.sample(own, _LARGE_WRITE)), drawn, client)
        elif choice < 0.7:
            self._delete(tuple(drawn.sample(own, drawn.randint(1, 4))), drawn, client)
        elif choice < 0.8:
            self._touch(drawn.sample(own, drawn.randint(2, 40)), client)
        elif choice < 0.95:
            self._upsert((shared,), drawn, client)
        else:
            self._delete((shared,), drawn, client)

    def _upsert(self, ids: tuple[str, ...], drawn: random.Random, client: Client) -> None:
        before = {name: self._ledger.acknowledged(name) for name in ids}
        operation = self._ledger.begin_upsert(ids)
        has_vector = not self._kind.is_split
        documents = [document(name, operation.number, has_vector=has_vector) for name in ids]
        summary = client.upsert(
            self.collection, documents, chunk_size=len(ids), timeout=self._patience
        )
        self._acknowledge(operation, summary.sequence)
        if len(ids) > 1 and drawn.random() < 0.3:
            name = drawn.choice(ids)
            reader = drawn.choice(self._clients)
            self._expect(reader, operation, name, operation.number, summary.sequence)
            self._expect_words(reader, operation, name, before[name], summary.sequence)

    def _delete(self, ids: tuple[str, ...], drawn: random.Random, client: Client) -> None:
        before = {name: self._ledger.acknowledged(name) for name in ids}
        operation = self._ledger.begin_delete(ids)
        result = client.delete(self.collection, ids)
        self._acknowledge(operation, result.sequence)
        if len(ids) > 1 and drawn.random() < 0.3:
            name = drawn.choice(ids)
            reader = drawn.choice(self._clients)
            self._expect(reader, operation, name, None, result.sequence)
            self._expect_words(reader, operation, name, before[name], result.sequence)

    def _touch(self, ids: list[str], client: Client) -> None:
        known = {name: self._ledger.acknowledged(name) for name in ids}
        there = {name: version for name, version in known.items() if version is not None}
        if not there:
            return
        number = self._touches.begin(there)
        result = client.update_metadata(self.collection, there, merge={FIELD: number})
        self._touches.acknowledge(number)
        if result.num_updated != len(there):
            self.failures.append(
                f"touch {number} was for {len(there)} documents, and did {result.num_updated}"
            )

    def _acknowledge(self, operation: Operation, sequence: str) -> None:
        self._ledger.acknowledge(operation, position_of(sequence))

    def _expect(
        self,
        client: Client,
        operation: Operation,
        name: str,
        version: int | None,
        sequence: str,
    ) -> None:
        """Searches for a document of the writer's own right after its write was acknowledged."""
        if self._kind.is_split:
            return  # its vectors are the server's, so nobody knows what is near to it
        near = vector_of(name, version or operation.number).tolist()
        found = client.search(
            self.collection,
            vector=near,
            top_n=3,
            retrieve=EVERYWHERE,
            rerank=False,
            min_sequence=sequence,
        )
        seen = {hit.id: int(hit.metadata["version"]) for hit in found.hits}.get(name)
        if seen != version:
            self.failures.append(
                f"write {operation.number} was acknowledged, but a search saw {name} in version "
                f"{seen} instead of {version}"
            )

    def _expect_words(
        self,
        client: Client,
        operation: Operation,
        name: str,
        before: int | None,
        sequence: str,
    ) -> None:
        """Searches for the word that such a document has, and for that of the one it replaced."""
        wanted = set() if operation.version is None else {name}
        for version, expected in ((operation.version, wanted), (before, set())):
            if version is None:
                continue
            found = client.search(
                self.collection,
                word_of(name, version),
                top_n=3,
                retrieve="lexical",
                rerank=False,
                min_sequence=sequence,
            )
            seen = {hit.id for hit in found.hits}
            if seen != expected:
                self.failures.append(
                    f"write {operation.number} was acknowledged, but the word of {name} in version "
                    f"{version} found {sorted(seen)} instead of {sorted(expected)}"
                )

    def _search(self, number: int, drawn: random.Random, client: Client) -> None:
        found = client.search(
            self.collection,
            f"{number} version",
            vector=[drawn.gauss(0, 1) for _ in range(self._kind.dimension)],
            top_n=drawn.choice((1, 10, 100)),
            retrieve=drawn.choice(_SEARCHED),
            rerank=drawn.random() < 0.2,
        )
        ids = [hit.id for hit in found.hits]
        if len(set(ids)) != len(ids):
            self.failures.append(f"a search found a document twice: {sorted(ids)}")
        for hit in found.hits:
            version = int(hit.metadata["version"])
            if not self._ledger.was_begun(hit.id, version):
                self.failures.append(f"a search found {hit.id} in version {version}: never written")

    def _copy(self, number: int, drawn: random.Random, client: Client) -> None:
        time.sleep(drawn.uniform(0, _SECONDS_BETWEEN_SNAPSHOTS))
        self.snapshots.append(client.create_snapshot(self.collection).name)

    def _switch(self, number: int, drawn: random.Random, client: Client) -> None:
        time.sleep(drawn.uniform(0, _SECONDS_BETWEEN_SWITCHES))
        self._aliases.switch(client)

    def _rename(self, number: int, drawn: random.Random, client: Client) -> None:
        time.sleep(drawn.uniform(0, _SECONDS_BETWEEN_SWITCHES))
        self._renamed.rename(client)


def position_of(sequence: str) -> int:
    """Where a write stands in the order of its collection's writes."""
    return int(sequence.rpartition(".")[2])
