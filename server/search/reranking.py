"""Candidate sets that callers send: admitted, then tokenised and scored as their pieces come."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_instruction
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing, passage_limit
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.scheduling.service_time import TokenDensity
from twopass.server.search.open_set import OpenSet, RankedSet, SetOptions, SetScorer
from twopass.server.search.second_pass import SecondPass
from twopass.server.search.spans.scoring import SpanScoring

# A set is opened in about 50 microseconds, so that others wait for 2 ms at most.
_SETS_OF_A_TURN = 32
# So many sets of a request are scored at a time: enough to fill batches, and what all of them have
# to do when a batch is done holds up others for milliseconds. 5,000 at once did for 0.6 s.
_SETS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class WholeSet:
    """A candidate set that has come whole.

    Attributes:
        options: Query and options.
        passages: The candidates.
    """

    options: SetOptions
    passages: Sequence[str]


class Reranking:
    """Orders candidate sets that callers send."""

    def __init__(
        self, models: Models, arbiter: Arbiter, tokenizing: Tokenizing, second_pass: SecondPass
    ) -> None:
        self._models = models
        self._arbiter = arbiter
        self._tokenizing = tokenizing
        self._second_pass = second_pass
        self._span_scoring = SpanScoring(arbiter, tokenizing, second_pass)
        self._densities: defaultdict[str, TokenDensity] = defaultdict(TokenDensity)

    def open(self, options: SetOptions, request: Request) -> OpenSet:
        """Reserves places for a whole set, until the end of the block that it is used in.

        Args:
            options: Query and options of the set.
            request: The call that sends it.

        Raises:
            UnknownModelError: The server holds no such reranker.
            InvalidRequestError: It takes no instruction, and one is given.
            OverloadedError: There are fewer free places than candidates.
            WouldBeLateError: The candidates would be late for what waits before them.
            NeverInTimeError: The candidates would be late even on an idle engine.
        """
        reranker = self._models.reranker(options.model)
        check_instruction("instruction", options.instruction, reranker, reranker.takes_instruction)
        density = self._densities[reranker.spec.id]
        # A set that can't be done in time is refused before it costs any tokenising.
        limit = passage_limit(reranker, options.truncation)
        num_tokens = density.tokens(options.passage_chars, limit)
        admission = self._arbiter.admitted(
            options.num_candidates,
            engine=reranker.engine,
            num_tokens=num_tokens,
            deadline=request.end,
        )
        scorer = SetScorer(
            reranker, self._tokenizing, self._second_pass, density, self._span_scoring
        )
        return OpenSet(options, request, scorer, admission)

    async def ranked_each(
        self,
        sets: Sequence[WholeSet],
        request: Request,
        query_field: Callable[[int], str] | None = None,
    ) -> list[RankedSet]:
        """Orders many sets of one request; all of them are admitted, or none.

        All other work of the event loop has its turns meanwhile, however many sets there are.

        Args:
            sets: The sets.
            request: The call that sends them.
            query_field: What the query of a set is called in the request, by the set's place; None
                for "query".

        Raises:
            InvalidRequestError: A query has no words, or is too long and not to be cut.
            OverloadedError: There are fewer free places than candidates of all sets.
            LateError: The deadline came first.
            EngineError: The engine failed.
        """
        # Places are free for all of them, or it is said at once whether there ever will be.
        self._arbiter.admitted(sum(len(each.passages) for each in sets)).release()
        opened: dict[int, OpenSet] = {}
        ranked: dict[int, RankedSet] = {}
        waiting = iter(range(len(sets)))

        async def rank_next() -> None:
            for i in waiting:
                passages = sets[i].passages
                with opened.pop(i) as ranking:
                    ranking.add(passages, [None] * len(passages))
                    try:
                        ranked[i] = await ranking.ranked()
                    except InvalidRequestError as error:
                        if query_field is None or error.facts.get("field") != "query":
                            raise
                        raise _renamed(error, query_field(i)) from None

        workers: list[asyncio.Task[None]] = []
        try:
            for i, each in enumerate(sets):
                if i and i % _SETS_OF_A_TURN == 0:
                    await asyncio.sleep(0)
                opened[i] = self.open(each.options, request)
            workers += [asyncio.create_task(rank_next()) for _ in sets[:_SETS_AT_ONCE]]
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            for left in opened.values():
                left.__exit__()
        return [ranked[i] for i in range(len(sets))]


def _renamed(error: InvalidRequestError, field: str) -> InvalidRequestError:
    """An error about a query, which has another name in the request."""
    message = str(error).removeprefix("query: ")
    return InvalidRequestError(f"{field}: {message}", **{**error.facts, "field": field})
