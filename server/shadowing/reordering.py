"""Orders a search as a shadow would have: scores what was not scored yet, in idle moments."""

import asyncio
import time
from dataclasses import dataclass

import numpy as np

from twopass.engines.base.model import LoadedReranker, PairQuery
from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.index.base.collection import Collection
from twopass.index.documents import DocumentFields
from twopass.server.collections import Collections
from twopass.server.models.passages import passage_of
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter, Priority
from twopass.server.search.passage_reading import PassageReading
from twopass.server.search.second_pass import Policy, SecondPass, best_first
from twopass.server.shadow_spec import ShadowSpec
from twopass.server.shadowing.agreement import TOP
from twopass.server.shadowing.drawn import Drawn

# A caller that comes while pairs of a shadow are computed waits for those: as many as take this
# long, by the engine's measured speed.
_PIECE_SECONDS = 0.005
_MAX_PIECE = 32
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
_TEXT = DocumentFields(text=True, metadata=False)


class BusyError(Exception):
    """The server had no idle moment in time."""


@dataclass(frozen=True, slots=True, eq=False)
class ShadowParts:
    """The parts of the server that shadows work with."""

    models: Models
    arbiter: Arbiter
    tokenizing: Tokenizing
    collections: Collections


class Reordering:
    """Reranks searches once more, below all other work."""

    def __init__(self, parts: ShadowParts) -> None:
        self._parts = parts
        self._second_pass = SecondPass(parts.arbiter, priority=Priority.SHADOW)

    async def order(self, drawn: Drawn, spec: ShadowSpec) -> list[str]:
        """Ids of the first ten as the shadow orders them.

        Raises:
            BusyError: The server had no idle moments before the search expired.
            EngineError: The engine failed.
        """
        reranker = drawn.reranker
        if spec.reranker:
            reranker = self._parts.models.reranker(spec.reranker)
        is_same = reranker.spec.id == drawn.reranker.spec.id
        candidates = drawn.candidates
        depth = min(spec.depth or len(drawn.read), len(candidates))
        positions = np.sort(candidates.reading_order[:depth])
        logits = np.full(len(candidates), np.nan, np.float32)
        if is_same:  # a pair's logit depends on the pair alone: what is known stays
            logits[drawn.read] = drawn.scored.logits
        missing = positions[np.isnan(logits[positions])]
        if len(missing):
            logits[missing] = await self._scored(drawn, reranker, missing, is_same=is_same)
        blend = spec.blend
        if blend is None:
            blend = drawn.blend if is_same else reranker.spec.blend
        first = best_first(logits[positions], candidates.scores[positions], blend, TOP)
        order = positions[first].tolist()
        if len(order) < TOP:
            rest = np.setdiff1d(np.arange(len(candidates)), positions)  # in first-pass order
            order += rest[: TOP - len(order)].tolist()
        return [candidates.ids[position] for position in order]

    async def _scored(
        self, drawn: Drawn, reranker: LoadedReranker, missing: Int32s, *, is_same: bool
    ) -> Float32s:
        """Logits of candidates, float32 `[num_missing]`, computed a few at a time."""
        try:
            async with asyncio.timeout(drawn.expires - time.perf_counter()):
                await self._idle()
                query = drawn.pair_query if is_same else await self._query(drawn, reranker)
                passages = await self._passages(drawn, reranker, missing)
                logits: list[Float32s] = []
                done = 0
                while done < len(missing):
                    await self._idle()
                    piece = self._piece(reranker, query, passages, done)
                    scored = await self._second_pass.score(
                        reranker, query, piece, Policy(drawn.truncation)
                    )
                    logits.append(scored.logits)
                    done += len(piece)
        except TimeoutError:
            raise BusyError from None
        return np.concatenate(logits)

    async def _idle(self) -> None:
        """Waits until the device has nothing to do."""
        pause = _FIRST_PAUSE
        while not self._parts.arbiter.is_idle:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _piece(
        self, reranker: LoadedReranker, query: PairQuery, passages: Ragged, start: int
    ) -> Ragged:
        """The next passages, as many as are computed in a few milliseconds, at least one."""
        speed = self._parts.arbiter.backlog.service_times[reranker.engine].tokens_per_second
        left = int(speed * _PIECE_SECONDS)
        rows: list[Int32s] = []
        for i in range(start, min(start + _MAX_PIECE, len(passages))):
            row = passages[i]
            left -= len(row) + query.num_tokens
            if rows and left < 0:
                break
            rows.append(row)
        return Ragged.from_rows(rows)

    async def _query(self, drawn: Drawn, reranker: LoadedReranker) -> PairQuery:
        takes = reranker.takes_instruction
        return await self._parts.tokenizing.pair_query(
            reranker, drawn.query.text, drawn.query.rerank.instruction if takes else ""
        )

    async def _passages(self, drawn: Drawn, reranker: LoadedReranker, positions: Int32s) -> Ragged:
        """Token ids of candidates' passages."""
        reading = PassageReading(
            drawn.candidates,
            positions,
            reranker,
            drawn.truncation,
            drawn.schema,
            self._parts.models.tokenizer_of(drawn.collection, drawn.schema),
        )
        if (stored := reading.stored()) is not None:
            return stored
        request = Request()
        try:
            collection = await self._parts.collections.acquire(drawn.collection, request)
            texts = await self._texts(collection, drawn, positions)
            return await reading.of_texts(texts, self._parts.tokenizing, request.stop)
        finally:
            request.close()

    async def _texts(self, collection: Collection, drawn: Drawn, positions: Int32s) -> list[str]:
        ids = [drawn.candidates.ids[position] for position in positions.tolist()]
        documents = await collection.get(ids, _TEXT, allow_missing=True)
        texts = {each.id: passage_of(each.title, each.text) for each in documents}
        return [texts.get(each, "") for each in ids]
