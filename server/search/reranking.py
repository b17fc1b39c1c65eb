"""Candidate sets that callers send: admitted, then tokenised and scored as their pieces come."""

from collections import defaultdict

from twopass.server.models.passages import check_instruction
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing, passage_limit
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.scheduling.service_time import TokenDensity
from twopass.server.search.open_set import OpenSet, SetOptions, SetScorer
from twopass.server.search.second_pass import SecondPass


class Reranking:
    """Orders candidate sets that callers send."""

    def __init__(
        self, models: Models, arbiter: Arbiter, tokenizing: Tokenizing, second_pass: SecondPass
    ) -> None:
        self._models = models
        self._arbiter = arbiter
        self._tokenizing = tokenizing
        self._second_pass = second_pass
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
        scorer = SetScorer(reranker, self._tokenizing, self._second_pass, density)
        return OpenSet(options, request, scorer, admission)
