"""Bodies out of gzip: what went in, within bounds, and never at the cost of others."""

import asyncio
import gzip
import random
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.errors import LaneFullError, StoppedError
from twopass.index.lanes import Lane
from twopass.server.errors import OverloadedError
from twopass.server.http.statuses import HttpError
from twopass.server.http.unpacking import Unpacking
from twopass.server.request import BytesInFlight, Request

MOST = 1_000_000
SMALL = 256 * 1024
BLOCK_OF_NOTHING = b"\0\0\0\xff\xff"


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("unpacking", 1, max_waiting=2)
    yield lane
    lane.close()


@pytest.fixture
def busy(lane: Lane) -> Iterator[Lane]:
    """A lane whose only thread has something else to do until the test ends."""
    is_over, has_begun = threading.Event(), threading.Event()

    def work() -> None:
        has_begun.set()
        is_over.wait(60)

    lane.submit(work)
    has_begun.wait(60)
    yield lane
    is_over.set()


def noise(num_bytes: int) -> bytes:
    return random.Random(1).randbytes(num_bytes).replace(b",", b".")


async def until_waiting(lane: Lane, count: int) -> None:
    async with asyncio.timeout(30):
        while lane.num_waiting < count:  # noqa: ASYNC110  # it is told by no event
            await asyncio.sleep(0.001)


async def out_of(lane: Lane, sent: bytes, request: Request | None = None, **options) -> bytes:
    given = {"is_gzip": True, "max_bytes": MOST} | options
    return await Unpacking(lane).run(sent, request or Request(), **given)


@given(st.binary(max_size=200), st.sampled_from([1, 100, 1_300, 1_400, 4_000]), st.integers(0, 9))
def test_what_was_packed_comes_out(part, times, level):
    content = part.replace(b",", b".") * times
    lane = Lane("unpacking", 1)
    assert asyncio.run(out_of(lane, gzip.compress(content, level), max_bytes=10**6)) == content
    lane.close()


@pytest.mark.parametrize("num_bytes", [SMALL - 1, SMALL, SMALL + 1, MOST - 1, MOST])
@pytest.mark.parametrize("make", [noise, bytes], ids=["noise", "zeros"])
async def test_nothing_is_lost_on_either_side_of_the_bounds(lane, make, num_bytes):
    content = make(num_bytes)
    assert await out_of(lane, gzip.compress(content)) == content


async def test_what_is_not_packed_stays_as_it_is(busy):
    assert await out_of(busy, noise(MOST), is_gzip=False) == noise(MOST)


async def test_small_bodies_wait_for_no_large_ones(busy):
    assert await out_of(busy, gzip.compress(b"a" * SMALL)) == b"a" * SMALL


@pytest.mark.parametrize(
    "sent",
    [
        gzip.compress(b"a" * (SMALL + 1)),
        gzip.compress(noise(40_000)),
        gzip.compress(b"a" * 2 * SMALL)[:-4] + b"\1\0\0\0",  # says that it holds one byte
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + BLOCK_OF_NOTHING * 200_000,
    ],
    ids=["much comes out", "much went in", "a lie about its length", "blocks of nothing"],
)
async def test_whatever_takes_long_is_done_in_the_lane(busy, sent):
    unpacking = asyncio.create_task(out_of(busy, sent))
    await until_waiting(busy, 1)
    assert not unpacking.done()
    unpacking.cancel()


async def test_no_more_wait_than_the_lane_holds(busy):
    sent = gzip.compress(noise(40_000))
    waiting = [asyncio.create_task(out_of(busy, sent)) for _ in range(2)]
    await until_waiting(busy, 2)
    with pytest.raises(LaneFullError):
        await out_of(busy, sent)
    for each in waiting:
        each.cancel()


async def test_one_whose_call_has_ended_leaves_the_queue(busy):
    request = Request()
    unpacking = asyncio.create_task(out_of(busy, gzip.compress(noise(40_000)), request))
    await until_waiting(busy, 1)
    request.stop.set()
    with pytest.raises(StoppedError):
        await unpacking


@pytest.mark.parametrize("num_bytes", [1_000, 900_000])
async def test_what_comes_out_counts_as_the_requests(lane, num_bytes):
    in_flight = BytesInFlight(3 * num_bytes // 2)
    requests = [Request(bytes_in_flight=in_flight) for _ in range(2)]
    sent = gzip.compress(b"x" * num_bytes)
    assert await out_of(lane, sent, requests[0]) == b"x" * num_bytes
    assert in_flight.num_bytes == num_bytes
    with pytest.raises(OverloadedError):
        await out_of(lane, sent, requests[1])


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        (b"no gzip", 400, "message: said to be gzip, but it is not"),
        (b"no gzip" * 10_000, 400, "message: said to be gzip, but it is not"),
        (b"", 400, "message: gzip, but cut short"),
        (gzip.compress(b"text")[:-6], 400, "message: gzip, but cut short"),
        (gzip.compress(noise(300_000))[:-6], 400, "message: gzip, but cut short"),
        (gzip.compress(b"a") + b"more", 400, "message: gzip, and 4 bytes after its end"),
        (gzip.compress(b"0" * (MOST + 1)), 413, "message: 1,000,001 bytes given, at most 1,000,"),
        (gzip.compress(b"," * 300_000), 413, "message: 300,000 commas in 300,000 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_gzip_is_bounded_by_what_comes_out_of_it(lane, sent, status, told):
    with pytest.raises(HttpError, match=told) as raised:
        await out_of(lane, sent, name="message")
    assert raised.value.status == status
