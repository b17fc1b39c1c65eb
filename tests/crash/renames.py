"""A collection that is renamed all the time, and what it may be called after a kill."""

from twopass.client import Client, Document, Schema

_KEPT = "kept"


class RenamedCollection:
    """Remembers what was asked and what was acknowledged, for one thread that renames.

    The collection has two names by turns, and keeps the other one as its alias every other time. It
    holds one document and may have one snapshot, which have to stay with it.
    """

    def __init__(self, names: tuple[str, str], *, has_snapshot: bool = True) -> None:
        """Begins before the collection is made.

        Args:
            names: The two that it has by turns.
            has_snapshot: Whether it has one; not every store keeps them.
        """
        self.num_acknowledged = 0
        self._has_snapshot = has_snapshot
        self._names = names
        # What it may be called, and whether the other name is an alias; in the order of calls.
        self._acknowledged: tuple[str, bool] | None = None
        self._begun: tuple[str, bool] | None = None

    def rename(self, client: Client) -> None:
        """Renames it once; what was begun is remembered if no answer comes."""
        assert self._acknowledged is not None
        name, _ = self._acknowledged
        first, second = self._names
        new_name = second if name == first else first
        keeps_alias = self.num_acknowledged % 2 == 0
        self._begun = new_name, keeps_alias
        client.rename_collection(name, new_name, keep_alias=keeps_alias)
        self._acknowledged, self._begun = self._begun, None
        self.num_acknowledged += 1

    def examine(self, client: Client) -> list[str]:
        """What is wrong with it on a server that nobody burdens; then takes it as it is."""
        described = {x.name: x for x in client.list_collections() if x.name in self._names}
        if self._acknowledged is None:
            self._make(client, {*described})
            return []
        allowed = {self._acknowledged, self._begun or self._acknowledged}
        found = {(x.name, bool(x.aliases)) for x in described.values()}
        if len(found) != 1 or not found <= allowed:
            return [f"a collection renamed between {self._names} is {found}, not one of {allowed}"]
        (self._acknowledged,) = found
        self._begun = None
        name, has_alias = self._acknowledged
        problems = [
            f"{each} of {self._names} has lost its document"
            for each in (self._names if has_alias else (name,))
            if [document.id for document in client.documents(each)] != [_KEPT]
        ]
        if self._has_snapshot:
            snapshots = [snapshot.name for snapshot in client.list_snapshots(name)]
            if snapshots != [_KEPT]:
                problems.append(f"{name} of {self._names} has the snapshots {snapshots}")
        return problems

    def _make(self, client: Client, existing: set[str]) -> None:
        """Makes the collection; a server that was killed meanwhile has made some of it."""
        first, _ = self._names
        if first not in existing:
            client.create_collection(first, Schema(dimension=2, client_vectors=True))
        client.upsert(first, [Document(_KEPT, "what was written", vector=[1.0, 0.0])])
        if self._has_snapshot and not client.list_snapshots(first):
            client.create_snapshot(first, _KEPT)
        self._acknowledged = first, False
