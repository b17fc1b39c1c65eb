"""What answers showed, by ids that nobody can guess, for as long as memory suffices."""

import marshal
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A key in the table, the entry, and what Python adds to each of its parts; measured.
_ENTRY_BYTES = 640
_ID_BYTES = 16


@dataclass(slots=True, eq=False)
class Shown:
    """What one answer showed.

    Attributes:
        collection: The collection's own name.
        query_id: The caller's key of the query; "" where it gave none.
        text: The query, where texts are kept; else "".
        offset: How many hits lie before the first that was shown.
        documents: Ids of the documents in the order shown, packed.
        orders: The first ten of other orders of the same candidates, by the shadow's name, and of
            the live one by "".
    """

    collection: str
    query_id: str
    text: str
    offset: int
    documents: bytes
    orders: Mapping[str, Sequence[str]] | None = None

    def rank(self, document_id: str) -> int:
        """The rank at which a document was shown, from 1; 0 where it was not."""
        ids: tuple[str, ...] = marshal.loads(self.documents)  # noqa: S302  # our own
        return ids.index(document_id) + 1 + self.offset if document_id in ids else 0

    @property
    def num_bytes(self) -> int:
        """Memory that it takes, about."""
        orders = self.orders or {}
        of_orders = sum(64 + 80 * len(ids) for ids in orders.values())
        texts = len(self.query_id) + 2 * len(self.text)
        return _ENTRY_BYTES + texts + len(self.documents) + of_orders


class ShownSearches:
    """The last answers, as many as memory is given for.

    Attributes:
        num_bytes: Memory that is taken.
    """

    def __init__(self, max_bytes: int) -> None:
        self.num_bytes = 0
        self._max_bytes = max_bytes
        self._searches: OrderedDict[str, Shown] = OrderedDict()
        # Of queries with a key: ids of their answers, in the order in which they came.
        self._of_query: dict[tuple[str, str], dict[str, None]] = {}

    def __len__(self) -> int:
        """How many answers are known."""
        return len(self._searches)

    def add(
        self, collection: str, documents: Sequence[str], *, query_id: str, text: str, offset: int
    ) -> str:
        """Remembers an answer, in place of the oldest where memory is short; returns its id."""
        search_id = secrets.token_urlsafe(_ID_BYTES)
        shown = Shown(collection, query_id, text, offset, marshal.dumps(tuple(documents)))
        self._searches[search_id] = shown
        if query_id:
            self._of_query.setdefault((collection, query_id), {})[search_id] = None
        self.num_bytes += shown.num_bytes
        self._make_room()
        return search_id

    def get(self, search_id: str) -> Shown | None:
        """An answer by its id; None where it is not known, or no longer."""
        return self._searches.get(search_id)

    def add_orders(self, search_id: str, orders: Mapping[str, Sequence[str]]) -> None:
        """Remembers how shadows would have ordered an answer; a no-op where it is forgotten."""
        shown = self._searches.get(search_id)
        if shown is not None:
            self.num_bytes -= shown.num_bytes
            shown.orders = {**(shown.orders or {}), **orders}
            self.num_bytes += shown.num_bytes
            self._make_room()

    def of_query(self, collection: str, query_id: str) -> list[str]:
        """Ids of the answers to a query that are known, the last one last."""
        return list(self._of_query.get((collection, query_id), ()))

    def last_of_query(self, collection: str, query_id: str) -> str:
        """Id of the last answer to a query that is known; "" for none."""
        return next(reversed(self._of_query.get((collection, query_id), {})), "")

    def forget_queries(self, collection: str, query_ids: Sequence[str]) -> None:
        """Forgets the answers to some queries, by the callers' keys or the answers' own ids."""
        for query_id in query_ids:
            for search_id in self.of_query(collection, query_id):
                self._forget(search_id)
            shown = self._searches.get(query_id)
            if shown is not None and shown.collection == collection and not shown.query_id:
                self._forget(query_id)

    def forget_collection(self, collection: str) -> None:
        """Forgets all answers of a collection."""
        for search_id, shown in list(self._searches.items()):
            if shown.collection == collection:
                self._forget(search_id)

    def _make_room(self) -> None:
        while self.num_bytes > self._max_bytes and self._searches:
            self._forget(next(iter(self._searches)))

    def _forget(self, search_id: str) -> None:
        shown = self._searches.pop(search_id)
        self.num_bytes -= shown.num_bytes
        if shown.query_id:
            key = shown.collection, shown.query_id
            answers = self._of_query[key]
            del answers[search_id]
            if not answers:
                del self._of_query[key]
