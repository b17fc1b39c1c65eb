"""An endpoint that does as a test says, and what came of calls."""

import asyncio

from twopass.index.lanes import Lane
from twopass.server.http.endpoint import Answer, HttpRequest
from twopass.server.request import Request
from twopass.server.telemetry.metrics import Metrics

MAX_BODY_BYTES = 200_000


class Asked:
    """What an endpoint was asked, and what it does.

    Attributes:
        requests: What came.
        error: Raised by the endpoint; None to answer.
        seconds: How long it takes.
        body: What it answers; None for what was sent.
        was_stopped: Whether it was told to stop.
        began: Set when it is asked.
        is_looking: Set when a large body waits to be looked at.
        lane: Where a large body of a shared path is looked at.
    """

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.error: Exception | None = None
        self.seconds = 0.0
        self.body: bytes | None = None
        self.was_stopped = False
        self.began = asyncio.Event()
        self.is_looking = asyncio.Event()
        self.lane = Lane("messages", 1)

    async def answer(self, asked: HttpRequest, request: Request) -> Answer:
        self.requests.append(asked)
        self.began.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.was_stopped = True
            raise
        if self.error:
            raise self.error
        return Answer(body=asked.body if self.body is None else self.body)


def ended(metrics: Metrics, code: str, rpc: str = "test.echo") -> float:
    labels = {"rpc": rpc, "code": code}
    return metrics.registry.get_sample_value("twopass_rpc_seconds_count", labels) or 0.0
