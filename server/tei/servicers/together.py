"""Messages of a stream that are answered in one go where several wait.

A text costs an operation a millisecond, whatever its length: threads, places in queues, batches. So
a stream of short texts takes as many together as have come while those before were worked on. No
timer waits for more, and a message that is alone is answered alone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from google.protobuf.message import Message

from twopass.server.errors import RequestError
from twopass.server.request import Request
from twopass.server.tei.types import Cost

MessageT = TypeVar("MessageT", bound=Message)

# Two are computed while the next two are tokenised and answered.
_MAX_OPERATIONS = 4
_MAX_MESSAGES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Asked(Generic[MessageT]):
    """A message of a stream.

    Attributes:
        message: The message.
        request: The part of the call that it is.
        answer: What it is answered with.
    """

    message: MessageT
    request: Request
    answer: asyncio.Future[Message]


def cost_of_one(cost: Cost, asked: Asked[MessageT], num_tokens: int) -> Cost:
    """What the answer to one message took.

    Args:
        cost: What the messages that were answered together took.
        asked: The message; its field `inputs` is the text.
        num_tokens: Tokens of the text.
    """
    total = time.perf_counter() - asked.request.received
    waited = max(0.0, total - cost.total)
    text: str = asked.message.inputs  # type: ignore[attr-defined]
    return replace(
        cost, num_chars=len(text), num_tokens=num_tokens, total=total, queue=cost.queue + waited
    )


class Together(Generic[MessageT]):
    """Answers the messages of one stream, several at once where they wait."""

    def __init__(
        self,
        answer_all: Callable[[Sequence[Asked[MessageT]], Request], Awaitable[Sequence[Message]]],
        alike: Callable[[MessageT], Hashable],
        request: Request,
    ) -> None:
        """Prepares to answer.

        Args:
            answer_all: Answers messages that are alike, given a part of the call for all of them.
            alike: What messages must have in common to be answered together.
            request: The call; what is under way ends with it.
        """
        self._answer_all = answer_all
        self._alike = alike
        self._request = request
        self._waiting: deque[Asked[MessageT]] = deque()
        self._working: set[asyncio.Task[None]] = set()
        request.on_close(self._cancel)

    async def answer(self, message: MessageT, part: Request) -> Message:
        """Answers a message, perhaps together with others.

        Raises:
            Exception: What went wrong with this message, or with the engine.
        """
        asked = Asked(message, part, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if len(self._working) < _MAX_OPERATIONS:
            self._working.add(asyncio.create_task(self._work()))
        return await asked.answer

    async def _work(self) -> None:
        """Answers until nothing waits."""
        try:
            while piece := self._next():
                await self._answer(piece)
        finally:  # at once, not when the task is done: what comes then needs another
            self._working.discard(asyncio.current_task())

    def _next(self) -> list[Asked[MessageT]]:
        """Takes the messages that have waited longest and are alike; of those left, none has."""
        piece: list[Asked[MessageT]] = []
        kind: Hashable = None
        while self._waiting and len(piece) < _MAX_MESSAGES:
            asked = self._waiting[0]
            if asked.answer.done():  # its caller has gone
                self._waiting.popleft()
                continue
            if not piece:
                kind = self._alike(asked.message)
            elif self._alike(asked.message) != kind:
                break
            piece.append(self._waiting.popleft())
        return piece

    async def _answer(self, piece: Sequence[Asked[MessageT]]) -> None:
        part = Request(
            id=self._request.id, deadline=self._request.deadline, caller=self._request.caller
        )
        try:
            answers = await self._answer_all(piece, part)
            for asked, answer in zip(piece, answers, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(answer)
        except Exception as error:
            if len(piece) > 1 and isinstance(error, RequestError):
                # One of them, or their number, was the reason.
                for asked in piece:
                    await self._answer([asked])
                return
            for asked in piece:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
        finally:
            part.close()

    def _cancel(self) -> None:
        for task in list(self._working):
            task.cancel()
