"""RerankService: candidate sets in, ranked sets out."""

from collections.abc import AsyncIterator

from twopass.server.edge.messages import ReadMessage, WrittenAnswer
from twopass.server.models.passages import Limits, check_count
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet
from twopass.server.search.reranking import Reranking
from twopass.server.servicers.candidate_sets import (
    ReadCandidates,
    answer_bytes,
    is_plain,
    ranked_answer,
    ranked_message,
    read_candidates,
    read_options,
    read_plain_set,
)
from twopass.server.servicers.set_stream import SetStream
from twopass.server.servicers.translating import Translating
from twopass.v1 import rerank_pb2

# So many candidates of so many bytes are read in half a millisecond.
_FEW_CANDIDATES, _FEW_BYTES = 500, 512 * 1024


class RerankServicer:
    """Translates; `Reranking` does the work."""

    def __init__(self, reranking: Reranking, limits: Limits, translating: Translating) -> None:
        self._reranking = reranking
        self._limits = limits
        self._translating = translating

    def read_rerank(
        self, content: bytes
    ) -> ReadMessage[rerank_pb2.RerankRequest, ReadCandidates] | None:
        """Reads a plain set from its bytes; of a large one the event loop may not wait for that."""
        return read_plain_set(content, self._limits) if len(content) <= _FEW_BYTES else None

    async def rerank(
        self,
        message: rerank_pb2.RerankRequest | ReadMessage[rerank_pb2.RerankRequest, ReadCandidates],
        request: Request,
    ) -> rerank_pb2.RerankResponse | WrittenAnswer:
        """Ranks one set."""
        if isinstance(message, ReadMessage):
            ranked = await self._ranked(message.message, message.part, request)
            return ranked_answer(ranked, message.part.ids)
        candidates = message.candidates
        check_count(
            "candidates",
            len(candidates),
            self._limits.max_candidates,
            "send several sets through RerankStream",
        )
        set_bytes = request.message_bytes
        # Of many bytes in few texts, reading is short: its time goes by the number of candidates.
        few = len(candidates) <= _FEW_CANDIDATES and set_bytes <= _FEW_BYTES
        read = await self._translating.run(
            0 if few else set_bytes, read_candidates, candidates, 0, self._limits, request=request
        )
        ranked = await self._ranked(message, read, request)
        if is_plain(ranked, return_text=message.return_text):
            return ranked_answer(ranked, read.ids)
        return await self._translating.run(
            answer_bytes(ranked, set_bytes, return_text=message.return_text),
            ranked_message,
            ranked,
            candidates,
            message.return_text,
            self._limits.max_message_bytes,
            request=request,
        )

    async def _ranked(
        self, message: rerank_pb2.RerankRequest, read: ReadCandidates, request: Request
    ) -> RankedSet:
        """The set in order; `message` holds its options."""
        options = read_options(message, len(read.passages), self._limits, read.passages)
        with self._reranking.open(options, request) as ranking:
            ranking.add(read.passages, read.first_pass_scores, read.titles)
            return await ranking.ranked()

    def rerank_stream(
        self, messages: AsyncIterator[rerank_pb2.RerankStreamRequest], request: Request
    ) -> AsyncIterator[rerank_pb2.RerankStreamResponse]:
        """Ranks many sets, and answers each when it is done."""
        sets = SetStream(self._reranking, self._limits, self._translating, request)
        return sets.answers(messages)
