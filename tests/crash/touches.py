"""Changes of documents' metadata in place, as their callers see them: begun, then acknowledged."""

import threading
from collections.abc import Mapping

FIELD = "touched"
"""The field of a document's metadata that a touch sets to its number."""


class Touches:
    """Records touches: which one a document may show after a crash.

    A writer touches documents of its own only, one touch after the other, and knows their versions.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._num_begun = 0
        self._open: dict[int, dict[str, int]] = {}
        self._acknowledged: dict[tuple[str, int], int] = {}
        self.num_acknowledged = 0

    def begin(self, versions: Mapping[str, int]) -> int:
        """Notes that documents of these versions are about to be touched; returns the number."""
        with self._changing:
            self._num_begun += 1
            self._open[self._num_begun] = dict(versions)
            return self._num_begun

    def acknowledge(self, number: int) -> None:
        """Notes that the server said a touch is done."""
        with self._changing:
            self.num_acknowledged += 1
            for document in self._open.pop(number).items():
                self._acknowledged[document] = number

    def compare(self, found: Mapping[tuple[str, int], int | None]) -> list[str]:
        """Holds what documents show, by id and version, against what they may show."""
        problems = []
        with self._changing:
            for document, shown in sorted(found.items(), key=lambda entry: entry[0]):
                expected = self._acknowledged.get(document)
                possible = {expected} | {
                    number for number, touched in self._open.items() if document in touched.items()
                }
                if shown not in possible:
                    problems.append(f"{document}: touch {shown} found, one of {possible} possible")
            for number, touched in self._open.items():
                shows = {found[one] == number for one in touched.items() if one in found}
                if len(shows) > 1:
                    problems.append(f"touch {number} was done to a part of its documents")
        return problems

    def settle(self, found: Mapping[tuple[str, int], int | None]) -> None:
        """Takes what was found after a crash as the truth from which later touches go on."""
        with self._changing:
            self._open.clear()
            self._acknowledged = {
                document: shown for document, shown in found.items() if shown is not None
            }
