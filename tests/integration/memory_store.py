"""A store in memory, as simple as it can be: what the interface of stores means, in plain Python.

It finds both lists in one step, numbers the documents of each search by itself, and can't copy
collections: as stores on other machines do.
"""

import asyncio
import json
import math
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Ragged
from twopass.index.aliases import Aliases
from twopass.index.base.collection import Lease
from twopass.index.document_checks import CheckedDocument, changed_metadata, check_documents
from twopass.index.documents import DocumentFields, OnConflict, StoredDocument
from twopass.index.errors import (
    AliasExistsError,
    AnswerTooLargeError,
    CollectionAliasedError,
    CollectionExistsError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    DocumentsExistError,
    InvalidSchemaError,
    StaleSequenceError,
    UnsupportedByStoreError,
)
from twopass.index.filters import Filter
from twopass.index.kinds import Breadth
from twopass.index.metric import scale
from twopass.index.pages import DocumentPage, key_before, page_token
from twopass.index.passages import StoredPassages
from twopass.index.ranked_list import RankedList, WordMatches
from twopass.index.retrieved import BothLists, Expected, NearestList, WordList
from twopass.index.schema import CollectionSchema, check_name
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary
from twopass.index.word_query import Phrase, WordClause, WordClauses
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

from ..unit.index.naive_filters import passes

ALL = DocumentFields()
NO_CLAUSES = WordClauses()


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def holds(document: CheckedDocument, clause: WordClause) -> bool:
    wanted, words = words_of(clause.text), words_of(f"{document.title} {document.text}")
    if isinstance(clause, Phrase):
        return any(words[i : i + len(wanted)] == wanted for i in range(len(words)))
    return any(word.startswith(clause.text.casefold()) for word in words)


class MemoryMembers:
    """The ids of the documents that may be found."""

    def __init__(self, ids: frozenset[str]) -> None:
        self.ids = ids


class MemoryCollection:
    def __init__(self, store: "MemoryStore", name: str, schema: CollectionSchema) -> None:
        self._store = store
        self.name = name
        self.schema = schema
        self.create_time = datetime.now(UTC)
        self.incarnation = uuid.uuid4().hex
        self.position = 0
        self.documents: dict[str, CheckedDocument] = {}
        self.numbers: dict[str, int] = {}  # in the order of writing, for pages
        self.num_documents = None
        self.may_be_split = schema.chunking is not None
        self.settings = ""

    async def set_settings(self, settings: str, stop: Stop = NEVER) -> None:
        stop.check()
        self.settings = settings

    @property
    def sequence(self) -> SequenceToken:
        return SequenceToken(self.incarnation, self.position)

    async def summary(self, stop: Stop = NEVER) -> CollectionSummary:
        stop.check()
        return CollectionSummary(
            name=self.name,
            schema=self.schema,
            create_time=self.create_time,
            num_documents=len(self.documents),
            num_split=sum(d.windows is not None for d in self.documents.values()),
            sequence=self.sequence,
            read_only_reason="",
        )

    async def ensure_reached(self, sequence: str, stop: Stop = NEVER) -> None:
        stop.check()
        given = SequenceToken.parse(sequence)
        if given.incarnation != self.incarnation or given.position > self.position:
            raise StaleSequenceError(self.name, sequence)

    def retrieval(
        self, expected: Expected | None = None, min_sequence: str = ""
    ) -> "MemoryRetrieval":
        self._store.expected.append(expected)
        kind = MemoryHybridRetrieval if self._store.is_hybrid else MemoryRetrieval
        return kind(self._store, self, min_sequence)

    async def members(self, wanted: Filter, stop: Stop = NEVER) -> MemoryMembers:
        await self._store.called("members", stop)
        return MemoryMembers(frozenset(self._passing(wanted)))

    async def members_with_words(
        self, clauses: WordClauses, members: MemoryMembers | None = None, stop: Stop = NEVER
    ) -> MemoryMembers:
        await self._store.called("members_with_words", stop)
        return self.admitted(clauses, members)

    def admitted(self, clauses: WordClauses, members: MemoryMembers | None) -> MemoryMembers:
        return MemoryMembers(
            frozenset(
                document.id
                for document in self.documents.values()
                if (members is None or document.id in members.ids)
                and all(holds(document, clause) for clause in clauses.required)
                and not any(holds(document, clause) for clause in clauses.excluded)
            )
        )

    async def submit_upsert(
        self,
        documents: Sequence[Any],
        on_conflict: OnConflict = OnConflict.REPLACE,
        places: Sequence[int] | None = None,
        stop: Stop = NEVER,
    ) -> Any:
        stop.check()
        checked = check_documents(documents, self.schema, places).documents if documents else []
        known = [document.id for document in checked if document.id in self.documents]
        if known and on_conflict is OnConflict.FAIL:
            return _failing(DocumentsExistError(self.name, known))
        skipped = set(known) if on_conflict is OnConflict.SKIP else set()
        written = [document for document in checked if document.id not in skipped]
        for document in written:
            self.documents[document.id] = document
            self.numbers[document.id] = max(self.numbers.values(), default=0) + 1
        self.position += bool(written)
        return _done(
            UpsertResult(
                self.sequence,
                len(written) - len(known) + len(skipped),
                len(known) - len(skipped),
                len(skipped),
                sum(document.windows is not None for document in written),
            )
        )

    async def delete(self, wanted: Filter, stop: Stop = NEVER) -> DeleteResult:
        stop.check()
        gone = self._passing(wanted)
        for document_id in gone:
            del self.documents[document_id], self.numbers[document_id]
        self.position += bool(gone)
        return DeleteResult(self.sequence, len(gone))

    async def update_metadata(
        self, wanted: Filter, change: Any, stop: Stop = NEVER
    ) -> UpdateResult:
        stop.check()
        changed, ids = changed_metadata(change), self._passing(wanted)
        new = {one: changed(one, self.documents[one].metadata) for one in ids}
        for document_id, metadata in new.items():
            self.documents[document_id] = replace(self.documents[document_id], metadata=metadata)
        self.position += bool(new)
        return UpdateResult(self.sequence, len(new))

    async def known_ids(self, ids: Sequence[str], stop: Stop = NEVER) -> frozenset[str]:
        stop.check()
        return frozenset(self.documents.keys() & set(ids))

    async def count(self, wanted: Filter, stop: Stop = NEVER) -> int:
        stop.check()
        return len(self._passing(wanted))

    async def facet(self, *_: Any, **__: Any) -> Any:
        raise UnsupportedByStoreError("memory", "facets", "count by filters", field="facets")

    async def get(
        self,
        ids: Sequence[str],
        fields: DocumentFields = ALL,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
        *,
        allow_missing: bool = False,
    ) -> list[StoredDocument]:
        stop.check()
        missing = [one for one in ids if one not in self.documents]
        if missing and not allow_missing:
            raise DocumentNotFoundError(self.name, missing[0])
        found = [self.documents[one] for one in ids if one in self.documents]
        if max_bytes is not None and (total := sum(size(d, fields) for d in found)) > max_bytes:
            raise AnswerTooLargeError(len(found), total, max_bytes)
        return [stored(0, document, fields) for document in found]

    async def list_page(
        self,
        page_size: int,
        token: str = "",
        fields: DocumentFields = ALL,
        wanted: Filter | None = None,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
    ) -> DocumentPage:
        del max_bytes
        stop.check()
        wanted = wanted or Filter()
        after = key_before(token, self.incarnation, wanted)
        numbers = {self.numbers[one]: one for one in self._passing(wanted)}
        following = sorted(number for number in numbers if number > after)
        page = following[:page_size]
        more = len(following) > len(page)
        return DocumentPage(
            [stored(number, self.documents[numbers[number]], fields) for number in page],
            page_token(self.incarnation, page[-1], wanted) if more else "",
        )

    def _passing(self, wanted: Filter) -> list[str]:
        return [
            document.id
            for document in self.documents.values()
            if passes(document.id, json.loads(document.metadata), wanted)
        ]


class MemoryRetrieval:
    """One search; it counts the documents that it meets, from a number of its own."""

    def __init__(
        self, store: "MemoryStore", collection: MemoryCollection, min_sequence: str
    ) -> None:
        self._store = store
        self._collection = collection
        self._first = store.take_numbers()
        self._ids: list[str] = []
        self.min_sequence = min_sequence

    async def nearest(
        self,
        vector: Any,
        k: int,
        members: MemoryMembers | None = None,
        breadth: Breadth | None = None,
        stop: Stop = NEVER,
    ) -> NearestList:
        del breadth
        await self._store.called("nearest", stop)
        return first(self._nearest(vector, self._among(members)), k)

    async def with_words(
        self,
        text: str,
        k: int,
        members: MemoryMembers | None = None,
        clauses: WordClauses = NO_CLAUSES,
        stop: Stop = NEVER,
    ) -> WordList:
        await self._store.called("with_words", stop)
        return self._words(text, k, self._among(members), clauses)

    async def similar(self, vector: Any, keys: Any, stop: Stop = NEVER) -> NearestList:
        await self._store.called("similar", stop)
        return self._similar(vector, keys)

    async def num_split_among(self, keys: Any, stop: Stop = NEVER) -> int:
        stop.check()
        return sum(document.windows is not None for document in self._documents(keys).values())

    async def load(self, keys: Any, stop: Stop = NEVER) -> StoredPassages:
        await self._store.called("load", stop)
        found = self._documents(keys)
        positions = [i for i, key in enumerate(keys.tolist()) if key in found]
        documents = [found[int(keys[i])] for i in positions]
        return StoredPassages(
            np.array(positions, np.intp),
            tuple(document.id for document in documents),
            Ragged.from_rows([document.token_ids for document in documents]),
        )

    async def fetch(
        self, keys: Any, fields: DocumentFields = ALL, stop: Stop = NEVER
    ) -> dict[int, StoredDocument]:
        await self._store.called("fetch", stop)
        return {key: stored(key, d, fields) for key, d in self._documents(keys).items()}

    async def fetch_first(
        self, keys: Any, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        await self._store.called("fetch_first", stop)
        found, total, bare = {}, 0, set()
        for key, document in self._documents(keys).items():
            total += size(document, fields)
            if total > max_bytes:
                bare.add(key)
            nothing = DocumentFields(text=False, metadata=False)
            found[key] = stored(key, document, nothing if key in bare else fields)
        return found, frozenset(bare)

    def _among(self, members: MemoryMembers | None) -> list[CheckedDocument]:
        documents = self._collection.documents.values()
        return [d for d in documents if members is None or d.id in members.ids]

    def _key(self, document_id: str) -> int:
        if document_id not in self._ids:
            self._ids.append(document_id)
        return self._first + self._ids.index(document_id)

    def _documents(self, keys: Any) -> dict[int, CheckedDocument]:
        """Documents by key; those that are gone are left out."""
        ids = {key: self._ids[key - self._first] for key in keys.tolist()}
        known = self._collection.documents
        return {key: known[one] for key, one in ids.items() if one in known}

    def _similar(self, vector: Any, keys: Any) -> NearestList:
        return self._nearest(vector, list(self._documents(keys).values()))

    def _nearest(self, vector: Any, documents: Sequence[CheckedDocument]) -> NearestList:
        schema = self._collection.schema
        scaled = scale(vector[None], schema.metric, lambda _, problem: ValueError(problem))[0]
        found = []
        for document in documents:
            scores = document.vectors @ scaled
            best = int(np.argmax(scores))
            window = None if document.windows is None else tuple(document.windows[best].tolist())
            found.append((float(scores[best]), self._key(document.id), window))
        found.sort(key=lambda each: (-each[0], each[1]))
        return NearestList(
            ranked=ranked([(key, score) for score, key, _ in found]),
            sequence=self._collection.sequence,
            windows={key: window for _, key, window in found if window is not None},
        )

    def _words(
        self, text: str, k: int, documents: Sequence[CheckedDocument], clauses: WordClauses
    ) -> WordList:
        """BM25 with k1 = 1.2 and b = 0.75 over all documents of the collection."""
        everything = list(self._collection.documents.values())
        terms = {d.id: Counter(words_of(f"{d.title} {d.text}")) for d in everything}
        average = sum(sum(t.values()) for t in terms.values()) / max(1, len(terms))
        scores: dict[str, float] = {}
        for document in documents:
            if any(holds(document, clause) for clause in clauses.excluded) or not all(
                holds(document, clause) for clause in clauses.required
            ):
                continue
            own = terms[document.id]
            length = 0.25 + 0.75 * sum(own.values()) / average
            score = 0.0
            for word in set(words_of(text)):
                holders = sum(word in each for each in terms.values())
                idf = math.log1p((len(terms) - holders + 0.5) / (holders + 0.5))
                score += idf * 2.2 * own[word] / (own[word] + 1.2 * length)
            if score or clauses.required:
                scores[document.id] = score
        best = sorted(scores, key=lambda one: (-scores[one], one))[:k]
        found = ranked([(self._key(one), scores[one]) for one in best])
        return WordList(
            ranked=WordMatches(found.keys, found.scores), sequence=self._collection.sequence
        )


class MemoryHybridRetrieval(MemoryRetrieval):
    """A search that finds both lists in one step."""

    async def both(
        self,
        vector: Any,
        text: str,
        k: int,
        members: MemoryMembers | None = None,
        clauses: WordClauses = NO_CLAUSES,
        breadth: Breadth | None = None,
        stop: Stop = NEVER,
    ) -> BothLists:
        del breadth
        await self._store.called("both", stop)
        admitted = self._collection.admitted(clauses, members)
        nearest = first(self._nearest(vector, self._among(admitted)), k)
        words = self._words(text, k, self._among(members), clauses)
        beyond = np.setdiff1d(words.ranked.keys, nearest.ranked.keys)
        return BothLists(nearest=nearest, words=words, beyond=self._similar(vector, beyond))


def first(found: NearestList, k: int) -> NearestList:
    """The beginning of a list."""
    keys = found.ranked.keys[:k]
    windows = {key: found.windows[key] for key in keys.tolist() if key in found.windows}
    cut = RankedList(keys, found.ranked.scores[:k])
    return NearestList(ranked=cut, sequence=found.sequence, windows=windows)


class MemoryStore:
    """Collections of this process.

    Attributes:
        calls: How often each step of searches was called.
        held: Steps that wait until they are stopped.
        failing: What steps raise.
        is_hybrid: Whether searches find both lists in one step.
        expected: What each search said it would ask for.
    """

    kind = "memory"
    place = "memory"
    default_index_kind = "Plain"

    def __init__(self) -> None:
        self.problem = ""
        self.calls: Counter[str] = Counter()
        self.held: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.expected: list[Expected | None] = []
        self.is_hybrid = True
        self.is_started = self.is_closed = False
        self._collections: dict[str, MemoryCollection] = {}
        self._aliases = Aliases({})
        self._numbers = 0

    async def called(self, step: str, stop: Stop) -> None:
        """Counts a step of a search, and holds or fails it where a test wants that."""
        self.calls[step] += 1
        stop.check()
        while step in self.held:
            await asyncio.sleep(0.001)
            stop.check()
        if step in self.failing:
            raise self.failing[step]

    def take_numbers(self) -> int:
        """The first number of another search."""
        self._numbers += 1_000_000
        return self._numbers

    async def start(self) -> None:
        self.is_started = True

    async def close(self) -> None:
        self.is_closed = True

    async def acquire(self, name: str, stop: Stop = NEVER) -> Lease:
        stop.check()
        return Lease(self._named(self._aliases.collection_of(name) or name), lambda: None)

    async def summary(self, name: str, stop: Stop = NEVER) -> CollectionSummary:
        return await (await self.acquire(name, stop)).collection.summary(stop)

    async def summaries(
        self, may_use: Any, *, after: str = "", limit: int | None = None, stop: Stop = NEVER
    ) -> list[CollectionSummary]:
        names = [name for name in sorted(self._collections) if name > after and may_use(name)]
        return [await self._collections[name].summary(stop) for name in names[:limit]]

    async def create(
        self, name: str, schema: CollectionSchema, stop: Stop = NEVER
    ) -> CollectionSummary:
        check_name(name)
        if schema.index_kind != self.default_index_kind:
            raise InvalidSchemaError(
                "schema.index_kind", f"{schema.index_kind!r} is not supported; supported: Plain"
            )
        self._ensure_free(name)
        self._collections[name] = MemoryCollection(self, name, schema)
        return await self._collections[name].summary(stop)

    async def delete(self, name: str, stop: Stop = NEVER) -> None:
        stop.check()
        if aliases := self._aliases.of(name):
            raise CollectionAliasedError(name, aliases)
        self._named(name)
        del self._collections[name]

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool = False, stop: Stop = NEVER
    ) -> CollectionSummary:
        check_name(new_name, "new_name")
        self._named(name)
        if self._aliases.collection_of(new_name) != name:
            self._ensure_free(new_name)
        self._aliases = self._aliases.after_rename(name, new_name, keeps_alias=keep_alias)
        self._collections[new_name] = self._collections.pop(name)
        self._collections[new_name].name = new_name
        return await self._collections[new_name].summary(stop)

    async def aliases(self, stop: Stop = NEVER) -> Aliases:
        stop.check()
        return self._aliases

    async def update_aliases(
        self, changes: Sequence[Any], ensure_may_use: Any, stop: Stop = NEVER
    ) -> Aliases:
        stop.check()
        for change in changes:
            if (collection := self._aliases.collection_of(change.alias)) is not None:
                ensure_may_use(collection)
        changed = self._aliases.changed(changes, self._collections.__contains__)
        for change in changes:
            if change.collection is not None:
                self._named(change.collection)
        self._aliases = changed
        return changed

    def _named(self, name: str) -> MemoryCollection:
        if name not in self._collections:
            raise CollectionNotFoundError(name)
        return self._collections[name]

    def _ensure_free(self, name: str) -> None:
        if name in self._collections:
            raise CollectionExistsError(name)
        if (collection := self._aliases.collection_of(name)) is not None:
            raise AliasExistsError(name, collection)


def ranked(found: Sequence[tuple[int, float]]) -> RankedList:
    keys, scores = [key for key, _ in found], [score for _, score in found]
    return RankedList(np.array(keys, np.int64), np.array(scores, np.float32))


def size(document: CheckedDocument, fields: DocumentFields) -> int:
    """Bytes of a document's id and of the fields asked for."""
    parts = [document.id]
    parts += [document.title, document.text] if fields.text else []
    parts += [document.metadata] if fields.metadata else []
    return sum(len(part.encode()) for part in parts) + fields.vector * document.vectors.nbytes


def stored(key: int, document: CheckedDocument, fields: DocumentFields) -> StoredDocument:
    as_json = fields.metadata and fields.metadata_as_json
    as_object = fields.metadata and not fields.metadata_as_json
    is_whole = document.windows is None
    return StoredDocument(
        key=key,
        id=document.id,
        title=document.title if fields.text else None,
        text=document.text if fields.text else None,
        metadata=json.loads(document.metadata) if as_object else None,
        vector=document.vectors[0] if fields.vector and is_whole else None,
        metadata_json=document.metadata if as_json else None,
    )


async def _done(result: Any) -> Any:
    return result


async def _failing(error: Exception) -> Any:
    raise error
