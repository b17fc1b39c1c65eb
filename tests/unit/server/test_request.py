import asyncio
import time
from contextlib import ExitStack
from functools import partial

import pytest
import uvloop

from twopass.server.errors import OverloadedError, PermissionDeniedError
from twopass.server.request import ANYONE, BytesInFlight, Caller, Request


def test_a_request_ends_at_the_earlier_of_deadline_and_budget():
    request = Request(deadline=20.0)
    assert request.end == 20.0
    request.budget_end = 10.0
    assert request.end == 10.0
    assert Request().end is None


async def test_work_for_a_request_is_stopped_at_its_deadline(clock):
    request = Request(deadline=time.perf_counter() + 100)
    stop = request.stop
    assert not stop.is_set
    await clock.passes(100)
    assert stop.is_set
    assert request.is_past_deadline()


def test_work_that_the_servers_event_loop_stops_at_a_deadline_finds_it_past():
    async def deadlines() -> list[bool]:
        requests = [Request(deadline=time.perf_counter() + 0.001 + i / 3_000) for i in range(100)]
        stopped = [asyncio.Event() for _ in requests]
        found: list[bool] = []

        def stop(request: Request, event: asyncio.Event) -> None:
            found.append(request.is_past_deadline())
            event.set()

        with ExitStack() as waiting:
            for request, event in zip(requests, stopped, strict=True):
                waiting.enter_context(request.stop.calling(partial(stop, request, event)))
            for event in stopped:
                await event.wait()
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as `running.run` has
        assert runner.run(deadlines()) == [True] * 100


async def test_work_for_a_request_is_stopped_when_it_is_closed():
    request = Request(deadline=time.perf_counter() + 100)
    stop = request.stop
    request.close()
    request.close()
    assert stop.is_set


def test_work_that_asks_after_the_request_was_closed_is_stopped():
    request = Request()
    request.close()
    assert request.stop.is_set


async def test_a_part_of_the_work_may_be_stopped_earlier_than_the_request(clock):
    request = Request()
    with request.stop_by(time.perf_counter() + 100) as stop:
        assert not stop.is_set
        await clock.passes(100)
        assert stop.is_set
    assert not request.stop.is_set


async def test_a_part_of_the_work_is_stopped_with_the_request_and_after_its_block():
    request = Request()
    later = time.perf_counter() + 100
    with request.stop_by(later) as left_behind:
        pass
    assert left_behind.is_set
    with request.stop_by(later) as stop, request.stop_by(None) as same:
        request.close()
        assert stop.is_set
        assert same.is_set


def test_bytes_are_counted_until_they_are_released_or_the_request_ends():
    refusals: list[int] = []
    in_flight = BytesInFlight(100, lambda: refusals.append(1))
    request, other = Request(bytes_in_flight=in_flight), Request(bytes_in_flight=in_flight)
    request.reserve_bytes(60)
    request.reserve_bytes(40)
    with pytest.raises(OverloadedError, match="bytes: 100 of requests are under way and 1 more"):
        other.reserve_bytes(1)
    assert refusals == [1]
    request.release_bytes(60)
    other.reserve_bytes(60)
    request.close()
    assert in_flight.num_bytes == 60
    other.close()
    assert in_flight.num_bytes == 0


def test_functions_given_for_the_end_are_called_once_the_last_first():
    request, calls = Request(), []
    request.on_close(lambda: calls.append("first"))
    request.on_close(lambda: calls.append("second"))
    request.close()
    request.close()
    assert calls == ["second", "first"]


@pytest.mark.parametrize(
    ("patterns", "collection", "allowed"),
    [
        (("*",), "anything", True),
        (("docs*",), "docs-2", True),
        (("docs*", "faq"), "faq", True),
        (("docs*",), "wiki", False),
        ((), "docs", False),
    ],
)
def test_a_caller_may_use_the_collections_of_its_patterns(patterns, collection, allowed):
    assert Caller("web", patterns).may_use(collection) is allowed


def test_a_collection_of_others_is_refused_by_name():
    with pytest.raises(PermissionDeniedError, match="the key 'web' may not use 'wiki'"):
        Caller("web", ("docs*",)).ensure_may_use("wiki")
    ANYONE.ensure_may_use("wiki")


def test_tasks_that_outlive_a_request_count_and_release_nothing_for_it():
    in_flight = BytesInFlight(100)
    request, other = Request(bytes_in_flight=in_flight), Request(bytes_in_flight=in_flight)
    request.reserve_bytes(30)
    other.reserve_bytes(50)
    request.close()
    request.release_bytes(30)
    request.reserve_bytes(10)
    request.count_bytes(10)
    request.close()
    assert in_flight.num_bytes == 50


def test_what_is_taken_for_a_request_that_is_closed_is_given_back_at_once():
    released: list[str] = []
    request = Request()
    request.on_close(lambda: released.append("in time"))
    request.close()
    request.on_close(lambda: released.append("late"))
    assert released == ["in time", "late"]
