"""The wire's own frames against gRPC's server."""

import asyncio

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from twopass.v1.status_pb2 import RetryInfo, Status

from .wire import Wire

PATH = "/test.Service/Echo"
DEADLINE = 5.0
SIZE = 8_000


async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    """Answers SIZE bytes, refuses the word "refuse", and leaves "wait" without an answer."""
    if request == b"refuse":
        delay = RetryInfo(retry_delay=Duration(nanos=250_000_000))
        status = Status(code=8, message="full")
        status.details.add(
            type_url="type.googleapis.com/google.rpc.RetryInfo", value=delay.SerializeToString()
        )
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", trailers)
    if request == b"wait":
        await asyncio.sleep(60)
    return request[:1] * SIZE


@pytest.fixture
async def target():
    server = grpc.aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Service", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture
async def wire(target):
    connected = await Wire.connect(target, PATH, DEADLINE)
    yield connected
    connected.close()


async def test_a_call_is_answered_and_timed(wire):
    outcome = (await wire.call(b"x")).outcome(DEADLINE)
    assert outcome.status == "OK"
    assert 0 < outcome.seconds < DEADLINE


async def test_a_refusal_carries_the_time_to_wait(wire):
    outcome = (await wire.call(b"refuse")).outcome(DEADLINE)
    assert (outcome.status, outcome.retry_after) == ("RESOURCE_EXHAUSTED", 0.25)


async def test_more_than_the_windows_hold_goes_through_in_both_directions(wire):
    answers = await asyncio.gather(*(wire.call(b"y" * SIZE) for _ in range(300)))
    assert {answer.outcome(DEADLINE).status for answer in answers} == {"OK"}


async def test_an_answer_after_the_deadline_is_late(target):
    impatient = await Wire.connect(target, PATH, 0.05)
    late = (await impatient.call(b"wait")).outcome(0.05)
    assert late.status == "DEADLINE_EXCEEDED"
    assert (await impatient.call(b"x")).outcome(1e-9).status == "DEADLINE_EXCEEDED"
    impatient.close()


async def test_a_connection_that_ends_fails_what_is_under_way(wire):
    waiting = wire.call(b"wait")
    await asyncio.sleep(0.05)
    wire.close()
    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(ConnectionError):
        wire.call(b"x")
