import asyncio
import threading
from collections.abc import Iterator

import pytest

from twopass.index.errors import StoppedError
from twopass.index.lanes import Lane
from twopass.server.request import Request
from twopass.server.servicers.translating import Translating

SMALL, LARGE = 32 * 1024, 32 * 1024 + 1


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("messages", 1)
    yield lane
    lane.close()


async def test_a_small_message_is_read_at_once(lane):
    translating = Translating(lane)
    thread = await translating.run(SMALL, threading.current_thread, request=Request())
    assert thread is threading.current_thread()


async def test_a_large_message_is_read_while_the_loop_goes_on(lane):
    begun, goes_on = threading.Event(), threading.Event()

    def read(what: str) -> tuple[str, threading.Thread]:
        begun.set()
        assert goes_on.wait(20)
        return what, threading.current_thread()

    reading = asyncio.create_task(
        Translating(lane).run(LARGE, read, "a message", request=Request())
    )
    await asyncio.to_thread(begun.wait)
    goes_on.set()  # by the loop, which is free
    what, thread = await reading
    assert what == "a message"
    assert thread is not threading.current_thread()


async def test_what_is_wrong_with_a_large_message_is_raised_as_with_a_small_one(lane):
    for num_bytes in (SMALL, LARGE):
        with pytest.raises(ValueError, match="invalid literal"):
            await Translating(lane).run(num_bytes, int, "x", request=Request())


async def test_a_large_message_of_a_request_that_has_ended_is_not_read(lane):
    request, read = Request(), []
    request.close()
    with pytest.raises(StoppedError):
        await Translating(lane).run(LARGE, read.append, 1, request=request)
    assert not read


async def test_json_is_read_at_once_up_to_eight_times_the_size(lane):
    translating, request = Translating(lane), Request()
    here = await translating.run_json(8 * SMALL, threading.current_thread, request=request)
    elsewhere = await translating.run_json(8 * SMALL + 1, threading.current_thread, request=request)
    assert here is threading.current_thread()
    assert elsewhere is not here
