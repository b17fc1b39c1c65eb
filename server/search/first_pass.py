"""The first pass: candidates by nearest embeddings, by words, or by both, fused."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from twopass.engines.base import Float32s, Int32s, LoadedEncoder, Ragged
from twopass.index.arrays import Int64s
from twopass.index.collection.collection import Collection
from twopass.index.collection.windows import NearestDocuments
from twopass.index.errors import StoppedError
from twopass.index.fusion import choose
from twopass.index.lanes import Lanes
from twopass.index.ranked_list import RankedList
from twopass.index.schema import Metric
from twopass.index.stopping import Stop
from twopass.server.config import RetrieveMode
from twopass.server.models.embedding import Embedding
from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.causes import Cause, cause_of
from twopass.server.search.ends import late, seconds_until
from twopass.server.search.found import Ahead, Found
from twopass.server.search.types import RetrieveStatus, SearchQuery
from twopass.server.telemetry.stopwatch import Stopwatch

_LOG = logging.getLogger("twopass.server")

# Status of an answer from one list alone, by why the other list is missing.
_WORDS_ALONE = {
    Cause.DEADLINE: RetrieveStatus.LEXICAL_DEADLINE,
    Cause.OVERLOAD: RetrieveStatus.LEXICAL_OVERLOAD,
    Cause.FAILED: RetrieveStatus.LEXICAL_FAILED,
}
_DENSE_ALONE = {
    Cause.DEADLINE: RetrieveStatus.DENSE_DEADLINE,
    Cause.OVERLOAD: RetrieveStatus.DENSE_OVERLOAD,
    Cause.FAILED: RetrieveStatus.DENSE_FAILED,
}
_NONE_FOUND = RankedList(np.zeros(0, np.int64), np.zeros(0, np.float32))
# Lower bound of a score, by metric; None where there is none.
_MINIMUM = {Metric.COSINE: -1.0, Metric.INNER_PRODUCT: None}


_NOTHING_AHEAD = Ahead()


class FirstPass:
    """Finds candidates in a collection."""

    def __init__(
        self, models: Models, arbiter: Arbiter, embedding: Embedding, lanes: Lanes
    ) -> None:
        self._models = models
        self._arbiter = arbiter
        self._embedding = embedding
        self._lanes = lanes

    async def find(
        self,
        query: SearchQuery,
        collection: Collection,
        query_ids: Mapping[str, Int32s],
        request: Request,
        end: float | None,
        ahead: Ahead = _NOTHING_AHEAD,
    ) -> Found:
        """Finds at most `query.retrieve.k` candidates.

        In hybrid mode one list alone is answered where the other is late, has no room or fails, and
        the query allows it.

        Args:
            query: The query.
            collection: The collection to search.
            query_ids: The query's token ids by tokenizer, int32 `[num_tokens]`; the encoder's
                where the query needs embedding.
            request: The request; sets `queue`, `embed` and `retrieve` of its `timings`.
            end: When a list that is not found is left out, seconds of `time.perf_counter`; None
                for never.
            ahead: What is done for it together with other queries.

        Raises:
            RequestError: There was no time or no room, and nothing may be answered instead.
            LaneFullError: There was no room for a filter or for words.
            EngineError: The encoder failed, and nothing may be answered instead.
            CollectionError: The collection can't be read.
        """
        with request.stop_by(end) as stop:
            retrieval = _Retrieval(self, query, collection, request, stop, end, ahead)
            return await retrieval.found(query_ids)

    async def embed_together(
        self, encoder: LoadedEncoder, ids: Ragged, request: Request, end: float | None
    ) -> Float32s:
        """The embeddings of several queries, float32 `[num_queries, dimension]`.

        Args:
            encoder: The model.
            ids: Their token ids by the encoder's `query_tokenizer`, a row for each.
            request: The request that needs them; sets `queue` and `embed` of its `timings`.
            end: When they must be there, seconds of `time.perf_counter`; None for never.
        """
        with self._arbiter.admitted(len(ids)):
            embedded = await self._embedding.queries(encoder, ids, request, end=end)
        return embedded.vectors

    async def _embed(
        self,
        collection: Collection,
        query_ids: Mapping[str, Int32s],
        request: Request,
        end: float | None,
        instruction: str,
    ) -> Float32s:
        """The query's embedding, float32 `[dimension]`."""
        encoder = self._models.encoder_of(collection.name, collection.schema)
        encoder = encoder.instructed(instruction)
        ids = Ragged.from_rows([query_ids[encoder.query_tokenizer.fingerprint]])
        vector: Float32s = (await self.embed_together(encoder, ids, request, end))[0]
        return vector


class _Retrieval:
    """The first pass of one query: a filter, and up to two lists found at the same time."""

    def __init__(
        self,
        parts: FirstPass,
        query: SearchQuery,
        collection: Collection,
        request: Request,
        stop: Stop,
        end: float | None,
        ahead: Ahead,
    ) -> None:
        self._parts = parts
        self._lanes = parts._lanes
        self._query = query
        self._collection = collection
        self._request = request
        self._stop = stop
        self._end = end
        self._ahead = ahead
        self._filtering = ahead.matching

    async def found(self, query_ids: Mapping[str, Int32s]) -> Found:
        """What was found when the pass ends."""
        mode = self._query.retrieve.mode
        tasks: dict[RetrieveMode, asyncio.Task[Found]] = {}
        if self._query.filter is not None and self._filtering is None:
            # Looked up once for both lists, while the query is embedded.
            self._filtering = asyncio.create_task(self._matching())
        if mode is not RetrieveMode.LEXICAL:
            tasks[RetrieveMode.DENSE] = asyncio.create_task(self._nearest(query_ids))
        if mode is not RetrieveMode.DENSE:
            tasks[RetrieveMode.LEXICAL] = asyncio.create_task(self._with_words())
        try:
            await self._wait(tasks.values())
            found = await self._of_lists(tasks)
        finally:
            for task in tasks.values():
                leave(task)
            if self._filtering is not None and self._filtering is not self._ahead.matching:
                leave(self._filtering)
        return await self._with_windows(found, query_ids)

    async def _wait(self, lists: "Iterable[asyncio.Task[Found]]") -> None:
        """Waits for every list until the end, or until one fails that may not be left out."""
        waiting = set(lists)
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=seconds_until(self._end), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return
            for task in done:
                error = _error(task)
                if error is not None and (cause_of(error) is None or not self._may_fall_back()):
                    self._raise(error)

    async def _of_lists(self, lists: "Mapping[RetrieveMode, asyncio.Task[Found]]") -> Found:
        """Both lists fused, or the only one that was found."""
        errors = {mode: _error(task) for mode, task in lists.items()}
        there = {mode: lists[mode].result() for mode, error in errors.items() if error is None}
        missing = [error for error in errors.values() if error is not None]
        if not there or (missing and not self._may_fall_back()):
            self._raise(missing[0])
        if len(there) == 2:
            return await self._fused(there[RetrieveMode.DENSE], there[RetrieveMode.LEXICAL])
        ((mode, found),) = there.items()
        if not missing:
            return found
        (error,) = missing
        cause = cause_of(error)
        if cause is None:
            self._raise(error)
        if cause is Cause.FAILED:
            _LOG.warning(
                "one list of a hybrid search is missing: %s",
                error,
                extra={"collection": self._collection.name, "call": self._request.id},
            )
        statuses = _WORDS_ALONE if mode is RetrieveMode.LEXICAL else _DENSE_ALONE
        return replace(found, status=statuses[cause])

    def _may_fall_back(self) -> bool:
        """Whether one list may be answered without the other."""
        return (
            self._query.retrieve.mode is RetrieveMode.HYBRID
            and self._query.allow_fallback
            and not self._request.is_past_deadline()
        )

    def _raise(self, error: BaseException) -> NoReturn:
        """Raises the error of a search that has nothing to answer."""
        if isinstance(error, StoppedError):
            filtering, what = self._filtering, "no candidate was found"
            if filtering is not None and isinstance(_error(filtering), StoppedError):
                what = "the filter was not looked up"
            raise late(self._request, what) from None
        raise error

    async def _matching(self) -> Int64s:
        """Keys of the documents that pass the filter."""
        assert self._query.filter is not None
        return await self._lanes.scans.run(
            self._collection.matching, self._query.filter, self._stop, stop=self._stop
        )

    async def _members(self) -> Int64s | None:
        """Keys of the documents that may be found; None for all."""
        if self._filtering is None:
            return None
        return await asyncio.shield(self._filtering)  # the other list waits for it too

    async def _members_with_words(self) -> Int64s | None:
        """Keys of those whose words the query admits; None for all.

        The lexical list is bounded by the same clauses where it is searched.
        """
        words = self._query.retrieve.words
        members = await self._members()
        if not words.required and not words.excluded:
            return members
        return await self._lanes.scans.run(
            self._collection.matching_words, words, members, self._stop, stop=self._stop
        )

    async def _nearest(self, query_ids: Mapping[str, Int32s]) -> Found:
        """The dense list."""
        vector, encoder = self._query.vector, ""
        if vector is None:
            vector = self._ahead.vector
            encoder = self._collection.schema.encoder
        if vector is None:
            vector = await self._embed(query_ids)
        watch = Stopwatch()
        are_split = self._collection.num_split > 0
        found = await (self._nearest_windows if are_split else self._nearest_documents)(vector)
        self._took(watch, "nearest vectors")
        return replace(found, vector=vector, encoder=encoder)

    async def _nearest_documents(self, vector: Float32s) -> Found:
        retrieve = self._query.retrieve
        neighbours = await asyncio.wrap_future(
            self._collection.search(
                vector[None, :],
                retrieve.k,
                await self._members_with_words(),
                breadth=retrieve.breadth,
                stop=self._stop,
            )
        )
        dense = RankedList(neighbours.keys[0], neighbours.scores[0])
        return Found(
            best=dense,
            dense=dense,
            sequence=str(neighbours.sequence),
            exact=bool(neighbours.exact[0]),
        )

    async def _nearest_windows(self, vector: Float32s) -> Found:
        """The documents whose best windows are nearest."""
        sequence = str(self._collection.sequence)
        nearest = await self._windows(
            vector, self._query.retrieve.k, await self._members_with_words()
        )
        return Found(
            best=nearest.ranked,
            dense=nearest.ranked,
            sequence=sequence,
            windows=nearest.windows,
            exact=nearest.exact,
        )

    async def _windows(self, vector: Float32s, k: int, members: Int64s | None) -> NearestDocuments:
        """The `k` nearest documents, those that are split by their nearest windows."""
        return await self._lanes.scans.run(
            self._collection.nearest_by_window,
            vector,
            k,
            members,
            self._query.retrieve.breadth,
            self._stop,
            stop=self._stop,
        )

    async def _with_words(self) -> Found:
        """The lexical list."""
        sequence = str(self._collection.sequence)
        watch = Stopwatch()
        members = await self._members()
        lexical = await self._lanes.scans.run(
            self._collection.search_words,
            self._query.text,
            self._query.retrieve.k,
            members,
            self._stop,
            self._query.retrieve.words,
            stop=self._stop,
        )
        self._took(watch, "words")
        return Found(
            best=lexical,
            lexical=lexical,
            sequence=sequence,
            num_words_dropped=lexical.num_words_dropped,
        )

    async def _fused(self, nearest: Found, words: Found) -> Found:
        """Both lists joined."""
        nearest = await self._with_beyond(nearest, words.best.keys)
        fused = self._query.retrieve.fusion.fuse(
            nearest.best,
            words.best,
            beyond=nearest.beyond or _NONE_FOUND,
            dense_minimum=_MINIMUM[self._collection.schema.metric],
        )
        return replace(
            nearest,
            best=choose(fused, nearest.best, words.best, self._query.retrieve.k),
            lexical=words.lexical,
            fused=True,
            sequence=words.sequence,  # sampled first: neither list is of an earlier state
            num_words_dropped=words.num_words_dropped,
        )

    async def _with_windows(self, found: Found, query_ids: Mapping[str, Int32s]) -> Found:
        """Adds the nearest windows of split documents that words alone have found.

        They are for the second pass. Without one, as where there is no time to find it, the second
        pass reads the passage from its beginning.
        """
        unknown = found.best.keys
        for known in (found.dense, found.beyond):
            if known is not None:
                unknown = np.setdiff1d(unknown, known.keys)
        if not self._collection.num_split or not len(unknown):
            return found
        try:
            return await self._with_windows_of(unknown, found, query_ids)
        except Exception as error:
            if cause_of(error) is None or not self._query.allow_fallback:
                self._raise(error)
            return found

    async def _with_windows_of(
        self, documents: Int64s, found: Found, query_ids: Mapping[str, Int32s]
    ) -> Found:
        run, stop = self._lanes.scans.run, self._stop
        vector, encoder = found.vector, found.encoder
        if vector is None:
            schema = self._collection.schema
            if (
                self._query.retrieve.mode is not RetrieveMode.LEXICAL
                or not self._query.rerank.enabled
                or schema.client_vectors
                or self._query_fingerprint() not in query_ids
                or not await run(self._collection.num_split_among, documents, stop, stop=stop)
            ):
                return found
            vector = await self._embed(query_ids)
            encoder = schema.encoder
        windows = await run(
            self._collection.nearest_windows,
            vector,
            documents,
            self._query.retrieve.breadth,
            stop,
            stop=stop,
        )
        return replace(found, windows={**found.windows, **windows}, encoder=encoder)

    async def _embed(self, query_ids: Mapping[str, Int32s]) -> Float32s:
        """The query's embedding, float32 `[dimension]`."""
        instruction = self._query.retrieve.instruction
        return await self._parts._embed(
            self._collection, query_ids, self._request, self._end, instruction
        )

    def _query_fingerprint(self) -> str:
        """Of the tokenizer that queries of the collection's encoder are cut by."""
        collection = self._collection
        encoder = self._parts._models.encoder_of(collection.name, collection.schema)
        return encoder.query_tokenizer.fingerprint

    async def _with_beyond(self, nearest: Found, keys: Int64s) -> Found:
        """Adds the similarities of documents found by words alone, and their nearest windows.

        Without them, as where time is short, such a document counts as the least similar, and the
        second pass reads its passage from the beginning.
        """
        missing = np.setdiff1d(keys, nearest.best.keys)
        if nearest.vector is None or not len(missing):
            return nearest
        try:
            async with asyncio.timeout(seconds_until(self._end)):
                if self._collection.num_split:
                    found = await self._windows(nearest.vector, len(missing), missing)
                    windows = {**nearest.windows, **found.windows}
                    return replace(nearest, beyond=found.ranked, windows=windows)
                return replace(nearest, beyond=await self._similar(nearest.vector, missing))
        except (StoppedError, TimeoutError):
            return nearest

    async def _similar(self, vector: Float32s, members: Int64s) -> RankedList:
        """All of some documents, by their similarity to the query."""
        neighbours = await asyncio.wrap_future(
            self._collection.search(vector[None, :], len(members), members, stop=self._stop)
        )
        return RankedList(neighbours.keys[0], neighbours.scores[0])

    def _took(self, watch: Stopwatch, stage: str) -> None:
        """Sets the time of retrieval; of two retrievers side by side the slower one counts."""
        timings = self._request.timings
        timings.retrieve = max(timings.retrieve or 0.0, watch.lap(stage))


def _error(task: "asyncio.Task[Any]") -> BaseException | None:
    """Why a task has no result; a task that is not done by the end counts as stopped."""
    if not task.done() or task.cancelled():
        return StoppedError()
    return task.exception()


def leave(task: "asyncio.Task[Any]") -> None:
    """Cancels a task that nobody waits for any more; asyncio logs nothing of its error."""
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
