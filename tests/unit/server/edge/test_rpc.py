import asyncio
import contextlib
import gc
import logging
import socket
import struct
import time
import types
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from twopass.engines.errors import DeviceError
from twopass.server.edge.calls import HeadedAnswer
from twopass.server.edge.gate import Gate
from twopass.server.edge.messages import ReadMessage
from twopass.server.edge.rpc import Edge
from twopass.server.edge.statuses import Statuses
from twopass.server.errors import InvalidRequestError, LateError, OverloadedError, UnknownModelError
from twopass.server.request import Request
from twopass.server.telemetry.metrics import Metrics
from twopass.v1 import rerank_pb2, status_pb2

from ....waiting import until

SERVICE = rerank_pb2.DESCRIPTOR.services_by_name["RerankService"]
UNARY, STREAM = "Rerank", "RerankStream"
# A call comes within it, on a machine that is busy with other things too.
A_MOMENT = 1.5


class Servicer:
    """Answers with what the test has put in.

    Attributes:
        error: Raised by every call; None to answer.
        seconds: How long each call takes.
        answer: What a unary call is answered with; empty to repeat what was asked.
        plain: The bytes of a unary call that it reads itself; None for none.
        requests: What was known of each call.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.seconds = 0.0
        self.answer = ""
        self.plain: bytes | None = None
        self.requests: list[Request] = []

    def read_rerank(self, content: bytes) -> ReadMessage[rerank_pb2.RerankRequest, str] | None:
        if content != self.plain:
            return None
        return ReadMessage(rerank_pb2.RerankRequest(query="the rest"), "what was read")

    async def rerank(
        self,
        message: rerank_pb2.RerankRequest | ReadMessage[rerank_pb2.RerankRequest, str],
        request: Request,
    ) -> Any:
        self.requests.append(request)
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        if isinstance(message, ReadMessage):
            return rerank_pb2.RerankResponse(model=f"{message.part}, {message.message.query}")
        return rerank_pb2.RerankResponse(model=self.answer or message.query)

    async def rerank_stream(
        self, messages: AsyncIterator[Any], request: Request
    ) -> AsyncIterator[Any]:
        self.requests.append(request)
        async for message in messages:
            await asyncio.sleep(self.seconds)
            if self.error:
                raise self.error
            yield rerank_pb2.RerankStreamResponse(set_id=message.set_id)


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def gate(metrics: Metrics) -> Gate:
    return Gate(metrics)


@pytest.fixture
async def port(servicer: Servicer, gate: Gate, metrics: Metrics) -> AsyncIterator[int]:
    """Where a server of the servicer alone listens."""
    server = grpc.aio.server()
    edge = Edge(gate, metrics)
    edge.add_service(SERVICE, servicer)
    server.add_generic_rpc_handlers((edge,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


@pytest.fixture
async def channel(port: int) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to the server."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


@pytest.fixture
def ask(channel: grpc.aio.Channel) -> Callable:
    """Calls an rpc of the servicer over a socket with bytes, and returns the answers' bytes."""

    async def call(rpc: str, *requests: bytes, seconds: float | None = None) -> list[bytes]:
        path = f"/{SERVICE.full_name}/{rpc}"
        if rpc == UNARY:
            return [await channel.unary_unary(path)(*requests, timeout=seconds)]
        stream = channel.stream_stream(path)(iter(requests), timeout=seconds)
        return [answer async for answer in stream]

    return call


def request_of(rpc: str, text: str = "q") -> bytes:
    if rpc == UNARY:
        return rerank_pb2.RerankRequest(query=text).SerializeToString()
    return rerank_pb2.RerankStreamRequest(set_id=text).SerializeToString()


def status_in(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """The google.rpc.Status of the trailers."""
    trailers = dict(error.trailing_metadata())
    return status_pb2.Status.FromString(trailers["grpc-status-details-bin"])


async def test_requests_that_a_servicer_reads_from_their_bytes_are_not_decoded(ask, servicer):
    servicer.plain = b"\xff no message"
    (answer,) = await ask(UNARY, servicer.plain)
    assert rerank_pb2.RerankResponse.FromString(answer).model == "what was read, the rest"
    (answer,) = await ask(UNARY, request_of(UNARY, "another"))
    assert rerank_pb2.RerankResponse.FromString(answer).model == "another"


rpcs = pytest.mark.parametrize("rpc", [UNARY, STREAM])


@rpcs
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequestError("top_n: -1 given"), grpc.StatusCode.INVALID_ARGUMENT),
        (UnknownModelError("model: no such"), grpc.StatusCode.NOT_FOUND),
        (LateError("late"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (InvalidRequestError("id: 東京 'é'\n\x1b[0m%41"), grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_an_error_is_answered_with_its_status_twice_over(ask, servicer, rpc, error, code):
    servicer.error = error
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(rpc, request_of(rpc))
    assert raised.value.code() is code
    assert raised.value.details() == str(error)
    status = status_in(raised.value)
    assert (status.code, status.message) == (code.value[0], str(error))


@rpcs
@pytest.mark.parametrize(
    "error",
    [RuntimeError("the secret"), DeviceError("the secret of /home"), KeyError("the secret")],
    ids=lambda error: type(error).__name__,
)
async def test_a_bug_keeps_its_text_and_gives_an_id_that_the_log_has(
    ask, servicer, caplog, rpc, error
):
    servicer.error = error
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(rpc, request_of(rpc))
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    (request,) = servicer.requests
    assert request.id in raised.value.details()
    assert "secret" not in raised.value.details() + str(status_in(raised.value))
    (record,) = (r for r in caplog.records if getattr(r, "call", None) == request.id)
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_a_full_queue_says_when_to_come_again(ask, servicer):
    servicer.error = OverloadedError("queue: full", retry_after=1.25)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(UNARY, request_of(UNARY))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info, detail = status_in(raised.value).details
    assert info.type_url == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    retry = status_pb2.RetryInfo.FromString(detail.value)
    assert retry.retry_delay == Duration(seconds=1, nanos=250_000_000)


async def test_a_queue_that_will_be_free_at_once_still_asks_for_a_moment(ask, servicer):
    servicer.error = OverloadedError("queue: full", retry_after=0.0)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(UNARY, request_of(UNARY))
    _, detail = status_in(raised.value).details
    assert status_pb2.RetryInfo.FromString(detail.value).retry_delay.ToMilliseconds() > 0


@rpcs
@pytest.mark.parametrize("text", ["x", "東", "\n", "🙂"], ids=ascii)
async def test_a_message_that_repeats_a_long_value_still_arrives_with_its_status(
    ask, servicer, rpc, text
):
    facts = dict.fromkeys(("value", "collection", "model", "document", "alias"), text * 100_000)
    servicer.error = InvalidRequestError("name: " + text * 100_000, limit=10, **facts)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(rpc, request_of(rpc))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details().startswith("name: " + text)


MALFORMED = {
    "a field cut short": b"\x0a\x05ab",
    "no field at all": b"\xff\xff\xff\xff",
    "a lone surrogate": b"\x0a\x03\xed\xa0\x80",
    "no UTF-8": b"\x0a\x01\xff",
}


@rpcs
@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
async def test_bytes_that_are_no_message_are_the_callers_fault(ask, servicer, rpc, content):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(rpc, content)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"not a twopass.v1.{rpc}Request" in raised.value.details()
    assert await ask(rpc, request_of(rpc))  # and the next call is answered


async def test_a_call_knows_its_deadline_if_it_has_one(ask, servicer):
    await ask(UNARY, request_of(UNARY))
    began = time.perf_counter()
    await ask(UNARY, request_of(UNARY), seconds=60)
    without, with_one = servicer.requests
    assert without.deadline is None
    assert began < with_one.received < time.perf_counter()
    # gRPC sends a timeout with two or three digits, rounded up.
    assert 0 < with_one.deadline - with_one.received <= 60 * 1.1
    assert without.id != with_one.id


@rpcs
async def test_a_time_out_of_the_servers_own_is_late(ask, servicer, rpc):
    servicer.error = TimeoutError()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(rpc, request_of(rpc))
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@rpcs
@pytest.mark.parametrize(
    ("error", "code", "level"),
    [(None, "OK", "DEBUG"), (InvalidRequestError("why"), "INVALID_ARGUMENT", "INFO")],
    ids=["answered", "refused"],
)
async def test_a_call_is_one_line_of_the_log(ask, servicer, caplog, rpc, error, code, level):
    caplog.set_level(logging.DEBUG, logger="twopass.server")
    servicer.error = error
    with contextlib.suppress(grpc.aio.AioRpcError):
        await ask(rpc, request_of(rpc))
    (record,) = (vars(r) for r in caplog.records if r.name == "twopass.server")
    assert record["rpc"] == f"twopass.v1.RerankService.{rpc}"
    assert (record["code"], record["levelname"]) == (code, level)
    assert record["milliseconds"] >= 0
    assert record.get("reason") == (str(error) if error else None)


@pytest.fixture
def told(caplog):
    """The lines about calls, each as a mapping of its fields."""
    caplog.set_level(logging.DEBUG, logger="twopass.server")
    return lambda: [vars(r) for r in caplog.records if hasattr(r, "code")]


@rpcs
async def test_a_call_that_is_late_is_told_of_as_late_though_its_caller_gave_up_first(
    ask, servicer, metrics, told, rpc
):
    servicer.seconds = 30
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(rpc, request_of(rpc), seconds=A_MOMENT)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(told)
    (line,) = told()
    assert (line["code"], line["levelname"]) == ("DEADLINE_EXCEEDED", "INFO")
    assert line["reason"] == "deadline: it ran out while the call was being worked on"
    assert 0 < line["milliseconds"] < 20_000
    sample = metrics.registry.get_sample_value
    labels = {"rpc": f"{SERVICE.full_name}.{rpc}", "code": "DEADLINE_EXCEEDED"}
    assert sample("twopass_rpc_seconds_count", labels) == 1
    assert sample("twopass_rejections_total", {"reason": "late"}) == 1


async def test_the_line_of_a_late_call_says_which_stage_was_done_last(ask, servicer, told):
    servicer.seconds = 30
    call = asyncio.create_task(ask(UNARY, request_of(UNARY), seconds=A_MOMENT))
    await until(lambda: servicer.requests)
    servicer.requests[0].timings.tokenize = 0.001
    servicer.requests[0].timings.retrieve = 0.002
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    await until(told)
    assert told()[0]["reason"].endswith("the call was being worked on, after retrieve")


@rpcs
async def test_a_call_that_its_caller_cancels_is_told_of_as_cancelled(
    ask, servicer, metrics, told, rpc
):
    servicer.seconds = 30
    call = asyncio.create_task(ask(rpc, request_of(rpc), seconds=60))
    await until(lambda: servicer.requests)
    call.cancel()
    await until(told)
    (line,) = told()
    assert (line["code"], line["levelname"]) == ("CANCELLED", "INFO")
    assert line["reason"] == "cancelled: by the caller, while the call was being worked on"
    assert servicer.requests[0].stop.is_set


@rpcs
async def test_a_call_that_fails_keeps_no_message_until_garbage_is_collected(ask, servicer, rpc):
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):  # gRPC itself holds on to the last two calls
            servicer.error = OverloadedError("full", retry_after=0.1)
            with pytest.raises(grpc.aio.AioRpcError):
                await ask(rpc, request_of(rpc))
        servicer.error = None
        await asyncio.sleep(0.1)  # until the last of them has ended in the server, too
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        frames = [found for found in gc.garbage if isinstance(found, types.FrameType)]
        kept = [value for frame in frames for value in frame.f_locals.values()]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not [value for value in kept if isinstance(value, bytes | Message)]


@rpcs
async def test_a_call_whose_message_never_comes_gives_its_place_back(channel, gate, told, rpc):
    call = channel.stream_stream(f"/{SERVICE.full_name}/{rpc}")()
    await until(lambda: gate.num_calls)
    call.cancel()
    await until(lambda: not gate.num_calls)
    await until(told)
    (line,) = told()
    assert line["code"] == "CANCELLED"
    assert "while the call was waiting for its message" in line["reason"]


class SlowReader:
    """An HTTP/2 client that makes one call and reads nothing of its answer."""

    def __init__(self, port: int, rpc: str, content: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"/{SERVICE.full_name}/{rpc}",
            ":authority": "test",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        block = b"".join(
            b"\0" + b"".join(bytes((len(x),)) + x.encode() for x in header)
            for header in headers.items()
        )
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(4, 0, 0)  # SETTINGS
        self._send(1, 4, 1, block)  # HEADERS, all of them
        self._send(0, 1, 1, struct.pack(">?I", False, len(content)) + content)  # DATA, the last

    def close(self) -> None:
        self._socket.close()

    def _send(self, kind: int, flags: int, stream: int, content: bytes = b"") -> None:
        length = struct.pack(">I", len(content))[1:]
        self._socket.sendall(length + struct.pack(">BBI", kind, flags, stream) + content)


async def test_a_large_answer_counts_until_its_client_has_read_it(port, gate, servicer):
    servicer.answer = "x" * 1_000_000
    client = SlowReader(port, UNARY, request_of(UNARY))
    await until(lambda: gate.bytes_in_flight.num_bytes > 1_000_000)
    assert gate.num_calls == 0
    client.close()
    await until(lambda: gate.bytes_in_flight.num_bytes == 0)


async def test_a_large_answer_that_is_read_counts_no_more(ask, gate, servicer):
    servicer.answer = "x" * 1_000_000
    await ask(UNARY, request_of(UNARY))
    await until(lambda: gate.bytes_in_flight.num_bytes == 0)


async def test_time_that_a_message_takes_to_come_counts(channel, told):
    call = channel.stream_stream(f"/{SERVICE.full_name}/{UNARY}")()
    await asyncio.sleep(0.1)
    await call.write(request_of(UNARY))
    await call.done_writing()
    assert [answer async for answer in call]
    (line,) = told()
    assert line["milliseconds"] >= 50


def test_a_servicer_without_one_of_the_rpcs_is_refused():
    with pytest.raises(AttributeError, match="rerank"):
        Edge().add_service(SERVICE, object())


class Rude(Statuses):
    """Tells every failure in words of its own."""

    def code(self, error: Exception) -> grpc.StatusCode:
        return grpc.StatusCode.FAILED_PRECONDITION

    def message(self, error: Exception, call_id: str) -> str:
        return f"no: {super().message(error, call_id)}"


@pytest.fixture
async def rude(servicer: Servicer, gate: Gate, metrics: Metrics) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to a server of the servicer whose failures have other statuses."""
    server = grpc.aio.server()
    edge = Edge(gate, metrics)
    edge.add_service(SERVICE, servicer, Rude())
    server.add_generic_rpc_handlers((edge,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


async def test_a_service_may_tell_its_failures_in_its_own_way(rude, servicer):
    servicer.error = OverloadedError("queue: full", retry_after=0.2)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await rude.unary_unary(f"/{SERVICE.full_name}/{UNARY}")(b"")
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert raised.value.details() == "no: queue: full"
    details = dict(raised.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    assert (status.code, status.message) == (9, "no: queue: full")
    assert status.details  # when to try again is told whatever the status


async def test_a_fault_of_the_server_is_logged_whole_whatever_status_it_is_told_by(
    rude, servicer, caplog
):
    servicer.error = ZeroDivisionError("a bug")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await rude.unary_unary(f"/{SERVICE.full_name}/{UNARY}")(b"")
    assert "a bug" not in raised.value.details()
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "a bug" in str(line.exc_info[1])


@pytest.mark.parametrize("rpc", [UNARY, STREAM])
async def test_an_answer_may_come_after_headers(rpc):
    headers = (("x-compute-tokens", "12"),)

    async def answer(message: Message, request: Request) -> HeadedAnswer:
        return HeadedAnswer(rerank_pb2.RerankResponse(model="with headers"), headers)

    async def answers(messages: AsyncIterator[Any], request: Request) -> AsyncIterator[Any]:
        async for _ in messages:
            pass
        yield await answer(rerank_pb2.RerankRequest(), request)

    edge = Edge()
    edge.add_service(SERVICE, types.SimpleNamespace(rerank=answer, rerank_stream=answers))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((edge,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as client:
        path = f"/{SERVICE.full_name}/{rpc}"
        call = client.unary_unary(path)(b"") if rpc == UNARY else client.stream_unary(path)([b""])
        assert rerank_pb2.RerankResponse.FromString(await call).model == "with headers"
        assert ("x-compute-tokens", "12") in tuple(await call.initial_metadata())
    await server.stop(None)
