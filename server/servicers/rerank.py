"""RerankService: candidate sets in, ranked sets out."""

from collections.abc import AsyncIterator

from twopass.server.models.passages import Limits, check_count
from twopass.server.request import Request
from twopass.server.search.reranking import Reranking
from twopass.server.servicers.candidate_sets import (
    ranked_message,
    read_first_pass_scores,
    read_options,
    read_passages,
)
from twopass.server.servicers.set_stream import SetStream
from twopass.v1 import rerank_pb2


class RerankServicer:
    """Translates; `Reranking` does the work."""

    def __init__(self, reranking: Reranking, limits: Limits) -> None:
        self._reranking = reranking
        self._limits = limits

    async def rerank(
        self, message: rerank_pb2.RerankRequest, request: Request
    ) -> rerank_pb2.RerankResponse:
        """Answers one set."""
        candidates = message.candidates
        check_count(
            "candidates",
            len(candidates),
            self._limits.max_candidates,
            "send several sets through RerankStream",
        )
        passages = read_passages(candidates, 0, self._limits)
        options = read_options(message, len(candidates), self._limits, request, passages)
        with self._reranking.open(options) as ranking:
            ranking.add(passages, read_first_pass_scores(candidates, 0))
            return ranked_message(
                await ranking.ranked(), candidates, return_text=message.return_text
            )

    def rerank_stream(
        self, messages: AsyncIterator[rerank_pb2.RerankStreamRequest], request: Request
    ) -> AsyncIterator[rerank_pb2.RerankStreamResponse]:
        """Answers many sets, each when it is done."""
        return SetStream(self._reranking, self._limits, request).answers(messages)
