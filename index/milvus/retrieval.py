"""One search's use of a collection: its lists, and what is read of what they hold."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Float32s, Ragged
from twopass.index.arrays import Int64s
from twopass.index.base.retrieval import Members
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import InvalidQueryError, UnsupportedByStoreError
from twopass.index.kinds import Breadth
from twopass.index.metric import scale
from twopass.index.milvus.filter_expression import EVERYTHING, STORE, Expression, one_of
from twopass.index.milvus.index_kinds import MilvusIndexKind
from twopass.index.milvus.layout import MAX_FOUND, METRIC
from twopass.index.milvus.reading import CollectionReader
from twopass.index.milvus.rows import (
    as_in_milvus,
    content_fields,
    decode_tokens,
    num_bytes,
    stored_document,
    vectors_of,
)
from twopass.index.milvus.words import query_words
from twopass.index.passages import StoredPassages
from twopass.index.ranked_list import RankedList, WordMatches
from twopass.index.retrieved import BothLists, Expected, NearestList, WordList
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, Stop
from twopass.index.word_query import WordClauses
from twopass.index.words.analysis import Analyser

_DEFAULT_BREADTH = Breadth()
_DEFAULT_FIELDS = DocumentFields()
_NO_CLAUSES = WordClauses()

# So many candidates bring along what may be asked of them; of more, most would be in vain.
_MAX_CARRIED = 256
# Windows to look for at first for each document wanted: neighbours are often of one document.
_WINDOWS_A_DOCUMENT = 4
_READ_AT_ONCE = 256

_WINDOW = ("document", "part", "num_windows", "first_token", "end_token")


class MilvusRetrieval:
    """The use that one search makes of a collection; numbers the documents that it finds.

    What was told to be expected comes along with the lists, so that a search by both of at most
    256 candidates is two calls side by side, and nothing is asked after them. Of more candidates,
    and of split documents found by a later window, texts and metadata are read when they are asked
    for, and left out where the document is another by then.
    """

    def __init__(
        self,
        reader: CollectionReader,
        schema: CollectionSchema,
        incarnation: str,
        analyser: Analyser,
        expected: Expected,
        min_position: int,
    ) -> None:
        self._reader = reader
        self._schema = schema
        self._incarnation = incarnation
        self._analyser = analyser
        self._expected = expected
        self._min_position = min_position
        self._kind = MilvusIndexKind.parse(schema.index_kind)
        self._has_windows = schema.chunking is not None
        self._rows: list[dict[str, Any]] = []  # what is known of each document, by its key
        self._keys: dict[str, int] = {}

    async def nearest(
        self,
        vector: Float32s,
        k: int,
        members: Members | None = None,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> NearestList:
        """Finds the `k` nearest documents, as `Retrieval` says."""
        check_k(k)
        breadth.check()
        scaled = self._scaled(vector)
        expression = expression_of(members)
        output = self._carried(k)
        if self._has_windows:
            return await self._nearest_by_window(scaled, k, expression, breadth, output, stop)
        found, seen = await self._search_vectors(scaled, k, expression, breadth, output, stop)
        keys = [self._note(row) for _, row in found]
        return self._nearest(keys, [score for score, _ in found], seen, self._kind.is_exact)

    async def with_words(
        self,
        text: str,
        k: int,
        members: Members | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        stop: Stop = NEVER,
    ) -> WordList:
        """Finds the `k` documents whose words fit best, as `Retrieval` says."""
        return await self._with_words(text, k, members, clauses, stop, self._carried(k))

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
        """Finds both lists side by side, as `HybridRetrieval` says."""
        output = self._carried(k)
        if k <= _MAX_CARRIED and not self._has_windows and "vector" not in output:
            output = [*output, "vector"]  # to tell how similar those are that words alone find
        lists = (
            asyncio.ensure_future(self.nearest(vector, k, members, breadth, stop)),
            asyncio.ensure_future(self._with_words(text, k, members, clauses, stop, output)),
        )
        try:
            nearest, words = await asyncio.gather(*lists)
        finally:
            for each in lists:
                each.cancel()  # where the other one failed
        beyond = np.setdiff1d(words.ranked.keys, nearest.ranked.keys)
        similar = await self.similar(vector, beyond, stop)
        return BothLists(nearest=nearest, words=words, beyond=similar)

    async def similar(self, vector: Float32s, keys: Int64s, stop: Stop = NEVER) -> NearestList:
        """Orders documents by their similarity, as `Retrieval` says."""
        if not len(keys):
            return self._nearest([], [], self._min_position, is_exact=True)
        if self._has_windows:
            ids = [self._rows[key]["id"] for key in keys.tolist()]
            rows = await self._reader.with_ids(
                ids,
                ["id", "version", "vector", *_WINDOW],
                stop,
                id_field="document",
                min_position=self._min_position,
            )
            return self._similar_windows(self._scaled(vector), rows)
        there = await self._complete(keys.tolist(), ["vector"], stop)
        if not there:
            return self._nearest([], [], self._min_position, is_exact=True)
        vectors = vectors_of([self._rows[key] for key in there])
        scores = vectors @ self._scaled(vector)
        return self._nearest(there, scores.tolist(), self._min_position, is_exact=True)

    async def num_split_among(self, keys: Int64s, stop: Stop = NEVER) -> int:
        """How many of some documents are split."""
        if not self._has_windows:
            return 0
        there = await self._complete(keys.tolist(), ["num_windows"], stop)
        return sum(self._rows[key]["num_windows"] > 0 for key in there)

    async def load(self, keys: Int64s, stop: Stop = NEVER) -> StoredPassages:
        """Loads token ids, as `Retrieval` says."""
        asked_for = keys.tolist()
        there = set(await self._complete(asked_for, ["tokens"], stop))
        positions = [i for i, key in enumerate(asked_for) if key in there]
        rows = [self._rows[asked_for[i]] for i in positions]
        return StoredPassages(
            np.array(positions, np.intp),
            tuple(row["id"] for row in rows),
            Ragged.from_rows([decode_tokens(row["tokens"]) for row in rows]),
        )

    async def fetch(
        self, keys: Int64s, fields: DocumentFields = _DEFAULT_FIELDS, stop: Stop = NEVER
    ) -> dict[int, StoredDocument]:
        """Reads documents, as `Retrieval` says."""
        there = await self._complete(keys.tolist(), self._content(fields), stop)
        return {key: self._document(key, fields) for key in there}

    async def fetch_first(
        self, keys: Int64s, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Reads as many documents as fit, as `Retrieval` says."""
        found: dict[int, StoredDocument] = {}
        bare: list[int] = []
        left = max_bytes
        asked_for = keys.tolist()
        for start in range(0, len(asked_for), _READ_AT_ONCE):
            some = asked_for[start : start + _READ_AT_ONCE]
            stop.check()
            for key in await self._complete(some, [] if bare else self._content(fields), stop):
                if not bare:
                    left -= num_bytes(self._rows[key], fields)
                if left >= 0:
                    found[key] = self._document(key, fields)
                else:
                    found[key] = self._document(key, DocumentFields(text=False, metadata=False))
                    bare.append(key)
        return found, frozenset(bare)

    async def _with_words(
        self,
        text: str,
        k: int,
        members: Members | None,
        clauses: WordClauses,
        stop: Stop,
        output: Sequence[str],
    ) -> WordList:
        check_k(k)
        refuse_clauses(clauses)
        query, factor = query_words(self._analyser.query_weights(text))
        found: list[tuple[float, dict[str, Any]]] = []
        seen = self._min_position
        if query:
            found, seen = await self._reader.search(
                "bm25",
                query,
                k,
                expression_of(members),
                [*output, *(_WINDOW if self._has_windows else ())],
                {"metric_type": "BM25", "params": {}},
                stop,
                min_position=self._min_position,
            )
        # Milvus tells a score, milvus-lite its negative; what holds no word scores 0.
        scored = [(abs(score) * factor, row) for score, row in found if score]
        keys = [self._note(row) for _, row in scored]
        ranked = _ranked(keys, [score for score, _ in scored])
        return WordList(
            ranked=WordMatches(ranked.keys, ranked.scores, num_words_dropped=0),
            sequence=SequenceToken(self._incarnation, seen),
        )

    async def _search_vectors(
        self,
        scaled: Float32s,
        k: int,
        expression: Expression,
        breadth: Breadth,
        output: Sequence[str],
        stop: Stop,
    ) -> tuple[list[tuple[float, dict[str, Any]]], int]:
        parameters = self._kind.search_parameters(k, breadth)
        return await self._reader.search(
            "vector",
            scaled,
            k,
            expression,
            output,
            {"metric_type": METRIC, "params": parameters},
            stop,
            min_position=self._min_position,
        )

    async def _nearest_by_window(
        self,
        scaled: Float32s,
        k: int,
        expression: Expression,
        breadth: Breadth,
        output: Sequence[str],
        stop: Stop,
    ) -> NearestList:
        """The documents of the nearest windows, of each the nearest.

        Looks for more windows, of other documents, until there are enough documents: what was
        found is nearer than all that is found after it.
        """
        best: dict[str, float] = {}
        windows: dict[str, tuple[int, int]] = {}
        seen = 0
        limit = min(_WINDOWS_A_DOCUMENT * k, MAX_FOUND)
        while True:
            others = expression.also(f"not ({one_of('document', best)})" if best else "")
            found, seen = await self._search_vectors(
                scaled, limit, others, breadth, [*output, *_WINDOW], stop
            )
            for score, row in found:
                document = row["document"]
                if document not in best and len(best) < k:
                    self._note(row)
                    best[document] = score
                    if row["num_windows"]:
                        windows[document] = (row["first_token"], row["end_token"])
            if len(best) == k or len(found) < limit:
                break
        return self._nearest(
            [self._keys[document] for document in best],
            list(best.values()),
            seen,
            self._kind.is_exact,
            {self._keys[document]: window for document, window in windows.items()},
        )

    def _similar_windows(self, scaled: Float32s, rows: Sequence[Mapping[str, Any]]) -> NearestList:
        best: dict[int, float] = {}
        windows: dict[int, tuple[int, int]] = {}
        scores = (vectors_of(rows) @ scaled).tolist() if rows else []
        for row, score in zip(rows, scores, strict=True):
            key = self._keys[row["document"]]
            if row["version"] == self._rows[key]["version"] and score > best.get(key, -np.inf):
                best[key] = score
                if row["num_windows"]:
                    windows[key] = (row["first_token"], row["end_token"])
        return self._nearest(list(best), list(best.values()), self._min_position, True, windows)

    def _nearest(
        self,
        keys: Sequence[int],
        scores: Sequence[float],
        seen: int,
        is_exact: bool,
        windows: Mapping[int, tuple[int, int]] | None = None,
    ) -> NearestList:
        return NearestList(
            ranked=_ranked(keys, scores),
            sequence=SequenceToken(self._incarnation, seen),
            windows=windows or {},
            exact=is_exact,
        )

    def _scaled(self, vector: Float32s) -> Float32s:
        if vector.ndim != 1 or len(vector) != self._schema.dimension:
            raise InvalidQueryError(
                "vector",
                f"{vector.shape[-1]:,} components given, the collection's dimension is "
                f"{self._schema.dimension:,}",
                limit=self._schema.dimension,
                value=vector.shape[-1],
            )
        scaled: Float32s = scale(
            np.ascontiguousarray(vector[None, :], np.float32),
            self._schema.metric,
            lambda _, problem: InvalidQueryError("vector", problem),
        )[0]
        return as_in_milvus(scaled)

    def _carried(self, k: int) -> list[str]:
        """The fields that come along with a list of `k` documents."""
        names = {"version"}
        if self._expected.token_ids:
            names.add("tokens")
        if k <= _MAX_CARRIED:
            names.update(content_fields(self._expected.fields))
        if self._expected.texts:
            names.update(("title", "text"))
        return sorted(names)

    def _content(self, fields: DocumentFields) -> list[str]:
        names = content_fields(fields)
        return [*names, "num_windows"] if fields.vector and self._has_windows else names

    def _note(self, row: dict[str, Any]) -> int:
        """The key of a row's document, whose contents are kept."""
        if row.get("part"):  # a later window has nothing but its own
            known = {"id": row["document"], "version": row["version"]}
            known["num_windows"] = row["num_windows"]
        else:
            known = row
        key = self._keys.setdefault(known["id"], len(self._rows))
        if key == len(self._rows):
            self._rows.append(known)
        elif self._rows[key]["version"] == known["version"]:
            self._rows[key].update(known)
        return key

    async def _complete(self, keys: Sequence[int], names: Sequence[str], stop: Stop) -> list[int]:
        """Reads what is not known yet of some documents; returns the keys of those still there."""
        missing = [key for key in keys if any(name not in self._rows[key] for name in names)]
        if missing:
            rows = await self._reader.with_ids(
                [self._rows[key]["id"] for key in missing],
                ["id", "version", *names],
                stop,
                min_position=self._min_position,
            )
            for row in rows:
                key = self._keys[row["id"]]
                if self._rows[key]["version"] == row["version"]:
                    self._rows[key].update(row)
        return [key for key in keys if all(name in self._rows[key] for name in names)]

    def _document(self, key: int, fields: DocumentFields) -> StoredDocument:
        document = stored_document(self._rows[key], fields, self._schema.dimension)
        return StoredDocument(
            key=key,
            id=document.id,
            title=document.title,
            text=document.text,
            metadata=document.metadata,
            vector=document.vector,
            metadata_json=document.metadata_json,
        )


def expression_of(members: Members | None) -> Expression:
    """What Milvus is told of the documents that may be found."""
    if members is None:
        return EVERYTHING
    assert isinstance(members, Expression)
    return members


def refuse_clauses(clauses: WordClauses) -> None:
    """Refuses typed clauses of words.

    Raises:
        UnsupportedByStoreError: There are some.
    """
    for name in ("required", "excluded", "optional"):
        if getattr(clauses, name):
            raise UnsupportedByStoreError(
                STORE,
                "phrases and prefixes as clauses of words",
                "put the words into the query's text, or keep what must be there in metadata, and "
                "filter by that",
                f"retrieve.words.{name}",
            )


def check_k(k: int) -> None:
    """Makes sure that so many documents can be found at once.

    Raises:
        InvalidQueryError: They are none, or more than Milvus answers.
    """
    if k < 1:
        raise InvalidQueryError("retrieve.k", f"must be at least 1, {k} given", limit=1, value=k)
    if k > MAX_FOUND:
        raise InvalidQueryError(
            "retrieve.k",
            f"{k:,} given, at most {MAX_FOUND:,} in the store milvus; ask for fewer candidates, or "
            "bound them by a filter",
            limit=MAX_FOUND,
            value=k,
        )


def _ranked(keys: Iterable[int], scores: Iterable[float]) -> RankedList:
    """A list best first; of equal scores the lesser key first."""
    keys_found = np.fromiter(keys, np.int64)
    scores_found = np.fromiter(scores, np.float64).astype(np.float32)
    order = np.lexsort((keys_found, -scores_found))
    return RankedList(keys_found[order], scores_found[order])
