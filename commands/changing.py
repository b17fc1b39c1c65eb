"""Documents that a command changes: those of ids, or all that pass filters, asked about first."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from twopass.client import Client, Collection, Condition
from twopass.commands import filters as filters_as_typed
from twopass.commands.terminal.confirmation import confirm, ensure_unchanged
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.json_output import print_json
from twopass.commands.terminal.sentences import counted, say

# At most so many ids go into one request by the contract.
_AT_ONCE = 10_000

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="The documents' ids.")]

Change: TypeAlias = Callable[[list[str] | None, Condition | None], tuple[str, int]]
"""Changes the documents of ids or of a condition; returns a sequence and how many these were."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Documents of a collection: exactly one of `ids` and `condition` says which.

    Attributes:
        collection: The collection's name or an alias.
        ids: Ids of documents, each once; empty where they are chosen by a condition.
        condition: What the documents pass.
    """

    collection: str
    ids: list[str]
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Changed:
    """What was changed.

    Attributes:
        collection: The collection's name or an alias, as it was given.
        num_documents: Documents changed.
        num_unknown: Ids that no document has.
        sequence: The collection's state after the change.
    """

    collection: str
    num_documents: int
    num_unknown: int
    sequence: str

    def tell(self, verb: str, *, as_json: bool) -> None:
        """Prints it, in a sentence or as JSON.

        Args:
            verb: What was done to the documents, such as "deleted".
            as_json: Whether `--json` was given.
        """
        if as_json:
            print_json(
                {
                    "collection": self.collection,
                    f"num_{verb}": self.num_documents,
                    "num_unknown": self.num_unknown,
                    "sequence": self.sequence,
                }
            )
            return
        unknown = f", {self.num_unknown:,} unknown" if self.num_unknown else ""
        say(f"{self.collection}: {counted(self.num_documents, 'document')} {verb}{unknown}")


def chosen(
    collection: str, ids: list[str] | None, filters: list[str] | None, *, if_neither: str
) -> Chosen:
    """Reads which documents are meant; ends the command unless it is by ids or by filters alone.

    Args:
        collection: The collection's name or an alias.
        ids: Ids as they were typed.
        filters: Conditions as they were typed.
        if_neither: What is told beside that neither was given.
    """
    if ids and filters:
        exit_with("both ids and --filter given; give one of them", USAGE)
    if not (ids or filters):
        exit_with(f"neither ids nor --filter given; {if_neither}", USAGE)
    return Chosen(
        collection, list(dict.fromkeys(ids or [])), filters_as_typed.parsed(filters or [])
    )


def change(
    client: Client,
    wanted: Chosen,
    act: Change,
    question: Callable[[str], str],
    *,
    is_certain: bool,
) -> Changed:
    """Changes documents; where a filter chooses them, counts them and asks a person first.

    Args:
        client: Client of the server.
        wanted: Which documents.
        act: Changes some of them in one call.
        question: What is asked of "3 documents of the 5 in docs", such as "delete … for good".
        is_certain: Whether `--yes` was given.
    """
    if wanted.ids:
        parts = range(0, len(wanted.ids), _AT_ONCE)
        ended = [act(wanted.ids[start : start + _AT_ONCE], None) for start in parts]
        number = sum(count for _, count in ended)
        return Changed(wanted.collection, number, len(wanted.ids) - number, ended[-1][0])
    if not is_certain:
        at_first = _look(client, wanted)
        if at_first.num_passing == 0:
            return Changed(wanted.collection, 0, 0, at_first.collection.sequence)
        confirm(question(at_first.told(wanted)), is_certain=False)
        ensure_unchanged(at_first.state, _look(client, wanted).state)
    sequence, number = act(None, wanted.condition)
    return Changed(wanted.collection, number, 0, sequence)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a filter chooses at one moment."""

    collection: Collection
    num_passing: int

    @property
    def state(self) -> tuple[Hashable, ...]:
        """What a person agrees to: of which collection, in which of its lives, how many."""
        return self.collection.name, self.collection.create_time, self.num_passing

    def told(self, wanted: Chosen) -> str:
        some = counted(self.num_passing, "document")
        return f"{some} of the {self.collection.num_documents:,} in {wanted.collection}"


def _look(client: Client, wanted: Chosen) -> _Look:
    passing = client.count(wanted.collection, filter=wanted.condition, timeout=math.inf)
    return _Look(client.get_collection(wanted.collection), passing)
