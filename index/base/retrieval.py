"""What one search makes of a collection: the lists it finds, what it reads of them."""

from typing import Protocol, runtime_checkable

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.kinds import Breadth
from twopass.index.passages import StoredPassages
from twopass.index.retrieved import BothLists, NearestList, WordList
from twopass.index.stopping import NEVER, Stop
from twopass.index.word_query import WordClauses

_DEFAULT_FIELDS = DocumentFields()
_DEFAULT_BREADTH = Breadth()
_NO_CLAUSES = WordClauses()


class Members(Protocol):
    """The documents that may be found, in the form that their store searches by.

    Opaque to all others: keys of rows for one store, a compiled expression for another. Made by a
    `Collection`, and good for every retrieval of it, also of other calls' objects of the same
    collection.
    """


class Retrieval(Protocol):
    """The use that one search makes of a collection.

    Documents are named by keys, int64, which mean something within this retrieval alone: a store
    whose documents have no numbers counts what it finds. Every key that a method takes is one that
    a list of this retrieval has given out. Methods may run side by side.

    What was replaced or deleted since it was found may be left out of what is read later, or be
    read as it was when it was found; never is a document read in part as it was and in part as it
    is.
    """

    async def nearest(
        self,
        vector: Float32s,
        k: int,
        members: Members | None = None,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> NearestList:
        """Finds the `k` documents nearest to a query, those that are split by their best windows.

        Args:
            vector: float32 `[dimension]`; this method scales it for the metric.
            k: At least 1.
            members: The only documents to find; None for all.
            breadth: How far an approximate index searches; a store that has no such measure
                ignores it.
            stop: Ends the search.

        Returns:
            Best first; all documents that may be found where there are fewer than `k`.

        Raises:
            InvalidQueryError: The vector, `k` or the breadth breaks a rule.
        """

    async def with_words(
        self,
        text: str,
        k: int,
        members: Members | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        stop: Stop = NEVER,
    ) -> WordList:
        """Finds the `k` documents whose titles and texts fit the words of a query best, by BM25.

        Args:
            text: Any text, never syntax. A document that holds none of its words, and none of the
                required and optional clauses, is not found.
            k: At least 1.
            members: The only documents to find; None for all.
            clauses: What else is asked of documents.
            stop: Ends the search.

        Raises:
            InvalidQueryError: `k` breaks its rule, or a clause holds no word.
            UnsupportedByStoreError: The store has no such clauses.
        """

    async def similar(self, vector: Float32s, keys: Int64s, stop: Stop = NEVER) -> NearestList:
        """Orders given documents by their similarity to a query, with their nearest windows.

        Args:
            vector: float32 `[dimension]`; this method scales it for the metric.
            keys: The documents, int64 `[num_keys]`; those gone meanwhile are left out.
            stop: Ends the search.
        """

    async def num_split_among(self, keys: Int64s, stop: Stop = NEVER) -> int:
        """How many of some documents, keys int64 `[num_keys]`, are split into windows."""

    async def load(self, keys: Int64s, stop: Stop = NEVER) -> StoredPassages:
        """Loads what the second pass needs of documents, int64 `[num_keys]`, in their order.

        Documents gone since they were found are left out.
        """

    async def fetch(
        self, keys: Int64s, fields: DocumentFields = _DEFAULT_FIELDS, stop: Stop = NEVER
    ) -> dict[int, StoredDocument]:
        """Reads documents by key, int64 `[num_keys]`; those gone since are left out.

        The vector of a document is scaled for the metric, and None where the document is split.
        """

    async def fetch_first(
        self, keys: Int64s, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Reads documents by key, as many with their fields as fit; leaves out those now gone.

        Args:
            keys: int64 `[num_keys]`, the most important first.
            fields: What to read of them.
            max_bytes: Most bytes to read: of ids and of the fields asked for, texts in UTF-8,
                metadata as JSON without spaces, vectors 4 bytes a component.
            stop: Ends the reading.

        Returns:
            The documents by key, and the keys of those of which only the id was read: from the
            first on that would make more than `max_bytes`.
        """


@runtime_checkable
class HybridRetrieval(Protocol):
    """A retrieval that finds both lists, and what will be read of them, in one round trip.

    It stands beside `Retrieval`: a search by both lists uses it as soon as its query is embedded,
    and `Retrieval.with_words` alone where the embedding is late or fails.
    """

    async def both(
        self,
        vector: Float32s,
        text: str,
        k: int,
        members: Members | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> BothLists:
        """Finds what `nearest`, `with_words` and `similar` find, `k` documents in either list.

        The required and excluded clauses bound both lists. What the retrieval was told to expect
        may come along, for `load` and `fetch` to answer from.

        Args:
            vector: float32 `[dimension]`; this method scales it for the metric.
            text: Any text, as `with_words` takes it.
            k: At least 1.
            members: The only documents to find; None for all.
            clauses: What else is asked of documents.
            breadth: How far an approximate index searches.
            stop: Ends the search.

        Raises:
            InvalidQueryError: The vector, `k`, the breadth or a clause breaks a rule.
            UnsupportedByStoreError: The store has no such clauses.
        """
