"""What a collection may hold after a crash: the acknowledged, and of the rest all or nothing."""

import sys
import threading
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

_END = sys.maxsize


@dataclass(frozen=True, slots=True)
class Operation:
    """A write that was begun.

    Attributes:
        number: Tells it from all others; the version of the documents that it writes.
        ids: The documents it writes or deletes.
        version: What each of them is after it: `number`, or None for gone.
    """

    number: int
    ids: tuple[str, ...]
    version: int | None


@dataclass(slots=True)
class Findings:
    """What an examination found; every entry of a list is one broken promise, in words."""

    num_documents: int = 0
    missing: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def by_kind(self) -> dict[str, list[str]]:
        """The lists by their names."""
        return {
            "missing": self.missing,
            "stale": self.stale,
            "phantom": self.phantom,
            "torn": self.torn,
            "other": self.other,
        }

    def add(self, others: "Findings", where: str) -> None:
        """Takes in what was found elsewhere."""
        for kind, problems in others.by_kind().items():
            self.by_kind()[kind].extend(f"{where}: {problem}" for problem in problems)


class Ledger:
    """Records writes as their callers see them: begun, then acknowledged or never heard of.

    Writes of several documents must not share an id with a write that is under way at the same
    time; writes of one document may. So the outcome of each write can be told from what is found.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._operations: dict[int, Operation] = {}
        # What each document was after which position, as far as acknowledgements tell.
        self._history: dict[str, list[tuple[int, int | None]]] = {}
        self._open: dict[int, Operation] = {}
        self.num_acknowledged = 0

    def begin_upsert(self, ids: Iterable[str]) -> Operation:
        """Notes that documents are about to be written, under a version of their own."""
        return self._begin(tuple(ids), is_upsert=True)

    def begin_delete(self, ids: Iterable[str]) -> Operation:
        """Notes that documents are about to be deleted."""
        return self._begin(tuple(ids), is_upsert=False)

    def acknowledge(self, operation: Operation, position: int) -> None:
        """Notes that the server said a write is done, and where in the order of writes it is."""
        with self._changing:
            del self._open[operation.number]
            self.num_acknowledged += 1
            for name in operation.ids:
                insort(
                    self._history.setdefault(name, [(0, None)]),
                    (position, operation.version),
                    key=lambda entry: entry[0],
                )

    def was_begun(self, name: str, version: int) -> bool:
        """Whether such a document was ever on its way to the server."""
        operation = self._operations.get(version)
        return operation is not None and operation.version == version and name in operation.ids

    def acknowledged(self, name: str) -> int | None:
        """The version that a document has by the latest acknowledgement; None if it has none."""
        with self._changing:
            return self._version_at(name, _END) if name in self._history else None

    def gone(self, found: Mapping[str, int], most: int) -> list[tuple[str, int]]:
        """Id and version of what was begun last and is not among what was found, latest first."""
        with self._changing:
            versions = (
                (name, operation.version)
                for operation in reversed(self._operations.values())
                if operation.version is not None
                for name in operation.ids
            )
            replaced = (pair for pair in versions if found.get(pair[0]) != pair[1])
            return list(islice(replaced, most))

    def compare(self, found: Mapping[str, int], position: int = _END) -> Findings:
        """Holds what a collection has, versions by id, against what it may have at a position.

        The position must not be before the last `settle`. Unset: after every write.
        """
        findings = Findings(num_documents=len(found))
        with self._changing:
            expected = {name: self._version_at(name, position) for name in self._history}
            for name in sorted(expected.keys() | found.keys() | self._open_ids()):
                self._compare_document(name, found.get(name), expected.get(name), findings)
            for operation in self._open.values():
                _compare_operation(operation, found, expected, findings)
        return findings

    def settle(self, found: Mapping[str, int], position: int) -> None:
        """Takes what was found after a crash as the truth from which later writes go on."""
        with self._changing:
            self._open.clear()
            self._history = {name: [(position, version)] for name, version in found.items()}

    def _begin(self, ids: tuple[str, ...], *, is_upsert: bool) -> Operation:
        with self._changing:
            number = len(self._operations) + 1
            operation = Operation(number, ids, number if is_upsert else None)
            self._operations[number] = self._open[number] = operation
            return operation

    def _open_ids(self) -> set[str]:
        return {name for operation in self._open.values() for name in operation.ids}

    def _version_at(self, name: str, position: int) -> int | None:
        until = [version for where, version in self._history[name] if where <= position]
        return until[-1] if until else None

    def _compare_document(
        self, name: str, version: int | None, expected: int | None, findings: Findings
    ) -> None:
        possible = {o.version for o in self._open.values() if name in o.ids} | {expected}
        if version in possible:
            return
        said = f"{name}: version {version} found, {_listed(possible)} possible"
        if version is None:
            findings.missing.append(said)
        elif expected is None or not self.was_begun(name, version):
            findings.phantom.append(said)
        else:
            findings.stale.append(said)


def _compare_operation(
    operation: Operation,
    found: Mapping[str, int],
    expected: Mapping[str, int | None],
    findings: Findings,
) -> None:
    if len(operation.ids) == 1:
        return
    is_there = [found.get(name) == operation.version for name in operation.ids]
    was_before = [found.get(name) == expected.get(name) for name in operation.ids]
    if not all(is_there) and not all(was_before):
        findings.torn.append(
            f"write {operation.number}: {sum(is_there)} of {len(is_there)} documents are there"
        )


def _listed(versions: Iterable[int | None]) -> str:
    return " or ".join(sorted(map(str, versions)))
