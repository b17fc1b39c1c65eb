"""The ways into a server that a load may take: calls of gRPC, or requests over HTTP."""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from twopass.server.local import LocalServer
from twopass.v1 import rerank_pb2

from .driver import NO_RETRIES, Outcome
from .http_wire import HttpWire
from .wire import Wire

_PATH = "/twopass.v1.RerankService/Rerank"


class Answered(Protocol):
    """What came back of a request."""

    @property
    def ended(self) -> float:
        """When it came, seconds of `time.perf_counter`."""

    @property
    def seconds(self) -> float:
        """From when it was asked to be sent until then."""

    def outcome(self, deadline: float) -> Outcome:
        """What a client would have said that stops waiting at the deadline."""


class Line(Protocol):
    """Where requests are sent."""

    def call(self, message: bytes, /) -> Awaitable[Answered]:
        """Sends a request."""

    def close(self) -> None:
        """Ends the connections."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """What came of a call by gRPC's client."""

    ended: float
    ended_with: Outcome

    @property
    def seconds(self) -> float:
        return self.ended_with.seconds

    def outcome(self, deadline: float) -> Outcome:
        return self.ended_with


class _Calls:
    """Calls by gRPC's own client."""

    def __init__(self, target: str, deadline: float) -> None:
        self._channel = grpc.aio.insecure_channel(target, NO_RETRIES)
        self._rerank = self._channel.unary_unary(_PATH)
        self._deadline = deadline

    def call(self, message: bytes, /) -> Awaitable[_Ended]:
        return asyncio.ensure_future(self._call(message))

    async def _call(self, message: bytes) -> _Ended:
        began = time.perf_counter()
        status = "OK"
        try:
            await self._rerank(message, timeout=self._deadline)
        except grpc.aio.AioRpcError as error:
            status = error.code().name
        now = time.perf_counter()
        return _Ended(now, Outcome(status, now - began))

    def close(self) -> None:
        self._closing = asyncio.ensure_future(self._channel.close())


@dataclass(frozen=True, slots=True)
class Front:
    """One way into a server, for rerank requests.

    Attributes:
        name: "grpc" or "http".
        flags: What a server needs to have it.
    """

    name: str
    flags: tuple[str, ...] = ()

    async def connect(self, server: LocalServer, deadline: float, *, large: bool = False) -> Line:
        """Opens a line.

        Args:
            server: The server.
            deadline: Of its requests, in seconds.
            large: Whether requests may have more than the 16 KiB that the wire of gRPC sends: then
                gRPC's own client sends them, which takes more of the machine.
        """
        if self.name == "grpc":
            if large:
                return _Calls(server.target, deadline)
            return await Wire.connect(server.target, _PATH, deadline)
        target = server.http_url.removeprefix("http://")
        return await HttpWire.connect(target, "/v2/rerank", deadline)

    def message(self, query: str, passages: Sequence[str]) -> bytes:
        """A rerank request as it is sent."""
        if self.name == "http":
            return json.dumps({"query": query, "documents": list(passages)}).encode()
        candidates = [rerank_pb2.Candidate(text=text) for text in passages]
        return rerank_pb2.RerankRequest(query=query, candidates=candidates).SerializeToString()


GRPC = Front("grpc")
HTTP = Front("http", ("--http-address", "127.0.0.1:0"))


def add_front(parser: argparse.ArgumentParser) -> None:
    """Adds the option that chooses one."""
    parser.add_argument(
        "--over",
        dest="front",
        type={front.name: front for front in (GRPC, HTTP)}.__getitem__,
        default=GRPC,
        help="grpc or http",
    )
