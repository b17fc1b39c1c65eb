"""Typed clauses of a search: what they ask of documents on disk and of documents in memory."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tantivy import Occur, Query

from twopass.index.arrays import Bools
from twopass.index.errors import InvalidQueryError
from twopass.index.stopping import NEVER, Stop
from twopass.index.word_query import Phrase, WordClause, WordClauses
from twopass.index.words.analysis import Analyser
from twopass.index.words.base import ATOMS, tantivy_schema
from twopass.index.words.fresh import Run

# Documents in memory that are looked through between two looks at a stop: some two milliseconds.
_BLOCK_DOCUMENTS = 4_096
# A prefix behind other words stands for so many words at most, the first in the alphabet.
_MAX_LAST_WORDS = 1_024


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause as atoms that stand next to each other, the last of them maybe only begun.

    Attributes:
        atoms: At least one.
        is_prefix: Whether the last one is the beginning of a word.
    """

    atoms: tuple[str, ...]
    is_prefix: bool

    def base_query(self, words_with_prefix: Callable[[str, str, int], Sequence[str]]) -> Any:
        """A query of the base's documents that hold it; its scores mean nothing.

        Args:
            words_with_prefix: The base's.
        """
        *before, last = self.atoms
        if not self.is_prefix:
            return _phrase(self.atoms)
        if not before:
            return Query.regex_query(tantivy_schema(), ATOMS, re.escape(last) + ".*")
        whole = words_with_prefix(ATOMS, last, _MAX_LAST_WORDS)
        return Query.boolean_query([(Occur.Should, _phrase([*before, word])) for word in whole])

    def holders(self, run: Run, stop: Stop = NEVER) -> Bools:
        """Which documents of a run hold it, bool `[num_documents]`."""
        wanted = " " + " ".join(self.atoms) + ("" if self.is_prefix else " ")
        found = np.empty(len(run), np.bool_)
        for start in range(0, len(run), _BLOCK_DOCUMENTS):
            stop.check()
            some = run.texts[start : start + _BLOCK_DOCUMENTS]
            found[start : start + len(some)] = [wanted in f" {text.atoms} " for text in some]
        return found


@dataclass(frozen=True, slots=True)
class Clauses:
    """The clauses of a search, analysed."""

    required: tuple[Clause, ...] = ()
    excluded: tuple[Clause, ...] = ()
    optional: tuple[Clause, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.required or self.excluded or self.optional)

    @classmethod
    def of(cls, clauses: WordClauses, analyser: Analyser) -> "Clauses":
        """Analyses clauses; one that is given twice counts once.

        Raises:
            InvalidQueryError: One holds no word.
        """
        required = _analysed("retrieve.words.required", clauses.required, analyser)
        excluded = _analysed("retrieve.words.excluded", clauses.excluded, analyser)
        optional = _analysed("retrieve.words.optional", clauses.optional, analyser)
        # What is required is scored already.
        return cls(required, excluded, tuple(one for one in optional if one not in required))

    def allowed(self, run: Run, stop: Stop = NEVER) -> Bools:
        """Which documents of a run hold all that is required and nothing that is excluded."""
        allowed = ~run.hidden
        for clause in self.required:
            allowed &= clause.holders(run, stop)
        for clause in self.excluded:
            allowed &= ~clause.holders(run, stop)
        return allowed


def _analysed(field: str, clauses: Iterable[WordClause], analyser: Analyser) -> tuple[Clause, ...]:
    analysed = []
    for position, clause in enumerate(clauses):
        atoms = tuple(analyser.atoms(clause.text))
        if not atoms:
            kind = "phrase" if isinstance(clause, Phrase) else "prefix"
            raise InvalidQueryError(
                f"{field}[{position}].{kind}",
                f"{clause.text!r} given, which holds no word; give letters or digits, or leave "
                "the clause out",
                value=clause.text,
            )
        analysed.append(Clause(atoms, not isinstance(clause, Phrase)))
    return tuple(dict.fromkeys(analysed))


def _phrase(atoms: Sequence[str]) -> Any:
    schema = tantivy_schema()
    if len(atoms) == 1:
        return Query.term_query(schema, ATOMS, atoms[0], "freq")
    return Query.phrase_query(schema, ATOMS, list(atoms))
