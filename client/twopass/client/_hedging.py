"""A read that is slow to be answered is asked of a second server; the first answer counts."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import grpc
import grpc.aio

from twopass.client._sync_streams import within_seconds

TimeLeft = Callable[[], float | None]


def first_answer(begin: Callable[..., Any], time_left: TimeLeft, hedge_after: float) -> Any:
    """Makes a call, and the same again if it is not answered by then; the other is cancelled.

    Args:
        begin: Begins the call, given a `timeout`; returns its future. With `round_robin` the second
            goes to the next server, unless calls of other threads come between.
        time_left: Seconds until the deadline of both; None for none.
        hedge_after: Seconds until the second call begins.

    Raises:
        grpc.RpcError: Both failed, or the first did before the second began; that of the first to
            fail.
    """
    ended: SimpleQueue[Any] = SimpleQueue()
    calls = [_begun(begin, time_left, ended)]
    try:
        try:
            done = ended.get(timeout=hedge_after)
        except Empty:
            calls.append(_begun(begin, time_left, ended))
            done = ended.get()
            if done.exception() is not None:
                other = ended.get()
                done = done if other.exception() is not None else other
        return done.result()
    finally:
        for call in calls:
            if not call.done():
                within_seconds(call.cancel)


async def first_answer_async(
    begin: Callable[..., "grpc.aio.UnaryUnaryCall[Any, Any]"],
    time_left: TimeLeft,
    hedge_after: float,
) -> Any:
    """Makes a call, and perhaps the same again, as `first_answer` does."""
    first = asyncio.ensure_future(_answered(begin(timeout=time_left())))
    waiting = {first}
    try:
        done, _ = await asyncio.wait(waiting, timeout=hedge_after)
        if not done:
            waiting.add(asyncio.ensure_future(_answered(begin(timeout=time_left()))))
        failure: BaseException | None = None
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                if call.exception() is None:
                    return call.result()
                failure = failure or call.exception()
        assert failure is not None
        raise failure
    finally:
        for call in waiting:
            call.cancel()
            with suppress(asyncio.CancelledError, grpc.RpcError):
                await call


async def _answered(call: "grpc.aio.UnaryUnaryCall[Any, Any]") -> Any:
    return await call  # in a task, since a call itself is no future


def _begun(begin: Callable[..., Any], time_left: TimeLeft, ended: SimpleQueue[Any]) -> Any:
    call = begin(timeout=time_left())
    call.add_done_callback(ended.put)
    return call
