"""What a search asks of the words of documents: a text, and typed clauses beside it."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand next to each other in this order; a single word is a phrase of one.

    Attributes:
        text: Any text that holds at least one word; its punctuation is never syntax.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Words that begin so.

    Attributes:
        text: The beginning of one word, compared as words are: folded, never stemmed.
    """

    text: str


WordClause: TypeAlias = Phrase | Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class WordClauses:
    """Clauses of a search beside its text.

    Attributes:
        required: Only documents that hold all of these are found, in every retriever.
        excluded: No document that holds any of these is found, in any retriever.
        optional: Each adds its BM25 to the score of documents that hold it.
    """

    required: tuple[WordClause, ...] = ()
    excluded: tuple[WordClause, ...] = ()
    optional: tuple[WordClause, ...] = ()
