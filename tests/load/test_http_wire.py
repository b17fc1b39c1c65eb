"""The wire's own HTTP against uvicorn."""

import asyncio

import pytest
import uvicorn

from .http_wire import HttpWire

DEADLINE = 5.0


async def application(scope, receive, send):
    """Answers with the body; refuses the word "refuse"; leaves "wait" without an answer."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    if body == b"wait":
        await asyncio.sleep(60)
    refuses = body == b"refuse"
    headers = [(b"content-length", b"%d" % len(body))]
    headers += [(b"retry-after-ms", b"250")] if refuses else []
    headers += [(b"connection", b"close")] if body == b"close" else []
    status = 429 if refuses else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def target():
    config = uvicorn.Config(application, port=0, lifespan="off", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
async def wire(target):
    connected = await HttpWire.connect(target, "/", DEADLINE)
    yield connected
    connected.close()


async def test_a_request_is_answered_and_timed(wire):
    answer = await wire.call(b"x")
    assert answer.body == b"x"
    assert answer.outcome(DEADLINE).status == "OK"
    assert 0 < answer.seconds < DEADLINE


async def test_a_refusal_carries_the_time_to_wait(wire):
    outcome = (await wire.call(b"refuse")).outcome(DEADLINE)
    assert (outcome.status, outcome.retry_after) == ("RESOURCE_EXHAUSTED", 0.25)


async def test_requests_under_way_have_connections_of_their_own_that_are_used_again(wire):
    for _ in range(3):
        bodies = [b"%d" % number * 9_000 for number in range(20)]
        answers = await asyncio.gather(*map(wire.call, bodies))
        assert [answer.body for answer in answers] == bodies
    assert len(wire._all) == 20


async def test_a_connection_that_the_server_closes_is_not_used_again(wire):
    for _ in range(3):
        assert (await wire.call(b"close")).status == 200
    assert (await wire.call(b"x")).status == 200


async def test_an_answer_after_the_deadline_is_late(wire):
    assert (await wire.call(b"x")).outcome(1e-9).status == "DEADLINE_EXCEEDED"


async def test_a_connection_that_ends_fails_what_is_under_way(wire):
    waiting = wire.call(b"wait")
    await asyncio.sleep(0.05)
    wire.close()
    assert (await waiting).outcome(DEADLINE).status == "UNAVAILABLE"
