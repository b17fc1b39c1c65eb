"""The use that one search makes of a collection: its lists, and what came along with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.base.retrieval import Members
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import CollectionClosedError, InvalidQueryError
from twopass.index.kinds import Breadth
from twopass.index.metric import scale
from twopass.index.passages import StoredPassages
from twopass.index.postgres.connections import Connections
from twopass.index.postgres.kinds import VectorKind
from twopass.index.postgres.reader import Reader, document_of, passages_of
from twopass.index.postgres.search_sql import (
    CHEAP_COMPONENTS,
    Carried,
    Near,
    SearchStatement,
    Words,
)
from twopass.index.postgres.tables import Tables
from twopass.index.postgres.word_clauses import EVERYTHING, Clauses, CompiledMembers
from twopass.index.ranked_list import RankedList, WordMatches
from twopass.index.retrieved import BothLists, Expected, NearestList, WordList
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, Stop
from twopass.index.word_query import WordClauses
from twopass.index.words.analysis import Analyser

_DEFAULT_FIELDS = DocumentFields()
_DEFAULT_BREADTH = Breadth()
_NO_CLAUSES = WordClauses()
# Vectors to look for at first beyond one for each document wanted, for each of these that may be
# split: neighbours are often of one document.
_MORE_WINDOWS = 3


@dataclass(frozen=True, slots=True)
class Searched:
    """What a collection's searches have in common.

    Attributes:
        connections: Of the store.
        store_schema: The store's schema in the database.
        number: The collection's.
        schema: The collection's.
        tables: The collection's.
        kind: The collection's.
        analyser: Cuts its texts.
        reader: Reads its documents.
    """

    connections: Connections
    store_schema: str
    number: int
    schema: CollectionSchema
    tables: Tables
    kind: VectorKind
    analyser: Analyser
    reader: Reader


@dataclass(slots=True)
class _Carried:
    """What came along with the lists.

    Attributes:
        passages: Id and token ids by key.
        documents: Documents by key, with the fields that the search was told to expect.
    """

    passages: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    documents: dict[int, StoredDocument] = field(default_factory=dict)


class PostgresRetrieval:
    """Finds both lists of a search, each alone or both together, in one statement each time.

    A key is a version of a document. What the search was told to expect comes along with a list, so
    that `load` and `fetch` mostly have nothing to ask.
    """

    def __init__(
        self,
        searched: Searched,
        name: str,
        num_split: int,
        num_vectors: int,
        expected: Expected,
    ) -> None:
        """Begins.

        Args:
            searched: The collection.
            name: Its name, for errors.
            num_split: How many documents are split, as far as is known.
            num_vectors: How many vectors it has, as far as is known.
            expected: What the search will ask of the documents it finds.
        """
        self._searched = searched
        self._name = name
        self._num_vectors = num_vectors
        self._may_be_split = searched.schema.chunking is not None
        self._num_split = num_split
        self._fields = expected.fields
        if expected.texts:
            self._fields = replace(self._fields, text=True)
        self._takes_token_ids = expected.token_ids
        self._carried = _Carried()

    async def nearest(
        self,
        vector: Float32s,
        k: int,
        members: Members | None = None,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> NearestList:
        """Finds the `k` documents nearest to a query."""
        rows = await self._rows_near(vector, k, _compiled(members), breadth, stop)
        return _nearest_list(rows)

    async def with_words(
        self,
        text: str,
        k: int,
        members: Members | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        stop: Stop = NEVER,
    ) -> WordList:
        """Finds the `k` documents whose titles and texts fit the words of a query best."""
        analysed, words = self._words(text, k, clauses)
        of_words = _compiled(members).with_clauses(analysed)
        rows = await self._search(None, words, EVERYTHING, of_words, stop)
        return _word_list(rows, k)

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
        """Finds what `nearest`, `with_words` and `similar` find."""
        analysed, words = self._words(text, k, clauses)
        bounded = _compiled(members).with_clauses(analysed)
        rows = await self._rows_near(vector, k, bounded, breadth, stop, words)
        nearest = _nearest_list(rows)
        return BothLists(
            nearest=nearest, words=_word_list(rows, k), beyond=_beyond_list(rows, nearest)
        )

    async def similar(self, vector: Float32s, keys: Int64s, stop: Stop = NEVER) -> NearestList:
        """Orders given documents by their similarity to a query, with their nearest windows."""
        chosen = CompiledMembers(keys=tuple(keys.tolist()))
        rows = await self._rows_near(vector, max(1, len(keys)), chosen, _DEFAULT_BREADTH, stop)
        return _nearest_list(rows)

    async def num_split_among(self, keys: Int64s, stop: Stop = NEVER) -> int:
        """How many of some documents are split into windows."""
        if not self._may_be_split:
            return 0

        async def read(connection: Any) -> int:
            return int(
                await connection.fetchval(
                    f"SELECT count(*) FROM {self._searched.tables.documents} "
                    "WHERE key = ANY($1) AND num_windows > 0",
                    keys.tolist(),
                )
            )

        return await self._searched.connections.run(read, stop, self._name)

    async def load(self, keys: Int64s, stop: Stop = NEVER) -> StoredPassages:
        """Loads what the second pass needs of documents, in their order."""
        wanted = keys.tolist()
        known = self._carried.passages
        if all(key in known for key in wanted):
            return passages_of(wanted, known)
        return await self._searched.reader.load(wanted, stop, self._name)

    async def fetch(
        self, keys: Int64s, fields: DocumentFields = _DEFAULT_FIELDS, stop: Stop = NEVER
    ) -> dict[int, StoredDocument]:
        """Reads documents by key; those gone since are left out."""
        wanted = keys.tolist()
        carried = self._carried.documents
        if self._has(fields) and all(key in carried for key in wanted):
            return {key: self._narrowed(carried[key], fields) for key in wanted}
        return await self._searched.reader.fetch(wanted, fields, stop, self._name)

    async def fetch_first(
        self, keys: Int64s, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Reads documents by key, as many with their fields as fit; leaves out those now gone."""
        wanted = keys.tolist()
        carried = self._carried.documents
        if self._has(fields) and all(key in carried for key in wanted):
            documents = {key: self._narrowed(carried[key], fields) for key in wanted}
            # What came along is bounded, and far below what an answer may have.
            if sum(map(_most_bytes, documents.values())) <= max_bytes:
                return documents, frozenset()
        return await self._searched.reader.fetch_first(wanted, fields, max_bytes, stop, self._name)

    def _has(self, fields: DocumentFields) -> bool:
        """Whether what came along has all these fields."""
        carried = self._fields
        same_form = not fields.metadata or fields.metadata_as_json == carried.metadata_as_json
        return same_form and all(
            has or not wants
            for wants, has in (
                (fields.text, carried.text),
                (fields.metadata, carried.metadata),
                (fields.vector, carried.vector),
            )
        )

    @staticmethod
    def _narrowed(document: StoredDocument, fields: DocumentFields) -> StoredDocument:
        """A document with some of its fields."""
        return replace(
            document,
            title=document.title if fields.text else None,
            text=document.text if fields.text else None,
            metadata=document.metadata if fields.metadata else None,
            metadata_json=document.metadata_json if fields.metadata else None,
            vector=document.vector if fields.vector else None,
        )

    def _words(self, text: str, k: int, clauses: WordClauses) -> tuple[Clauses, Words]:
        _check_k(k)
        analysed = Clauses.of(clauses, self._searched.analyser)
        weights = self._searched.analyser.query_weights(text)
        words = Words(weights=weights, k=k, required=analysed.required, optional=analysed.optional)
        return analysed, words

    async def _rows_near(
        self,
        vector: Float32s,
        k: int,
        members: CompiledMembers,
        breadth: Breadth,
        stop: Stop,
        words: Words | None = None,
    ) -> Sequence[Any]:
        """The rows of a search by a vector, with as many windows as `k` documents take."""
        _check_k(k)
        breadth.check()
        scaled = self._scaled(vector)
        num_vectors = k
        if self._may_be_split:
            num_vectors += _MORE_WINDOWS * min(k, self._num_split or k)
        while True:
            near = Near(
                vector=scaled,
                num_vectors=num_vectors,
                num_documents=k,
                ef_search=self._ef_search(breadth, num_vectors, members),
            )
            rows = await self._search(near, words, members, members, stop)
            num_found = sum(row["exact"] is not None for row in rows)
            if num_found >= k or rows[0]["num_compared"] < num_vectors:
                return rows
            if not self._may_be_split:
                return rows
            num_vectors *= 4

    def _ef_search(self, breadth: Breadth, num_vectors: int, members: CompiledMembers) -> int:
        kind = self._searched.kind
        if kind.is_exact or members.keys is not None:
            return 0
        if self._num_vectors * kind.dimension <= CHEAP_COMPONENTS:
            return 0
        return kind.ef_search(breadth.ef_search, num_vectors)

    def _scaled(self, vector: Float32s) -> Float32s:
        dimension = self._searched.schema.dimension
        if vector.shape != (dimension,):
            raise InvalidQueryError(
                "vector",
                f"{vector.shape[-1]:,} components given, the collection's dimension is "
                f"{dimension:,}",
                limit=dimension,
                value=vector.shape[-1],
            )
        scaled: Float32s = scale(
            np.ascontiguousarray(vector[None, :], np.float32),
            self._searched.schema.metric,
            lambda _, problem: InvalidQueryError("vector", problem),
        )[0]
        return scaled

    async def _search(
        self,
        near: Near | None,
        words: Words | None,
        near_members: CompiledMembers,
        word_members: CompiledMembers,
        stop: Stop,
    ) -> Sequence[Any]:
        searched = self._searched
        statement = SearchStatement(
            searched.store_schema,
            searched.number,
            searched.tables,
            searched.kind,
            searched.connections.extensions,
            near=near,
            words=words,
            near_members=near_members,
            word_members=word_members,
            carried=self._columns(),
        )

        async def read(connection: Any) -> Sequence[Any]:
            return await connection.fetch(statement.text, *statement.values)  # type: ignore[no-any-return]

        rows = await searched.connections.run(read, stop, self._name)
        if not rows:
            raise CollectionClosedError(self._name)
        self._keep(rows)
        return rows

    def _columns(self) -> Carried:
        """What comes along."""
        reader = self._searched.reader
        columns, size = reader.columns(self._fields), reader.size(self._fields)
        if self._takes_token_ids:
            return Carried({"id": "id", "token_ids": "token_ids"}, columns, size)
        columns |= {"token_ids": "token_ids"}
        return Carried({"id": "id"}, columns, f"({size} + octet_length(token_ids))")

    def _keep(self, rows: Sequence[Any]) -> None:
        """Keeps what came along for `load` and `fetch`."""
        for row in rows:
            if not row["is_there"]:
                continue
            # Those that nobody has announced to read may be missing.
            self._carried.passages[row["key"]] = (row["id"], row["token_ids"] or b"")
            if "is_carried" not in row or row["is_carried"]:
                self._carried.documents[row["key"]] = document_of(row, self._fields)


def _compiled(members: Members | None) -> CompiledMembers:
    if members is None:
        return EVERYTHING
    assert isinstance(members, CompiledMembers)
    return members


def _check_k(k: int) -> None:
    if k < 1:
        raise InvalidQueryError("retrieve.k", f"must be at least 1, {k} given", limit=1, value=k)


def _sequence(rows: Sequence[Any]) -> SequenceToken:
    return SequenceToken(rows[0]["incarnation"], rows[0]["position"])


def _ranked(rows: Sequence[Any], score: str) -> RankedList:
    """The documents of rows by a score, best first; equal scores by key."""
    keys = np.fromiter((row["key"] for row in rows), np.int64, len(rows))
    scores = np.fromiter((row[score] for row in rows), np.float32, len(rows))
    order = np.lexsort((keys, -scores))
    return RankedList(keys[order], scores[order])


def _nearest_list(rows: Sequence[Any]) -> NearestList:
    found = [row for row in rows if row["exact"] is not None]
    return NearestList(
        ranked=_ranked(found, "similarity"),
        sequence=_sequence(rows),
        windows={
            row["key"]: (row["first_token"], row["end_token"])
            for row in found
            if row["first_token"] is not None
        },
        exact=all(row["exact"] for row in found),
    )


def _beyond_list(rows: Sequence[Any], nearest: NearestList) -> NearestList:
    found = [row for row in rows if row["similarity_beyond"] is not None]
    return NearestList(
        ranked=_ranked(found, "similarity_beyond"),
        sequence=nearest.sequence,
        windows={
            row["key"]: (row["first_beyond"], row["end_beyond"])
            for row in found
            if row["first_beyond"] is not None
        },
    )


def _word_list(rows: Sequence[Any], k: int) -> WordList:
    ranked = _ranked([row for row in rows if row["score"] is not None], "score")
    first = rows[0]
    num_left = int(first["num_left"])
    # A document that holds none of the words searched has at most this score.
    if len(ranked.keys) >= k and float(ranked.scores[-1]) >= first["most_left"]:
        num_left = 0
    return WordList(
        ranked=WordMatches(ranked.keys, ranked.scores, num_left + int(first["num_cut"])),
        sequence=_sequence(rows),
    )


def _most_bytes(document: StoredDocument) -> int:
    """An upper bound of a document's bytes."""
    parts = (document.id, document.title, document.text, document.metadata_json)
    num_bytes = sum(4 * len(part) for part in parts if part is not None)
    if document.vector is not None:
        num_bytes += document.vector.nbytes
    return num_bytes + (0 if document.metadata is None else 64 * 1024)
