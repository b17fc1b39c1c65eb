"""The first pass: candidates by nearest embeddings, by words, or by both, fused."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, TypeAlias

import numpy as np

from twopass._core import ranks_in
from twopass.engines.base.model import LoadedEncoder
from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.index.arrays import Int64s
from twopass.index.base.retrieval import HybridRetrieval, Members
from twopass.index.errors import StoppedError
from twopass.index.fusion import choose
from twopass.index.ranked_list import RankedList
from twopass.index.retrieved import NearestList, WordList
from twopass.index.schema import Metric
from twopass.index.stopping import Stop
from twopass.server.config_values import RetrieveMode
from twopass.server.models.embedding import Embedding
from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.causes import Cause, cause_of, cause_of_missing
from twopass.server.search.ends import late, seconds_until
from twopass.server.search.found import Ahead, Found, Searched
from twopass.server.search.query_tokens import finds_windows
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
# Status of both lists without what joins them, by why it is missing.
_NOT_JOINED = {
    Cause.DEADLINE: RetrieveStatus.FUSED_DEADLINE,
    Cause.OVERLOAD: RetrieveStatus.FUSED_OVERLOAD,
    Cause.FAILED: RetrieveStatus.FUSED_FAILED,
}
# Status of the words alone, as asked for, without the windows that the second pass is to read.
_NO_WINDOWS = {
    Cause.DEADLINE: RetrieveStatus.NO_WINDOWS_DEADLINE,
    Cause.OVERLOAD: RetrieveStatus.NO_WINDOWS_OVERLOAD,
    Cause.FAILED: RetrieveStatus.NO_WINDOWS_FAILED,
}
_NONE_FOUND = RankedList(np.zeros(0, np.int64), np.zeros(0, np.float32))
# Lower bound of a score, by metric; None where there is none.
_MINIMUM = {Metric.COSINE: -1.0, Metric.INNER_PRODUCT: None}


_NOTHING_AHEAD = Ahead()
# What an answer can do without takes this share of the time: as much is left for what comes after.
# That is the embedding, before a store that finds both lists in one round trip is asked for words
# alone; and the windows of documents found by words, before the second pass reads them.
_DISPENSABLE_SHARE = 0.5

_Embedded: TypeAlias = tuple[Float32s, str]
"""A query's embedding, float32 `[dimension]`, and the id of the encoder that made it, or ""."""


class FirstPass:
    """Finds candidates in a collection."""

    def __init__(self, models: Models, arbiter: Arbiter, embedding: Embedding) -> None:
        self._models = models
        self._arbiter = arbiter
        self._embedding = embedding

    async def find(
        self,
        query: SearchQuery,
        searched: Searched,
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
            searched: The collection to search.
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
            finding = _Finding(self, query, searched, request, stop, end, ahead)
            return await finding.found(query_ids)

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
        searched: Searched,
        query_ids: Mapping[str, Int32s],
        request: Request,
        end: float | None,
        instruction: str,
    ) -> Float32s:
        """The query's embedding, float32 `[dimension]`."""
        collection = searched.collection
        encoder = self._models.encoder_of(collection.name, collection.schema)
        encoder = encoder.instructed(instruction)
        ids = Ragged.from_rows([query_ids[encoder.query_tokenizer.fingerprint]])
        vector: Float32s = (await self.embed_together(encoder, ids, request, end))[0]
        return vector


class _Finding:
    """The first pass of one query: a filter, and up to two lists found at the same time."""

    def __init__(
        self,
        parts: FirstPass,
        query: SearchQuery,
        searched: Searched,
        request: Request,
        stop: Stop,
        end: float | None,
        ahead: Ahead,
    ) -> None:
        self._parts = parts
        self._query = query
        self._searched = searched
        self._collection = searched.collection
        self._retrieval = searched.retrieval
        self._request = request
        self._stop = stop
        self._end = end
        self._ahead = ahead
        self._filtering = ahead.matching

    async def found(self, query_ids: Mapping[str, Int32s]) -> Found:
        """What was found when the pass ends."""
        if self._query.filter is not None and self._filtering is None:
            # Looked up once for both lists, while the query is embedded.
            self._filtering = asyncio.create_task(self._matching())
        is_hybrid = self._query.retrieve.mode is RetrieveMode.HYBRID
        try:
            if is_hybrid and isinstance(self._retrieval, HybridRetrieval):
                found = await self._together(self._retrieval, query_ids)
            else:
                found = await self._apart(lambda: self._embedded(query_ids))
        finally:
            if self._filtering is not None and self._filtering is not self._ahead.matching:
                leave(self._filtering)
        return await self._with_windows(found, query_ids)

    async def _together(self, retrieval: HybridRetrieval, query_ids: Mapping[str, Int32s]) -> Found:
        """Both lists in one round trip once the query is embedded, or each alone where it is late.

        A list is asked for alone where the embedding fails too: the words are what is left then.
        """
        embedding = asyncio.create_task(self._embedded(query_ids))
        try:
            await asyncio.wait({embedding}, timeout=seconds_until(self._end_of_dispensable()))
            if (error := _error(embedding)) is not None:
                if cause_of(error) is None or not self._may_fall_back():
                    self._raise(error)
                return await self._apart(lambda: asyncio.shield(embedding))
            both = asyncio.create_task(self._both(retrieval, *embedding.result()))
        finally:
            leave(embedding)
        try:
            await asyncio.wait({both}, timeout=seconds_until(self._end))
            if (problem := _error(both)) is not None:
                self._raise(problem)
            return both.result()
        finally:
            leave(both)

    async def _both(self, retrieval: HybridRetrieval, vector: Float32s, encoder: str) -> Found:
        retrieve = self._query.retrieve
        watch = Stopwatch()
        lists = await retrieval.both(
            vector,
            self._query.text,
            retrieve.k,
            await self._members(),
            retrieve.words,
            retrieve.breadth,
            self._stop,
        )
        self._took(watch, "both lists")
        nearest = replace(_found_nearest(lists.nearest), vector=vector, encoder=encoder)
        return self._fused(_beyond(nearest, lists.beyond), _found_words(lists.words))

    async def _apart(self, embedded: Callable[[], Awaitable[_Embedded]]) -> Found:
        """Each list that the query asks for by itself, all at the same time."""
        mode = self._query.retrieve.mode
        tasks: dict[RetrieveMode, asyncio.Task[Found]] = {}
        if mode is not RetrieveMode.LEXICAL:
            tasks[RetrieveMode.DENSE] = asyncio.create_task(self._nearest(embedded))
        if mode is not RetrieveMode.DENSE:
            tasks[RetrieveMode.LEXICAL] = asyncio.create_task(self._with_words())
        try:
            await self._wait(tasks.values())
            return await self._of_lists(tasks)
        finally:
            for task in tasks.values():
                leave(task)

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
            nearest, words = there[RetrieveMode.DENSE], there[RetrieveMode.LEXICAL]
            return self._fused(await self._with_beyond(nearest, words.best.keys), words)
        ((mode, found),) = there.items()
        if not missing:
            return found
        (error,) = missing
        cause = cause_of(error)
        if cause is None:
            self._raise(error)
        if cause is Cause.FAILED:
            self._log("one list of a hybrid search is missing: %s", error)
        statuses = _WORDS_ALONE if mode is RetrieveMode.LEXICAL else _DENSE_ALONE
        return replace(found, status=statuses[cause])

    def _log(self, what: str, error: BaseException) -> None:
        """Tells an operator of a failure that the caller is answered in spite of."""
        _LOG.warning(
            what, error, extra={"collection": self._collection.name, "call": self._request.id}
        )

    def _may_fall_back(self) -> bool:
        """Whether one list may be answered without the other."""
        return self._query.retrieve.mode is RetrieveMode.HYBRID and self._may_do_without()

    def _may_do_without(self) -> bool:
        """Whether something that was asked for may be missing from the answer."""
        return self._query.allow_fallback and not self._request.is_past_deadline()

    def _end_of_dispensable(self) -> float | None:
        """Until when something is waited for that the answer may do without."""
        if self._end is None or not self._query.allow_fallback:
            return self._end
        now = time.perf_counter()
        return now + _DISPENSABLE_SHARE * max(0.0, self._end - now)

    def _raise(self, error: BaseException) -> NoReturn:
        """Raises the error of a search that has nothing to answer."""
        if isinstance(error, StoppedError):
            filtering, what = self._filtering, "no candidate was found"
            if filtering is not None and isinstance(_error(filtering), StoppedError):
                what = "the filter was not looked up"
            raise late(self._request, what) from None
        raise error

    def _raise_late(self, error: Exception, what: str) -> NoReturn:
        """Raises an error; that the time was over, in words of a search's caller."""
        if isinstance(error, StoppedError | TimeoutError):
            raise late(self._request, what) from None
        raise error

    async def _matching(self) -> Members:
        """The documents that pass the filter."""
        assert self._query.filter is not None
        return await self._collection.members(self._query.filter, self._stop)

    async def _members(self) -> Members | None:
        """The documents that may be found; None for all."""
        if self._filtering is None:
            return None
        return await asyncio.shield(self._filtering)  # the other list waits for it too

    async def _members_with_words(self) -> Members | None:
        """Those of them whose words the query admits; None for all.

        The lexical list is bounded by the same clauses where it is searched.
        """
        words = self._query.retrieve.words
        members = await self._members()
        if not words.required and not words.excluded:
            return members
        return await self._collection.members_with_words(words, members, self._stop)

    async def _embedded(self, query_ids: Mapping[str, Int32s]) -> _Embedded:
        """The query's vector, as given, as made with others', or as embedded now."""
        if self._query.vector is not None:
            return self._query.vector, ""
        vector = self._ahead.vector
        if vector is None:
            vector = await self._embed(query_ids)
        return vector, self._collection.schema.encoder

    async def _nearest(self, embedded: Callable[[], Awaitable[_Embedded]]) -> Found:
        """The dense list."""
        vector, encoder = await embedded()
        watch = Stopwatch()
        retrieve = self._query.retrieve
        members = await self._members_with_words()
        nearest = await self._retrieval.nearest(
            vector, retrieve.k, members, retrieve.breadth, self._stop
        )
        self._took(watch, "nearest vectors")
        return replace(_found_nearest(nearest), vector=vector, encoder=encoder)

    async def _with_words(self) -> Found:
        """The lexical list."""
        watch = Stopwatch()
        retrieve = self._query.retrieve
        members = await self._members()
        words = await self._retrieval.with_words(
            self._query.text, retrieve.k, members, retrieve.words, self._stop
        )
        self._took(watch, "words")
        return _found_words(words)

    def _fused(self, nearest: Found, words: Found) -> Found:
        """Both lists joined."""
        fusion = self._query.retrieve.fusion
        assert fusion is not None
        fused = fusion.fuse(
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
        """Adds the nearest windows of split documents that a search by words alone has found.

        They are for the second pass, which reads passages from their beginning without them.
        """
        if not finds_windows(self._query, self._collection) or not len(found.best.keys):
            return found
        end = self._end_of_dispensable()
        try:
            with self._request.stop_by(end) as stop:
                async with asyncio.timeout(seconds_until(end)):
                    return await self._with_windows_of(found, query_ids, stop)
        except Exception as error:
            cause = cause_of_missing(error)
            if cause is None or not self._may_do_without():
                self._raise_late(error, "the windows to read were not found")
            if cause is Cause.FAILED:
                self._log("long passages are read from their beginning: %s", error)
            return replace(found, status=_NO_WINDOWS[cause])

    async def _with_windows_of(
        self, found: Found, query_ids: Mapping[str, Int32s], stop: Stop
    ) -> Found:
        collection, keys = self._collection, found.best.keys
        if not await self._retrieval.num_split_among(keys, stop):
            return found
        encoder = self._parts._models.encoder_of(collection.name, collection.schema)
        if encoder.query_tokenizer.fingerprint not in query_ids:
            return found  # nothing was split yet when the query was read
        vector = await self._embed(query_ids)
        similar = await self._retrieval.similar(vector, keys, stop)
        return replace(found, windows=similar.windows, encoder=collection.schema.encoder)

    async def _embed(self, query_ids: Mapping[str, Int32s]) -> Float32s:
        """The query's embedding, float32 `[dimension]`."""
        instruction = self._query.retrieve.instruction
        return await self._parts._embed(
            self._searched, query_ids, self._request, self._end, instruction
        )

    async def _with_beyond(self, nearest: Found, keys: Int64s) -> Found:
        """Adds the similarities of documents found by words alone, and their nearest windows.

        Where there is no time or no room for them, or they can't be read, and the query allows it,
        they are left out, which the status tells: such a document counts as the least similar, and
        the second pass reads its passage from the beginning.
        """
        missing = _not_in(nearest.best, keys)
        if nearest.vector is None or not len(missing):
            return nearest
        try:
            async with asyncio.timeout(seconds_until(self._end)):
                found = await self._retrieval.similar(nearest.vector, missing, self._stop)
                return _beyond(nearest, found)
        except Exception as error:
            cause = cause_of_missing(error)
            if cause is None or not self._may_fall_back():
                self._raise_late(error, "both lists were not joined")
            if cause is Cause.FAILED:
                self._log("the lists of a hybrid search are joined without similarities: %s", error)
            return replace(nearest, status=_NOT_JOINED[cause])

    def _took(self, watch: Stopwatch, stage: str) -> None:
        """Sets the time of retrieval; of two retrievers side by side the slower one counts."""
        timings = self._request.timings
        timings.retrieve = max(timings.retrieve or 0.0, watch.lap(stage))


def _found_nearest(nearest: NearestList) -> Found:
    """The dense list alone."""
    return Found(
        best=nearest.ranked,
        dense=nearest.ranked,
        sequence=str(nearest.sequence),
        windows=nearest.windows,
        exact=nearest.exact,
    )


def _found_words(words: WordList) -> Found:
    """The lexical list alone."""
    return Found(
        best=words.ranked,
        lexical=words.ranked,
        sequence=str(words.sequence),
        num_words_dropped=words.ranked.num_words_dropped,
    )


def _beyond(found: Found, similar: NearestList) -> Found:
    """What was found, with similarities and windows of documents that words alone have found."""
    windows = {**found.windows, **similar.windows}
    return replace(found, beyond=similar.ranked, windows=windows)


def _not_in(known: RankedList, keys: Int64s) -> Int64s:
    """Those of some keys that a list lacks, in their order."""
    lacking: Int64s = keys[np.isinf(ranks_in(known.keys, keys))]
    return lacking


def _error(task: "asyncio.Task[Any]") -> BaseException | None:
    """Why a task has no result; a task that is not done by the end counts as stopped."""
    if not task.done() or task.cancelled():
        return StoppedError()
    return task.exception()


def leave(task: "asyncio.Task[Any]") -> None:
    """Cancels a task that nobody waits for any more; asyncio logs nothing of its error."""
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
