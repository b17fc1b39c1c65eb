"""Typed clauses of a search, as conditions on a document's words in their order.

Which documents hold all words of a clause is looked up in an index; that they stand next to each
other is read from the words themselves. A text too long for the index is always read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twopass.index.errors import InvalidQueryError
from twopass.index.postgres.filter_sql import Bindings, CompiledFilter
from twopass.index.postgres.tables import IS_LONG, LEXEMES
from twopass.index.word_query import Phrase, WordClause, WordClauses
from twopass.index.words.analysis import Analyser


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause as atoms that stand next to each other, the last of them maybe only begun.

    Attributes:
        atoms: At least one.
        is_prefix: Whether the last one is the beginning of a word.
    """

    atoms: tuple[str, ...]
    is_prefix: bool

    def sql(self, bindings: Bindings) -> str:
        """A condition on the table of documents."""
        lexemes = " & ".join(map(_lexeme, self.atoms)) + (":*" if self.is_prefix else "")
        all_there = f"{LEXEMES} @@ {bindings.add(lexemes, 'text')}::tsquery"
        wanted = f" {' '.join(self.atoms)}" + ("" if self.is_prefix else " ")
        adjacent = f"strpos(' ' || atoms || ' ', {bindings.add(wanted, 'text')}) > 0"
        if len(self.atoms) == 1:
            return f"({all_there} OR ({IS_LONG} AND {adjacent}))"
        return f"(({all_there} OR {IS_LONG}) AND {adjacent})"


@dataclass(frozen=True, slots=True)
class Clauses:
    """The clauses of a search, analysed."""

    required: tuple[Clause, ...] = ()
    excluded: tuple[Clause, ...] = ()
    optional: tuple[Clause, ...] = ()

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


@dataclass(frozen=True, slots=True)
class CompiledMembers:
    """The documents that may be found, as a condition that is written into each statement.

    Attributes:
        filters: Filters that all have to pass.
        required: Clauses that documents hold.
        excluded: Clauses that they don't.
        keys: Their keys; None for any.
    """

    filters: tuple[CompiledFilter, ...] = ()
    required: tuple[Clause, ...] = ()
    excluded: tuple[Clause, ...] = ()
    keys: tuple[int, ...] | None = None

    def with_clauses(self, clauses: Clauses) -> "CompiledMembers":
        """Those that hold all that is required and nothing that is excluded."""
        return CompiledMembers(
            self.filters,
            tuple(dict.fromkeys((*self.required, *clauses.required))),
            tuple(dict.fromkeys((*self.excluded, *clauses.excluded))),
            self.keys,
        )

    @property
    def is_everything(self) -> bool:
        """Whether every document may be found."""
        return not (self.filters or self.required or self.excluded) and self.keys is None

    def sql(self, bindings: Bindings) -> str:
        """A condition on the table of documents."""
        parts = [f"({one.sql(bindings)})" for one in self.filters]
        if self.keys is not None:
            parts.append(f"documents.key = ANY({bindings.add(list(self.keys), 'bigint[]')})")
        parts += [clause.sql(bindings) for clause in self.required]
        parts += [f"{clause.sql(bindings)} IS NOT TRUE" for clause in self.excluded]
        return " AND ".join(parts) if parts else "TRUE"


EVERYTHING = CompiledMembers()


def _analysed(field: str, clauses: Iterable[WordClause], analyser: Analyser) -> tuple[Clause, ...]:
    analysed = []
    for position, clause in enumerate(clauses):
        atoms: Sequence[str] = tuple(analyser.atoms(clause.text))
        if not atoms:
            kind = "phrase" if isinstance(clause, Phrase) else "prefix"
            raise InvalidQueryError(
                f"{field}[{position}].{kind}",
                f"{clause.text!r} given, which holds no word; give letters or digits, or leave "
                "the clause out",
                value=clause.text,
            )
        analysed.append(Clause(tuple(atoms), not isinstance(clause, Phrase)))
    return tuple(dict.fromkeys(analysed))


def _lexeme(atom: str) -> str:
    escaped = atom.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
