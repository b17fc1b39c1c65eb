"""Many searches in one call, which share what they can."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from twopass.engines.base.model import LoadedEncoder
from twopass.engines.base.sequences import Float32s, Ragged
from twopass.index.base.retrieval import Members
from twopass.server.errors import OverloadedError, WouldBeLateError
from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.server.search.first_pass import FirstPass, leave
from twopass.server.search.found import Ahead
from twopass.server.search.pipeline import Search, SearchPipeline
from twopass.server.search.types import SearchQuery, SearchResult

T = TypeVar("T")

Outcome: TypeAlias = SearchResult | Exception
"""What became of one search."""

# Searches of one batch under way at once: enough to fill the engine and to share calls of faiss,
# and few enough that the words of other callers' searches do not wait for those of all.
_AT_ONCE = 16


class BatchSearching:
    """Answers batches of searches."""

    def __init__(self, pipeline: SearchPipeline, first_pass: FirstPass, models: Models) -> None:
        self._pipeline = pipeline
        self._first_pass = first_pass
        self._models = models

    async def search(
        self, queries: Sequence[SearchQuery | Exception], request: Request
    ) -> list[Outcome]:
        """Answers queries; one that fails harms no other.

        Queries are embedded together, equal filters of one collection are looked up once, and the
        places for all second passes are reserved together: where there is no room for all of them,
        no search has a second pass, as if each had found the queue full.

        Args:
            queries: The queries, each with what is wrong with it in its place.
            request: The call.

        Returns:
            What became of each, in their order; an error is one that a search alone would raise.
        """
        batch = _Batch(self, queries, request)
        return await batch.outcomes()


class _Batch:
    """One batch; its searches are named by their positions."""

    def __init__(
        self,
        parts: BatchSearching,
        queries: Sequence[SearchQuery | Exception],
        request: Request,
    ) -> None:
        self._parts = parts
        self._queries = queries
        self._request = request
        self._outcomes: dict[int, Outcome] = {}
        self._searches: dict[int, Search] = {}
        self._vectors: dict[int, Float32s] = {}
        self._matching: dict[tuple[str, str], asyncio.Task[Members]] = {}

    async def outcomes(self) -> list[Outcome]:
        """Runs every search."""
        pipeline = self._parts._pipeline
        for i, query in enumerate(self._queries):
            if isinstance(query, Exception):
                self._outcomes[i] = query
            else:
                prepared = pipeline.prepare(query, self._request.part())
                search = await self._attempt(i, prepared)
                if search is not None:
                    self._searches[i] = search
        self._reserve()
        try:
            await self._each(lambda _, search: search.tokenize())
            await self._embed()
            self._look_up_filters()
            await self._each(self._run)
        finally:
            for task in self._matching.values():
                leave(task)
            for search in self._searches.values():
                search.ranking.release()
        return [self._outcomes[i] for i in range(len(self._queries))]

    async def _attempt(self, i: int, work: Awaitable[T]) -> T | None:
        """What `work` gives; None where it fails, which is what becomes of the search then."""
        try:
            return await work
        except Exception as error:
            self._failed(i, error)
            return None

    def _failed(self, i: int, error: Exception) -> None:
        self._outcomes[i] = error
        if i in self._searches:
            self._searches.pop(i).ranking.release()

    async def _each(self, work: Callable[[int, Search], Awaitable[None]]) -> None:
        """Does something for every search that has not failed, for so many at once."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def in_turn(i: int, search: Search) -> None:
            async with turn:
                await self._attempt(i, work(i, search))

        await asyncio.gather(*(in_turn(i, search) for i, search in self._searches.items()))

    def _reserve(self) -> None:
        """Reserves the places of all second passes, or of none where there is no room for all."""
        overloaded: OverloadedError | None = None
        for i, search in list(self._searches.items()):
            try:
                search.ranking.reserve()
            except Exception as error:
                if isinstance(error, OverloadedError) and not isinstance(error, WouldBeLateError):
                    overloaded = error
                    break
                self._without_second_pass(i, search, error)
        if overloaded is not None:
            for i, search in list(self._searches.items()):
                if search.ranking.is_expected:
                    self._without_second_pass(i, search, overloaded)

    def _without_second_pass(self, i: int, search: Search, error: Exception) -> None:
        try:
            search.ranking.do_without(error)
        except Exception as raised:
            self._failed(i, raised)

    async def _embed(self) -> None:
        """Embeds queries of each encoder together.

        Where that fails, each search tries again alone: so what becomes of it is told as ever.
        """
        by_encoder: dict[tuple[str, str], list[int]] = defaultdict(list)
        encoders: dict[tuple[str, str], LoadedEncoder] = {}
        for i, search in self._searches.items():
            if search.query.needs_embedding:
                encoder = self._parts._models.encoder_of(
                    search.collection.name, search.collection.schema
                )
                instruction = search.query.retrieve.instruction
                key = encoder.spec.revision, instruction
                encoders[key] = encoder.instructed(instruction)
                by_encoder[key].append(i)
        for key, positions in by_encoder.items():
            encoder = encoders[key]
            searches = [self._searches[i] for i in positions]
            ids = [search.query_ids[encoder.query_tokenizer.fingerprint] for search in searches]
            try:
                vectors = await self._parts._first_pass.embed_together(
                    encoder, Ragged.from_rows(ids), self._request, searches[0].ends.passes
                )
            except Exception:  # noqa: S112  # each search meets it again, and tells it
                continue
            self._vectors |= dict(zip(positions, vectors, strict=True))
            timings = self._request.timings
            for search in searches:
                search.timings.embed, search.timings.queue = timings.embed, timings.queue

    def _look_up_filters(self) -> None:
        """Begins to look up each filter of each collection, once."""
        for search in self._searches.values():
            key = _filter_of(search)
            if search.query.filter is not None and key not in self._matching:
                self._matching[key] = asyncio.create_task(self._look_up(search))

    async def _look_up(self, search: Search) -> Members:
        assert search.query.filter is not None
        with self._request.stop_by(search.ends.passes) as stop:
            return await search.collection.members(search.query.filter, stop)

    async def _run(self, i: int, search: Search) -> None:
        matching = self._matching.get(_filter_of(search))
        ahead = Ahead(vector=self._vectors.get(i), matching=matching)
        self._outcomes[i] = await search.result(ahead)


def _filter_of(search: Search) -> tuple[str, str]:
    """Equal for searches with the same filter of the same collection, in this life of it.

    By how the filter is written, since 1, 1.0 and true are equal in Python and not in a filter.
    """
    return search.collection.incarnation, repr(search.query.filter)
