"""One RerankStream call: sets come in pieces, interleaved; each is answered when it is done.

A set with `running` is also answered with its best hits so far. All that the call keeps is bounded:
pieces count in the bytes of its request from when they are read until their set is answered,
answers until gRPC takes them, and of failed sets only a bounded number of ids is kept.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

from twopass.server.edge.statuses import status_of
from twopass.server.errors import (
    InvalidRequestError,
    LateError,
    OverloadedError,
    at_place,
    within,
)
from twopass.server.models.passages import Limits, check_count
from twopass.server.request import Request
from twopass.server.search.open_set import OpenSet, RankedSet
from twopass.server.search.reranking import Reranking
from twopass.server.servicers.candidate_sets import (
    answer_bytes,
    ranked_message,
    read_candidates,
    read_options,
)
from twopass.server.servicers.translating import Translating
from twopass.v1 import rerank_pb2

_logger = logging.getLogger("twopass.server")

# rerank.proto names these limits: change them there too.
_MAX_SET_ID_BYTES = 128
_MAX_INCOMPLETE_SETS = 1_024
_MAX_FAILED_IDS = 1_024

# No more pieces are read while whole sets that wait to be scored and answers that wait for a slow
# client take this many bytes, or while this many whole sets wait. None of them needs another piece.
_MAX_WAITING_BYTES = 16 * 1024 * 1024
_MAX_WHOLE_SETS = 1_024

_RETRY_SECONDS = 0.1
_SET_FIELDS = frozenset(rerank_pb2.RerankSet.DESCRIPTOR.fields_by_name)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece as received, and the size of its message."""

    message: rerank_pb2.RerankStreamRequest
    num_bytes: int


_Arriving: TypeAlias = _Piece | Exception | None
"""A piece, or the error that refuses the set, or None when the client has sent its last piece."""


class _IncomingSet:
    """The pieces received of a set that is not answered yet.

    Attributes:
        arriving: Pieces that the set's task has not taken yet.
        num_bytes: Size of all its pieces.
        is_whole: Whether all its candidates have come.
    """

    def __init__(self, num_candidates: int) -> None:
        self.arriving: asyncio.Queue[_Arriving] = asyncio.Queue()
        self.num_bytes = 0
        self.is_whole = False
        self._num_missing = num_candidates

    @property
    def whole_bytes(self) -> int:
        """Size of its pieces once all candidates have come; 0 before."""
        return self.num_bytes if self.is_whole else 0

    def put(self, piece: _Piece) -> None:
        """Counts a piece and queues it for the set's task."""
        self.num_bytes += piece.num_bytes
        self._num_missing -= len(piece.message.candidates)
        self.is_whole = self._num_missing <= 0
        self.arriving.put_nowait(piece)


@dataclass(frozen=True, slots=True)
class _Unsent:
    """An answer that waits for the client to read, and whether gRPC has taken it."""

    answer: rerank_pb2.RerankStreamResponse
    num_bytes: int
    taken: asyncio.Event


class SetStream:
    """The sets of one call. A bad set is answered with its error and harms no other."""

    def __init__(
        self, reranking: Reranking, limits: Limits, translating: Translating, request: Request
    ) -> None:
        self._reranking = reranking
        self._limits = limits
        self._translating = translating
        self._request = request
        self._incoming: dict[str, _IncomingSet] = {}
        self._failed = _FailedIds()
        self._answers: asyncio.Queue[_Unsent | None] = asyncio.Queue()
        self._unsent_bytes = 0
        self._num_whole = 0
        self._whole_bytes = 0
        self._waiting_less = asyncio.Event()

    async def answers(
        self, messages: AsyncIterator[rerank_pb2.RerankStreamRequest]
    ) -> AsyncIterator[rerank_pb2.RerankStreamResponse]:
        """Reads pieces and yields answers until both ends are done."""
        reading = asyncio.create_task(self._read(messages))
        try:
            while (unsent := await self._answers.get()) is not None:
                yield unsent.answer  # returns when gRPC has taken it, as fast as the client reads
                unsent.taken.set()
                self._unsent_bytes -= unsent.num_bytes
                self._request.release_bytes(unsent.num_bytes)
                self._waiting_less.set()
            await reading  # raises what ended it
        finally:
            reading.cancel()

    async def _read(self, messages: AsyncIterator[rerank_pb2.RerankStreamRequest]) -> None:
        """Hands every piece to its set, and ends the answers when all sets are answered."""
        num_taken = 0
        try:
            async with asyncio.TaskGroup() as sets:
                async for message in messages:
                    self._take(_Piece(message, self._request.message_bytes), sets)
                    num_taken += 1
                    await self._room()
                for incoming in self._incoming.values():
                    incoming.arriving.put_nowait(None)
        except ExceptionGroup as group:  # from reading alone: a set's error is its answer
            error = group.exceptions[0]
            raise at_place(error, piece=num_taken + 1) from error
        finally:
            self._answers.put_nowait(None)

    async def _room(self) -> None:
        """Waits until the sets and answers that wait are below their limits."""
        while (
            self._whole_bytes + self._unsent_bytes >= _MAX_WAITING_BYTES
            or self._num_whole >= _MAX_WHOLE_SETS
        ):
            self._waiting_less.clear()
            await self._waiting_less.wait()

    def _take(self, piece: _Piece, sets: asyncio.TaskGroup) -> None:
        """Hands a piece to its set, or drops it and answers with the error."""
        message = piece.message
        set_id, begins = message.set_id, message.HasField("set")
        if problem := _problem_of_id(set_id):
            # The answer does not repeat the id, which may be as long as a message.
            self._send(self._error("", InvalidRequestError(f"set_id: {problem}")))
        elif (incoming := self._incoming.get(set_id)) is not None:
            if begins:
                self._send(self._error(set_id, _given_again(set_id)))
            else:
                self._keep(incoming, piece)
        elif begins:
            self._begin(set_id, piece, sets)
        elif set_id not in self._failed:
            self._send(self._error(set_id, _without_beginning(set_id)))

    def _begin(self, set_id: str, piece: _Piece, sets: asyncio.TaskGroup) -> None:
        """Begins a set with its first piece, or refuses it."""
        self._failed.discard(set_id)
        incoming = _IncomingSet(piece.message.set.num_candidates)
        try:
            will_be_whole = len(piece.message.candidates) >= piece.message.set.num_candidates
            if not will_be_whole and self._num_incomplete >= _MAX_INCOMPLETE_SETS:
                raise OverloadedError(
                    f"set: {self._num_incomplete:,} sets of this call wait for more pieces, which "
                    "is the most; complete some of them before another begins",
                    retry_after=_RETRY_SECONDS,
                    field="set",
                    limit=_MAX_INCOMPLETE_SETS,
                    value=self._num_incomplete,
                )
            self._request.reserve_bytes(piece.num_bytes)
        except OverloadedError as error:
            self._failed.add(set_id)
            self._send(self._error(set_id, error))
            return
        self._incoming[set_id] = incoming
        self._put(incoming, piece)
        sets.create_task(self._answer(set_id, incoming))

    @property
    def _num_incomplete(self) -> int:
        return len(self._incoming) - self._num_whole

    def _keep(self, incoming: _IncomingSet, piece: _Piece) -> None:
        """Keeps a further piece of a set; refuses the set where there is no room for the piece."""
        try:
            self._request.reserve_bytes(piece.num_bytes)
        except OverloadedError as error:
            incoming.arriving.put_nowait(error)
        else:
            self._put(incoming, piece)

    def _put(self, incoming: _IncomingSet, piece: _Piece) -> None:
        was_whole, bytes_before = incoming.is_whole, incoming.whole_bytes
        incoming.put(piece)
        self._num_whole += incoming.is_whole - was_whole
        self._whole_bytes += incoming.whole_bytes - bytes_before

    async def _answer(self, set_id: str, incoming: _IncomingSet) -> None:
        try:
            result = await self._ranked(set_id, incoming)
            answer = rerank_pb2.RerankStreamResponse(set_id=set_id, result=result)
        except Exception as error:
            self._failed.add(set_id)
            answer = self._error(set_id, within(error, "set", _SET_FIELDS))
        del self._incoming[set_id]
        self._num_whole -= incoming.is_whole
        self._whole_bytes -= incoming.whole_bytes
        self._request.release_bytes(incoming.num_bytes)
        self._send(answer)
        self._waiting_less.set()

    async def _ranked(self, set_id: str, incoming: _IncomingSet) -> rerank_pb2.RerankResponse:
        arriving = incoming.arriving
        piece = _arrived(await arriving.get())
        assert piece is not None
        header = piece.message.set
        check_count(
            "set.num_candidates",
            header.num_candidates,
            self._limits.max_candidates,
            "send several sets",
        )
        options = read_options(header, header.num_candidates, self._limits)
        candidates: list[rerank_pb2.Candidate] = []
        with self._reranking.open(options, self._request) as ranking, ExitStack() as undo:
            if header.running:
                telling = self._tell(set_id, incoming, header, candidates, ranking)
                undo.callback(asyncio.create_task(telling).cancel)
            await self._add(piece, candidates, ranking)
            while not ranking.is_complete:
                piece = _arrived(await arriving.get())
                if piece is None:
                    raise InvalidRequestError(
                        f"candidates: {len(candidates):,} have come of the "
                        f"{header.num_candidates:,} declared, and the client has sent its last",
                        limit=header.num_candidates,
                        value=len(candidates),
                    )
                await self._add(piece, candidates, ranking)
            ranked = await ranking.ranked()
            # Pieces that came while the set was scored: a candidate in one of them is one too many.
            while not arriving.empty() and (piece := _arrived(arriving.get_nowait())) is not None:
                await self._add(piece, candidates, ranking)
            return await self._message(ranked, candidates, header, incoming)

    async def _add(
        self, piece: _Piece, candidates: list[rerank_pb2.Candidate], ranking: OpenSet
    ) -> None:
        """Reads a piece and begins to score it."""
        read = await self._translating.run(
            piece.num_bytes,
            read_candidates,
            piece.message.candidates,
            len(candidates),
            self._limits,
            request=self._request,
        )
        candidates += piece.message.candidates
        ranking.add(read.passages, read.first_pass_scores, read.titles)

    async def _message(
        self,
        ranked: RankedSet,
        candidates: list[rerank_pb2.Candidate],
        header: rerank_pb2.RerankSet,
        incoming: _IncomingSet,
    ) -> rerank_pb2.RerankResponse:
        return await self._translating.run(
            answer_bytes(ranked, incoming.num_bytes, return_text=header.return_text),
            ranked_message,
            ranked,
            candidates,
            header.return_text,
            self._limits.max_message_bytes,
            request=self._request,
        )

    async def _tell(
        self,
        set_id: str,
        incoming: _IncomingSet,
        header: rerank_pb2.RerankSet,
        candidates: list[rerank_pb2.Candidate],
        ranking: OpenSet,
    ) -> None:
        """Sends the best hits so far, no faster than the client reads."""
        try:
            async for ranked in ranking.so_far():
                best = await self._message(ranked, candidates, header, incoming)
                running = rerank_pb2.RerankStreamResponse(set_id=set_id, running=best)
                await self._send(running).wait()
        except Exception:  # nobody waits for this task; the set's last answer comes without it
            _logger.exception("no more running answers for a set", extra={"call": self._request.id})

    def _send(self, answer: rerank_pb2.RerankStreamResponse) -> asyncio.Event:
        """Queues an answer for the client; the event is set when gRPC has taken it."""
        unsent = _Unsent(answer, answer.ByteSize(), asyncio.Event())
        self._unsent_bytes += unsent.num_bytes
        self._request.count_bytes(unsent.num_bytes)
        self._answers.put_nowait(unsent)
        return unsent.taken

    def _error(self, set_id: str, error: Exception) -> rerank_pb2.RerankStreamResponse:
        if isinstance(error, TimeoutError):
            error = LateError("the deadline ran out")
        return rerank_pb2.RerankStreamResponse(
            set_id=set_id, error=status_of(error, self._request.id)
        )


class _FailedIds:
    """The ids of the call's last failed sets; pieces of them that still arrive are ignored."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}  # in the order in which they failed

    def __contains__(self, set_id: str) -> bool:
        return set_id in self._ids

    def add(self, set_id: str) -> None:
        """Remembers a set; beyond `_MAX_FAILED_IDS`, forgets the one that failed first."""
        self.discard(set_id)
        self._ids[set_id] = None
        if len(self._ids) > _MAX_FAILED_IDS:
            del self._ids[next(iter(self._ids))]

    def discard(self, set_id: str) -> None:
        """Forgets a set; an unknown one is ignored."""
        self._ids.pop(set_id, None)


def _arrived(arriving: _Arriving) -> _Piece | None:
    """The piece, or None after the client's last; raises the error that refuses the set."""
    if isinstance(arriving, Exception):
        raise arriving
    return arriving


def _problem_of_id(set_id: str) -> str:
    size = len(set_id.encode())
    if 1 <= size <= _MAX_SET_ID_BYTES:
        return ""
    begins = f"; it begins with {set_id[:16]!r}" if set_id else ""
    return f"{size:,} bytes given, 1 to {_MAX_SET_ID_BYTES} are needed{begins}"


def _given_again(set_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"set: given again for set_id {set_id!r}, which is not answered yet; name another set, or "
        "wait for the answer"
    )


def _without_beginning(set_id: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"set: unset, but set_id {set_id!r} begins with this piece; "
        "the first piece says what the set is"
    )
