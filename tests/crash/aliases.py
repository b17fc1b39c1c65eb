"""Two aliases that are switched together, and what they may stand for after a kill."""

from twopass.client import Client


class SwitchedAliases:
    """Remembers what was asked and what was acknowledged, for one thread that switches.

    Attributes:
        names: The aliases.
    """

    def __init__(self, names: tuple[str, str], collections: tuple[str, str]) -> None:
        """Has them stand for nothing yet, and later for one collection and the other by turns."""
        self.names = names
        self.num_acknowledged = 0
        self._collections = collections
        self._acknowledged: str | None = None
        self._begun: str | None = None

    def switch(self, client: Client) -> None:
        """Switches both in one call; what was begun is remembered if no answer comes."""
        first, second = self._collections
        self._begun = second if self._acknowledged == first else first
        client.update_aliases(dict.fromkeys(self.names, self._begun))
        self._acknowledged, self._begun = self._begun, None
        self.num_acknowledged += 1

    def examine(self, client: Client) -> list[str]:
        """What is wrong with them on a server that nobody burdens; then takes them as they are."""
        described = client.list_collections()
        stands_for = {alias: c.name for c in described for alias in c.aliases}
        found = {stands_for.get(name) for name in self.names}
        if len(found) > 1:
            return [f"aliases {self.names} were switched together, but stand for {found}"]
        (collection,) = found
        allowed = {self._acknowledged, self._begun or self._acknowledged}
        if collection not in allowed:
            return [f"aliases {self.names} stand for {collection}, not for one of {allowed}"]
        self._acknowledged, self._begun = collection, None
        return []
