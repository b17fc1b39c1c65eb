"""Overload, callers that leave and the end of the server: the same over gRPC and over HTTP."""

import contextlib
import json
import signal
import socket
import threading

import grpc
import pytest

from twopass.v1 import model_pb2

from ..waiting import wait_until
from .fallback import MAX_QUEUED, of, wait_for_room
from .serving import Server, Stubs, server_process

QUERY = "which"


class OverGrpc:
    """Reranks of so many passages by gRPC."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def begin(self, count: int) -> "grpc.Future":
        return self._server.rerank.future(of(count))

    def leave(self, call: "grpc.Future") -> None:
        call.cancel()

    def ended(self, call: "grpc.Future") -> tuple[str, bool]:
        """What a call ended with, and whether the caller was told when to try again."""
        code = call.code()
        details = dict(call.trailing_metadata()).get("grpc-status-details-bin", b"")
        return code.name, b"RetryInfo" in details


NAMES = {200: "OK", 413: "RESOURCE_EXHAUSTED", 429: "RESOURCE_EXHAUSTED"}


class OverHttp:
    """Reranks of so many passages over a socket for each."""

    def __init__(self, server: Server) -> None:
        self._address = "127.0.0.1", int(server.http_target.rpartition(":")[2])

    def begin(self, count: int) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=60)
        connection.sendall(posted([f"passage {i}" for i in range(count)]))
        return connection

    def leave(self, connection: socket.socket) -> None:
        connection.close()

    def ended(self, connection: socket.socket) -> tuple[str, bool]:
        status, headers, _ = answer_on(connection)
        connection.close()
        return NAMES[status], float(headers.get("retry-after-ms", 0)) > 0


def posted(documents: list[str]) -> bytes:
    """A rerank request as it is sent."""
    body = json.dumps({"query": QUERY, "documents": documents}).encode()
    head = f"POST /v2/rerank HTTP/1.1\r\nhost: [::1]\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer_on(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        lines = iter(stream.readline, b"\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.decode().partition(":") for line in lines)
        }
        return status, headers, stream.read(int(headers["content-length"]))


@pytest.fixture(params=[OverGrpc, OverHttp], ids=["grpc", "http"])
def wire(request, small):
    return request.param(small)


def test_what_there_is_no_room_for_is_refused_with_a_time_to_wait(small, held, wire):
    under_way = wire.begin(15)
    held.entered.wait()
    assert wire.ended(wire.begin(6)) == ("RESOURCE_EXHAUSTED", True)
    held.gate.set()
    assert wire.ended(under_way) == ("OK", False)
    assert wire.ended(wire.begin(MAX_QUEUED)) == ("OK", False)


def test_what_there_can_never_be_room_for_is_not_to_be_tried_again(wire):
    assert wire.ended(wire.begin(MAX_QUEUED + 1)) == ("RESOURCE_EXHAUSTED", False)


def test_a_caller_that_leaves_gives_its_room_back(small, held, wire):
    under_way = wire.begin(15)
    held.entered.wait()
    wire.leave(under_way)
    gate = small._app._gate
    wait_until(lambda: gate.num_calls == 0 and gate.bytes_in_flight.num_bytes == 0)
    held.gate.set()
    wait_for_room(small)


def test_what_callers_have_left_is_not_computed(small, held, wire):
    """No pair reaches the engine once nobody waits for it; two batches may be there already."""
    first = wire.begin(1)
    held.entered.wait()
    waiting = [wire.begin(6) for _ in range(3)]
    backlog = small._app._arbiter.backlog
    wait_until(lambda: small._app._arbiter.num_admitted == 19)
    for call in waiting:
        wire.leave(call)
    wait_until(lambda: small._app._arbiter.num_admitted == 1)
    before = num_computed(small)
    held.gate.set()
    assert wire.ended(first) == ("OK", False)
    wait_until(lambda: not backlog.num_in_flight)
    assert num_computed(small) - before <= 1 + 6


def num_computed(server: Server) -> float:
    """Pairs and texts that engines have computed so far."""
    return sum(
        sample.value
        for metric in server._app._metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "twopass_batch_sequences_sum"
    )


def test_sigterm_lets_running_requests_end_and_no_other_begin(tmp_path):
    """Over HTTP, as `test_process` has it over gRPC."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    flags = ["--http-address", "{}:{}".format(*address)]
    with server_process(tmp_path, *flags) as (process, target):
        idle, running = (socket.create_connection(address, timeout=60) for _ in range(2))
        request = posted(["one", "two", "three"])
        idle.sendall(request)
        assert answer_on(idle)[0] == 200
        running.sendall(request[:-20])  # under way: its body is awaited
        stubs = Stubs(target)
        assert stubs.models.ListModels(model_pb2.ListModelsRequest()).models

        process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # an idle connection is closed
        wait_until(lambda: is_refused(address))  # the port closes a moment before or after
        running.sendall(request[-20:])
        status, headers, body = answer_on(running)
        assert (status, headers["connection"]) == (200, "close")
        assert len(json.loads(body)["results"]) == 3
        assert running.recv(1) == b""
        assert process.wait(60) == 0


def is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=60).close()
    except ConnectionError:
        return True
    return False


def test_a_request_that_outlasts_the_drain_is_told_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    flags = ["--http-address", "{}:{}".format(*address), "--drain-seconds", "0.2"]
    with server_process(tmp_path, *flags) as (process, _):
        running = socket.create_connection(address, timeout=60)
        running.sendall(posted(["one"])[:-5])
        silent = socket.create_connection(address, timeout=60)  # never asks for anything
        process.send_signal(signal.SIGTERM)
        status, headers, _ = answer_on(running)
        assert (status, headers["connection"]) == (503, "close")
        assert silent.recv(1) == b""
        assert process.wait(60) == 0


def test_slow_clients_hold_no_more_than_is_allowed(tmp_path):
    """Half-sent bodies count as kept: beyond the limit they are refused, and others are served."""
    limit, num_slow = 3_000_000, 12
    with Server(tmp_path, http_address="127.0.0.1:0", max_bytes=limit) as server:
        port = int(server.http_target.rpartition(":")[2])
        gate = server._app._gate
        refused = []

        def slow() -> None:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                head = b"POST /v2/rerank HTTP/1.1\r\nhost: [::1]\r\ncontent-length: 1000000\r\n\r\n"
                connection.sendall(head + b" " * 700_000)
                slow_ones.wait()
                connection.settimeout(2)
                with contextlib.suppress(TimeoutError):
                    refused.append(answer_on(connection)[0])

        slow_ones = threading.Barrier(num_slow + 1)
        threads = [threading.Thread(target=slow) for _ in range(num_slow)]
        for thread in threads:
            thread.start()
        wait_until(lambda: gate.bytes_in_flight.num_bytes > 0.6 * limit)
        assert gate.bytes_in_flight.num_bytes <= limit
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(posted(["one", "two"]))
            assert answer_on(connection)[0] == 200
        slow_ones.wait()
        for thread in threads:
            thread.join()
        assert refused.count(429) == len(refused) >= num_slow - 4
        wait_until(lambda: gate.num_calls == 0 and gate.bytes_in_flight.num_bytes == 0)
