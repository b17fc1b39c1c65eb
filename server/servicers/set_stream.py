"""One RerankStream call: sets come in pieces, interleaved; each is answered when it is done.

Of a `running` one the best so far are answered before.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

from twopass.server.edge.statuses import status_of
from twopass.server.errors import InvalidRequestError, LateError
from twopass.server.models.passages import Limits, check_count
from twopass.server.request import Request
from twopass.server.search.open_set import OpenSet
from twopass.server.search.reranking import Reranking
from twopass.server.servicers.candidate_sets import (
    ranked_message,
    read_first_pass_scores,
    read_options,
    read_passages,
)
from twopass.v1 import rerank_pb2

_logger = logging.getLogger("twopass.server")
_MAX_SET_ID_BYTES = 128
# While so many bytes of whole sets wait to be scored, and of answers for a client that reads
# slowly, no more pieces are read. None of them needs another piece to get on.
_MAX_WAITING_BYTES = 16 * 1024 * 1024


_Pieces: TypeAlias = asyncio.Queue[rerank_pb2.RerankStreamRequest | None]


class _IncomingSet:
    """What has come of a set that is not answered."""

    def __init__(self, num_candidates: int) -> None:
        self.pieces: _Pieces = asyncio.Queue()
        self._num_bytes = 0
        self._num_missing = num_candidates

    @property
    def whole_bytes(self) -> int:
        """Bytes of its pieces once all candidates have come; 0 before."""
        return self._num_bytes if self._num_missing <= 0 else 0

    def put(self, piece: rerank_pb2.RerankStreamRequest) -> None:
        """Takes a piece."""
        self._num_bytes += piece.ByteSize()
        self._num_missing -= len(piece.candidates)
        self.pieces.put_nowait(piece)


@dataclass(frozen=True, slots=True)
class _Unsent:
    """An answer that waits for the client to read, and whether gRPC has taken it."""

    answer: rerank_pb2.RerankStreamResponse
    taken: asyncio.Event


class SetStream:
    """The sets of one call. A bad set is answered with its error and harms no other."""

    def __init__(self, reranking: Reranking, limits: Limits, request: Request) -> None:
        self._reranking = reranking
        self._limits = limits
        self._request = request
        self._answers: asyncio.Queue[_Unsent | None] = asyncio.Queue()
        self._whole_bytes = 0
        self._unsent_bytes = 0
        self._changed = asyncio.Event()
        self._open: dict[str, _IncomingSet] = {}
        # Answered with an error before all pieces had come: the rest is on its way, and ignored.
        self._failed: set[str] = set()

    async def answers(
        self, messages: AsyncIterator[rerank_pb2.RerankStreamRequest]
    ) -> AsyncIterator[rerank_pb2.RerankStreamResponse]:
        """Reads pieces and yields answers until both ends are done."""
        reading = asyncio.create_task(self._read(messages))
        try:
            while (unsent := await self._answers.get()) is not None:
                yield unsent.answer  # returns when gRPC has taken it, as fast as the client reads
                unsent.taken.set()
                self._unsent_bytes -= unsent.answer.ByteSize()
                self._changed.set()
            await reading  # raises what ended it
        finally:
            reading.cancel()

    async def _read(self, messages: AsyncIterator[rerank_pb2.RerankStreamRequest]) -> None:
        """Hands every piece to its set, and ends the answers when all sets are answered."""
        try:
            async with asyncio.TaskGroup() as sets:
                async for piece in messages:
                    self._take(piece, sets)
                    await self._room()
                for open_set in self._open.values():
                    open_set.pieces.put_nowait(None)
        except ExceptionGroup as group:  # of the reading alone: a set's errors are its answer
            raise group.exceptions[0] from None
        finally:
            self._answers.put_nowait(None)

    def _take(self, piece: rerank_pb2.RerankStreamRequest, sets: asyncio.TaskGroup) -> None:
        set_id = piece.set_id
        if set_id in self._open and not piece.HasField("set"):
            self._put(self._open[set_id], piece)
        elif piece.HasField("set") and set_id not in self._open:
            self._failed.discard(set_id)
            opened = self._open[set_id] = _IncomingSet(piece.set.num_candidates)
            self._put(opened, piece)
            sets.create_task(self._answer(set_id, opened.pieces))
        elif set_id not in self._failed:
            self._send(self._error(set_id, _out_of_turn(piece)))

    def _put(self, opened: _IncomingSet, piece: rerank_pb2.RerankStreamRequest) -> None:
        before = opened.whole_bytes
        opened.put(piece)
        self._whole_bytes += opened.whole_bytes - before

    async def _room(self) -> None:
        """Waits until no more waits than may."""
        while self._whole_bytes + self._unsent_bytes >= _MAX_WAITING_BYTES:
            self._changed.clear()
            await self._changed.wait()

    async def _answer(self, set_id: str, pieces: _Pieces) -> None:
        try:
            answer = rerank_pb2.RerankStreamResponse(
                set_id=set_id, result=await self._ranked(set_id, pieces)
            )
        except Exception as error:
            self._failed.add(set_id)
            answer = self._error(set_id, error)
        self._whole_bytes -= self._open.pop(set_id).whole_bytes
        self._send(answer)
        self._changed.set()

    def _send(self, answer: rerank_pb2.RerankStreamResponse) -> asyncio.Event:
        """Lets an answer wait for the client; returns what is set when it has been taken."""
        self._unsent_bytes += answer.ByteSize()
        unsent = _Unsent(answer, asyncio.Event())
        self._answers.put_nowait(unsent)
        return unsent.taken

    async def _ranked(self, set_id: str, pieces: _Pieces) -> rerank_pb2.RerankResponse:
        if not 1 <= len(set_id.encode()) <= _MAX_SET_ID_BYTES:
            raise InvalidRequestError(
                f"set_id: {len(set_id.encode())} bytes given, 1 to {_MAX_SET_ID_BYTES} are needed"
            )
        piece = await pieces.get()
        assert piece is not None
        header = piece.set
        check_count(
            "set.num_candidates",
            header.num_candidates,
            self._limits.max_candidates,
            "send several sets",
        )
        options = read_options(header, header.num_candidates, self._limits, self._request)
        candidates: list[rerank_pb2.Candidate] = []
        with self._reranking.open(options) as ranking, ExitStack() as kept:
            self._reserve(piece, kept)
            if header.running:
                telling = asyncio.create_task(self._tell(set_id, header, candidates, ranking))
                kept.callback(telling.cancel)
            self._add(piece, candidates, ranking)
            while not ranking.is_complete:
                piece = await pieces.get()
                if piece is None:
                    raise InvalidRequestError(
                        f"candidates: {len(candidates):,} have come of the "
                        f"{header.num_candidates:,} declared, and the client has sent its last"
                    )
                self._reserve(piece, kept)
                self._add(piece, candidates, ranking)
            ranked = await ranking.ranked()
            # What came while the set was scored: a candidate among it is one too many.
            while not pieces.empty() and (piece := pieces.get_nowait()) is not None:
                self._add(piece, candidates, ranking)
            return ranked_message(ranked, candidates, return_text=header.return_text)

    def _reserve(self, piece: rerank_pb2.RerankStreamRequest, kept: ExitStack) -> None:
        """Counts a piece as kept for the call until its set is answered."""
        num_bytes = piece.ByteSize()
        self._request.reserve_bytes(num_bytes)
        kept.callback(self._request.release_bytes, num_bytes)

    async def _tell(
        self,
        set_id: str,
        header: rerank_pb2.RerankSet,
        candidates: list[rerank_pb2.Candidate],
        ranking: OpenSet,
    ) -> None:
        """Answers with the best so far, no faster than the client reads."""
        try:
            async for ranked in ranking.so_far():
                best = ranked_message(ranked, candidates, return_text=header.return_text)
                running = rerank_pb2.RerankStreamResponse(set_id=set_id, running=best)
                await self._send(running).wait()
        except Exception:  # nobody waits for this task; the set's last answer comes without it
            _logger.exception("a running set is told of no more", extra={"call": self._request.id})

    def _add(
        self,
        piece: rerank_pb2.RerankStreamRequest,
        candidates: list[rerank_pb2.Candidate],
        ranking: OpenSet,
    ) -> None:
        start = len(candidates)
        candidates += piece.candidates
        ranking.add(
            read_passages(piece.candidates, start, self._limits),
            read_first_pass_scores(piece.candidates, start),
        )

    def _error(self, set_id: str, error: Exception) -> rerank_pb2.RerankStreamResponse:
        if isinstance(error, TimeoutError):
            error = LateError("the deadline ran out")
        return rerank_pb2.RerankStreamResponse(
            set_id=set_id, error=status_of(error, self._request.id)
        )


def _out_of_turn(piece: rerank_pb2.RerankStreamRequest) -> InvalidRequestError:
    if piece.HasField("set"):
        return InvalidRequestError(
            f"set: given again for set_id {piece.set_id!r}, which is not answered yet"
        )
    return InvalidRequestError(
        f"set: unset, but set_id {piece.set_id!r} begins with this piece; "
        "the first piece says what the set is"
    )
