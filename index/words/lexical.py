"""Lexical search: BM25 over the words of titles and texts, by SQLite's FTS5."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import apsw
import numpy as np

from twopass.index.arrays import Bools, Int64s
from twopass.index.ranked_list import WordMatches
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.tables import TOKENIZERS
from twopass.index.schema import LexicalTokenizer
from twopass.index.stopping import NEVER, Stop

MAX_TERMS = 64
"""Most terms of one query that are searched, the rarest. A question has a dozen."""

MAX_POSTINGS = 100_000
"""Most matches that one query may score, but for those of its rarest term.

FTS5 scores every document that holds any of the terms, at 0.3 to 0.5 microseconds for each term and
document: "what", "is" and "the" alone would make a search among a million documents take a second.
Postings of half as many as there are documents cost next to no quality; a fifth costs 0.003 to 0.01
of nDCG@10, a tenth 0.02 to 0.03. So up to half a million documents there is little to lose.
"""

# A title's word counts for two of the text. bm25() is negative, so that the best would sort first.
# As an expression it is 1.5 times as fast as FTS5's ORDER BY rank, and equal scores get an order.
_SEARCH = """
SELECT rowid, -bm25(passages, 2, 1) AS score FROM passages WHERE passages MATCH :words
ORDER BY score DESC, rowid LIMIT :k
"""
# The plus keeps SQLite from asking FTS5 for each key by itself.
_SEARCH_MEMBERS = """
SELECT rowid, -bm25(passages, 2, 1) AS score FROM passages
WHERE passages MATCH :words AND +rowid IN carray(:members)
ORDER BY score DESC, rowid LIMIT :k
"""

# So many times k are looked at where more than half of the documents are admitted.
_SPARE = 4

_NOTHING = WordMatches(np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class _Term:
    """A word of a query, as it stands there and as it is indexed: "Häuser" and "hauser"."""

    word: str
    indexed: str


class LexicalIndex:
    """Finds documents by words. Safe to call from several threads; a call blocks for the disk.

    SQLite works without the GIL, so searches run beside each other and beside faiss.
    """

    def __init__(
        self,
        connections: ReadConnections,
        tokenizer: LexicalTokenizer,
        *,
        max_postings: int = MAX_POSTINGS,
    ) -> None:
        self._connections = connections
        self._tokenizer = TOKENIZERS[tokenizer]
        self._max_postings = max_postings

    def search(self, query: str, k: int, stop: Stop = NEVER) -> WordMatches:
        """Finds the documents with the highest BM25, of those that hold any word of the query.

        BM25 is FTS5's: k1 1.2, b 0.75 (Robertson et al. 1994), a title's words twice. Of a query
        of many or frequent words the rarest are searched; see `MAX_TERMS`, `MAX_POSTINGS`.

        Args:
            query: Any text. Its punctuation means nothing.
            k: Most documents to find, at least 1.
            stop: Ends the search.
        """
        return self._ranked(_SEARCH, query, k, {}, stop)

    def search_members(
        self, query: str, k: int, members: Int64s, num_documents: int, stop: Stop = NEVER
    ) -> WordMatches:
        """Finds documents as `search` does, of some only.

        Args:
            query: Any text.
            k: Most documents to find, at least 1.
            members: Keys of those documents, ascending, int64 `[num_keys]`.
            num_documents: About how many there are in all: it decides how, not what is found.
            stop: Ends the search.
        """
        if not len(members):
            return _NOTHING
        if len(members) * 2 >= num_documents:
            # SQLite would build a tree of them all. Some more than asked for will nearly always do.
            found = self.search(query, _SPARE * k, stop)
            inside = _are_in(found.keys, members)
            if np.count_nonzero(inside) >= k or len(found.keys) < _SPARE * k:
                return WordMatches(
                    found.keys[inside][:k], found.scores[inside][:k], found.num_words_dropped
                )
        return self._ranked(_SEARCH_MEMBERS, query, k, {"members": apsw.carray(members)}, stop)

    def _ranked(
        self, select: str, query: str, k: int, values: dict[str, Any], stop: Stop
    ) -> WordMatches:
        with self._connections.borrow(stop) as connection:
            terms, num_dropped = self._selective(connection, self._terms(connection, query))
            if not terms:
                return _NOTHING
            bound = values | {"words": _any_of(terms), "k": k}
            found = connection.execute(select, bound).fetchall()
        return WordMatches(
            np.array([key for key, _ in found], np.int64),
            np.array([score for _, score in found], np.float32),
            num_dropped,
        )

    def _terms(self, connection: apsw.Connection, query: str) -> list[_Term]:
        """The distinct terms of a query, as the collection's tokenizer cuts it."""
        name, *arguments = self._tokenizer
        tokenizer = connection.fts5_tokenizer(name, arguments)
        text = query.encode()
        tokens = cast(
            "list[tuple[int, int, str]]",
            tokenizer(text, apsw.FTS5_TOKENIZE_QUERY, None, include_colocated=False),
        )
        # A stem is not always the stem of itself, so what is searched is the word as it stands.
        distinct = {indexed: text[start:end].decode() for start, end, indexed in tokens}
        return [_Term(word, indexed) for indexed, word in distinct.items()]

    def _selective(
        self, connection: apsw.Connection, terms: Sequence[_Term]
    ) -> tuple[list[_Term], int]:
        """The rarest of the terms that occur, as many as the bounds allow, but at least one.

        Returns:
            Those terms, and how many others occur.
        """
        frequencies: dict[str, int] = dict(
            connection.execute(
                "SELECT term, doc FROM vocabulary WHERE term IN (SELECT value FROM json_each(?))",
                (json.dumps([term.indexed for term in terms]),),
            )
        )
        occurring = [term for term in terms if term.indexed in frequencies]
        rarest_first = sorted(occurring, key=lambda term: frequencies[term.indexed])[:MAX_TERMS]
        postings = np.cumsum([frequencies[term.indexed] for term in rarest_first])
        num_affordable = int(np.searchsorted(postings, self._max_postings, side="right"))
        chosen = rarest_first[: max(1, num_affordable)]
        return chosen, len(occurring) - len(chosen)


def _are_in(keys: Int64s, members: Int64s) -> Bools:
    """Which of some keys are among many, which ascend; NumPy's `isin` would sort all of them."""
    positions = np.searchsorted(members, keys)
    positions[positions == len(members)] = 0
    are_in: Bools = members[positions] == keys
    return are_in


def _any_of(terms: Sequence[_Term]) -> str:
    """An FTS5 expression; in quotes, no word is anything but a word."""
    return " OR ".join('"' + term.word.replace('"', '""') + '"' for term in terms)
