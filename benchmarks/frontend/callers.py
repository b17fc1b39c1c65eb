"""Processes that ask a server for as long as they are told, as fast as it answers.

`python -m twopass.benchmarks.frontend.callers '{"case": "Rerank 100", "address": …, …}'` writes its
requests, says that it is ready, and begins with the next line of its standard input. Requests go
out and answers come in as bytes, since reading them would cost as much as the server does.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import grpc

from twopass.benchmarks.frontend.requests import Case, bodies, case_named

_Ask: TypeAlias = Callable[[bytes], Awaitable[None]]
_TIMEOUT_SECONDS = 60.0


async def _grpc_ask(case: Case, address: str, open_until_end: AsyncExitStack) -> _Ask:
    channel = await open_until_end.enter_async_context(grpc.aio.insecure_channel(address))
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(case.rpc)

    async def ask(body: bytes) -> None:
        await call(body, timeout=_TIMEOUT_SECONDS)

    return ask


async def _http_ask(case: Case, url: str, open_until_end: AsyncExitStack) -> _Ask:
    """A connection of its own, kept: HTTP/1.1 has one request at a time on each."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    reader, writer = await asyncio.open_connection(host, port)
    open_until_end.callback(writer.close)

    async def ask(body: bytes) -> None:
        head = f"POST {case.rpc} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(headers.partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(length)
        if not headers.startswith(b"http/1.1 200"):
            raise RuntimeError(answer[:300].decode())

    return ask


async def _load(
    case: Case, asked: dict[str, Any], sent: Sequence[bytes]
) -> list[tuple[float, float]]:
    """When each request was sent and answered, seconds of the machine's monotonic clock."""
    answered: list[tuple[float, float]] = []
    turns = cycle(sent)
    end = time.monotonic() + asked["seconds"]
    async with AsyncExitStack() as open_until_end:

        async def one_after_another(ask: _Ask) -> None:
            while (began := time.monotonic()) < end:
                await ask(next(turns))
                answered.append((began, time.monotonic()))

        open_ask = _http_ask if case.wire == "http" else _grpc_ask
        asks = [await open_ask(case, asked["address"], open_until_end)]
        for _ in range(1, asked["concurrency"]):
            is_http = case.wire == "http"
            asks.append(
                await open_ask(case, asked["address"], open_until_end) if is_http else asks[0]
            )
        await asyncio.gather(*map(one_after_another, asks))
    return answered


def main() -> None:
    """Asks for the seconds given, and prints when every answer came."""
    asked = json.loads(sys.argv[1])
    case = case_named(asked["case"])
    sent = bodies(case, asked["caller"])
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(_load(case, asked, sent))), flush=True)


if __name__ == "__main__":
    main()
