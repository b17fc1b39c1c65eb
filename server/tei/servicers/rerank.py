"""tei.v1.Rerank: a query and texts in, the texts in order out."""

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.server.edge.calls import HeadedAnswer
from twopass.server.errors import InvalidRequestError, at_place
from twopass.server.ingest.ahead import in_order
from twopass.server.request import Request
from twopass.server.servicers.translating import Translating
from twopass.server.tei.errors import BatchSizeError, EmptyInputError
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.servicers.messages import metadata_of, read_direction, with_headers
from twopass.server.tei.servicers.streams import Waiting, when_admitted
from twopass.server.tei.types import Cost, Cuts, TextsToRank, TruncationDirection
from twopass.tei.v1 import tei_pb2

# Texts of a stream that are scored together: as many as an engine's batch, so that scoring begins
# while others come, and a query is tokenised once for all of them.
_PIECE_TEXTS = 64
_MAX_PIECES = 8
_TEXT = re.compile(r"texts\[(\d+)\]", re.ASCII)
# Of a rank beside its text: index, score, tags and lengths.
_RANK_BYTES = 24


class RerankServicer:
    """Translates; `Scoring` does the work."""

    def __init__(self, operations: TeiOperations, model: str, translating: Translating) -> None:
        """Takes the operations, the id of the port's model, and what builds large messages."""
        self._operations = operations
        self._model = model
        self._translating = translating

    async def rerank(self, message: tei_pb2.RerankRequest, request: Request) -> HeadedAnswer:
        """Orders the texts of one request."""
        texts = list(message.texts)
        asked = TextsToRank(
            query=message.query,
            texts=texts,
            model=self._model,
            truncate=message.truncate,
            direction=read_direction(message),
            raw_scores=message.raw_scores,
        )
        ranks = await self._operations.scoring.rerank(asked, request)
        returned = texts if message.return_text else None
        num_bytes = len(texts) * _RANK_BYTES + (request.message_bytes if returned else 0)
        answer = await self._translating.run(
            num_bytes,
            _response,
            ranks.order.tolist(),
            ranks.scores,
            returned,
            ranks.cost,
            request=request,
        )
        return with_headers(answer, ranks.cost)

    async def rerank_stream(
        self, messages: AsyncIterator[tei_pb2.RerankStreamRequest], request: Request
    ) -> AsyncIterator[HeadedAnswer]:
        """Orders texts that come one by one; scores them while others come."""
        served = self._operations.served
        reranker = served.reranker(self._model, "model is not a re-ranker model")
        pieces = _Pieces(request, max_texts=served.max_texts(reranker))

        async def scored(piece: _Piece) -> tuple[_Piece, Float32s, Cost]:
            try:
                logits, cost = await when_admitted(lambda: self._logits(piece, request))
            except InvalidRequestError as error:
                raise _at_message(error, piece) from error
            pieces.scored(piece)
            return piece, logits, cost

        logits: list[Float32s] = []
        texts: list[str] = []
        costs: list[tuple[int, Cost]] = []
        async with aclosing(in_order(pieces.read(messages), scored, limit=_MAX_PIECES)) as done:
            async for piece, of_piece, cost in done:
                logits.append(of_piece)
                costs.append((len(piece.texts), cost))
                if pieces.returns_text:
                    texts += piece.texts
        if not logits:
            raise EmptyInputError("the stream has no message; send one for each text")
        of_all = np.concatenate(logits)
        order = np.argsort(-of_all, kind="stable")
        scores = of_all if pieces.raw_scores else reranker.spec.calibration.score(of_all)
        cost = _joined(costs, request)
        returned = texts if pieces.returns_text else None
        num_bytes = len(of_all) * _RANK_BYTES + sum(map(len, texts))
        answer = await self._translating.run(
            num_bytes, _response, order.tolist(), scores[order], returned, cost, request=request
        )
        yield with_headers(answer, cost)

    async def _logits(self, piece: "_Piece", request: Request) -> tuple[Float32s, Cost]:
        """The logits of a piece's texts, in their order."""
        part = Request(id=request.id, deadline=request.deadline, caller=request.caller)
        asked = TextsToRank(
            query=piece.alike.query,
            texts=piece.texts,
            model=self._model,
            truncate=piece.alike.truncate,
            direction=piece.alike.direction,
            raw_scores=True,
        )
        try:
            ranks = await self._operations.scoring.rerank(asked, part)
        finally:
            part.close()
        logits = np.empty_like(ranks.scores)
        logits[ranks.order] = ranks.scores
        return logits, ranks.cost


@dataclass(frozen=True, slots=True)
class _Alike:
    """What messages have in common whose texts are scored together."""

    query: str
    truncate: bool
    direction: TruncationDirection


@dataclass(frozen=True, slots=True)
class _Piece:
    """Texts of messages that followed each other, and the bytes that are kept for them.

    Attributes:
        first: The number of the first message, from 1.
        alike: What they have in common.
        texts: Their texts.
        sizes: Their sizes in bytes.
    """

    first: int
    alike: _Alike
    texts: list[str]
    sizes: list[int]


class _Pieces:
    """The messages of a stream as pieces that are scored one by one.

    Attributes:
        raw_scores: Whether the answer has logits, as the first message said.
        returns_text: Whether it repeats the texts, as the first message said.
    """

    def __init__(self, request: Request, *, max_texts: int) -> None:
        self.raw_scores = self.returns_text = False
        self._request = request
        self._max_texts = max_texts
        self._waiting = Waiting(request)

    async def read(
        self, messages: AsyncIterator[tei_pb2.RerankStreamRequest]
    ) -> AsyncIterator[_Piece]:
        """Yields pieces as they come.

        Raises:
            BatchSizeError: There are more texts than may be in one request.
            OverloadedError: The bytes of all calls exceed the server's limit.
        """
        piece, number = None, 0
        async for message in messages:
            number += 1
            if number == 1:
                self.raw_scores, self.returns_text = message.raw_scores, message.return_text
            if number > self._max_texts:
                raise BatchSizeError(number, self._max_texts)
            num_bytes = self._request.message_bytes
            self._waiting.keep(num_bytes)
            alike = _Alike(message.query, message.truncate, read_direction(message))
            if piece is not None and (alike != piece.alike or len(piece.texts) >= _PIECE_TEXTS):
                yield piece
                piece = None
                await self._waiting.room()
            piece = piece or _Piece(number, alike, [], [])
            piece.texts.append(message.text)
            piece.sizes.append(num_bytes)
        if piece is not None:
            yield piece

    def scored(self, piece: _Piece) -> None:
        """Keeps the bytes of a piece no longer, unless its texts are part of the answer."""
        num_bytes = sum(piece.sizes)
        if self.returns_text:
            self._waiting.set_aside(num_bytes)
        else:
            self._waiting.drop(num_bytes)


def _at_message(error: InvalidRequestError, piece: _Piece) -> Exception:
    """The error of a piece, with the number of the message that it is about where it says so."""
    place = _TEXT.fullmatch(str(error.facts.get("field", "")))
    return at_place(error, message=piece.first + int(place[1])) if place else error


def _response(
    order: Sequence[int], scores: Float32s, texts: Sequence[str] | None, cost: Cost
) -> tei_pb2.RerankResponse:
    ranks = [
        tei_pb2.Rank(index=index, score=score, text=None if texts is None else texts[index])
        for index, score in zip(order, scores.tolist(), strict=True)
    ]
    return tei_pb2.RerankResponse(ranks=ranks, metadata=metadata_of(cost))


def _joined(costs: Sequence[tuple[int, Cost]], request: Request) -> Cost:
    """What pieces took together: of their times the average of a text.

    Args:
        costs: Number of texts and cost of each piece.
        request: The call.
    """
    num_texts = sum(count for count, _ in costs)

    def average(name: str) -> float:
        return float(sum(count * getattr(cost, name) for count, cost in costs)) / num_texts

    return replace(
        costs[0][1],
        num_chars=sum(cost.num_chars for _, cost in costs),
        num_tokens=sum(cost.num_tokens for _, cost in costs),
        total=time.perf_counter() - request.received,
        tokenize=average("tokenize"),
        queue=average("queue"),
        inference=average("inference"),
        cuts=Cuts(
            query=any(cost.cuts.query for _, cost in costs),
            num_documents=sum(cost.cuts.num_documents for _, cost in costs),
        ),
    )
