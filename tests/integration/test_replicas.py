"""Several servers behind one client: health by service, drains, old connections, lost servers."""

import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twopass.client import Client, Document, TwopassError

from ..waiting import wait_until
from .command_line import answer, invoke
from .faulty_engines import break_reranker, throws
from .serving import Server, SetCall, server_process

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
ONCE = (("grpc.enable_retries", 0),)
TEXTS = ("the sea is salt", "the moon draws the tide", "sand is worn stone")


def watch(server: Server, service: str):
    return health_pb2_grpc.HealthStub(server.channel).Watch(
        health_pb2.HealthCheckRequest(service=service), timeout=300
    )


def test_each_service_tells_of_the_engines_that_it_needs(tmp_path):
    server = Server(tmp_path, gated=False, probe_seconds=0.2)
    with ThreadPoolExecutor(1) as threads:
        names = "RerankService", "SearchService", "EmbedService", "CollectionService", ""
        states = {name: watch(server, name and f"twopass.v1.{name}") for name in names}
        assert {next(each).status for each in states.values()} == {SERVING}
        break_reranker(server, throws)
        for name in ("RerankService", "SearchService", ""):
            assert [next(states[name]).status for _ in range(2)] == [NOT_SERVING, SERVING]
        # Those that need the encoder alone had nothing to tell: the end is the next they say.
        draining = threads.submit(server._run, server._app.stop())
        for name in ("EmbedService", "CollectionService"):
            assert next(states[name]).status == NOT_SERVING
        server.channel.close()
        draining.result()
    server._end_loop()


class Load:
    """Threads that rerank without end; calls that failed are kept."""

    def __init__(self, target: str, num_threads: int = 4, **options) -> None:
        self.client = Client(target, timeout=None, **options)
        self.failed: list[TwopassError] = []
        self._num_answered = [0] * num_threads
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(num_threads)
        for number in range(num_threads):
            self._pool.submit(self._call, number)

    def _call(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                self.client.rerank("why is there a tide?", TEXTS)
            except TwopassError as error:
                self.failed.append(error)
            self._num_answered[number] += 1

    def go_on(self, num_calls: int = 5) -> None:
        """Waits until every thread has had so many more answers."""
        before = list(self._num_answered)
        wait_until(lambda: min(map(int.__sub__, self._num_answered, before)) >= num_calls)

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown()
        self.client.close()


@contextmanager
def two_servers(tmp_path: Path, **settings) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(Server(tmp_path / str(i), gated=False, **settings))
            for i in range(2)
        ]


def test_a_server_drains_without_an_error_of_a_client_that_balances(tmp_path):
    """Not even of calls that are made once: it says that it goes before it refuses anything."""
    with Server(tmp_path / "stays", gated=False) as stays:
        goes = Server(tmp_path / "goes", gated=False, drain_seconds=600)
        load = Load(f"{stays.target},{goes.target}", options=ONCE)
        try:
            load.go_on()
            goes.stop()  # returns: those who watch health don't hold it up
            load.go_on()
        finally:
            load.stop()
    assert load.failed == []


def test_an_old_connection_ends_without_an_error_and_keeps_the_calls_it_has(tmp_path):
    with Server(tmp_path, gated=False, max_connection_seconds=0.5) as server:
        call = SetCall(server)
        load = Load(server.target, options=ONCE)
        states: list[grpc.ChannelConnectivity] = []
        load.client._channel.subscribe(states.append)
        # A connection that is ready again is another one.
        wait_until(lambda: states.count(grpc.ChannelConnectivity.READY) >= 4)
        load.stop()
        call.send("a", "one", "two", num_candidates=2)
        (answer,) = call.end()
        assert len(answer.result.hits) == 2
    assert load.failed == []


def test_a_server_that_vanishes_is_noticed_and_its_calls_are_answered_by_another(tmp_path):
    """It is stopped as it stands, so that its machine says nothing of it."""
    flags = "--threads", "1", "--min-ping-seconds", "0"
    # A sound server of a busy machine answers a ping within 10 s.
    often = (("grpc.keepalive_time_ms", 1_000), ("grpc.keepalive_timeout_ms", 10_000))
    with (
        Server(tmp_path / "stays", gated=False, min_ping_seconds=0) as stays,
        server_process(tmp_path / "vanishes", *flags) as (process, target),
    ):
        load = Load(f"{stays.target},{target}", options=often)
        try:
            load.go_on()
            os.kill(process.pid, signal.SIGSTOP)
            load.go_on(25)
        finally:
            os.kill(process.pid, signal.SIGCONT)
            load.stop()
    assert load.failed == []


def test_calls_on_a_server_that_is_killed_are_answered_by_another(tmp_path):
    with (
        Server(tmp_path / "stays", gated=False) as stays,
        server_process(tmp_path / "dies", "--threads", "1") as (process, target),
    ):
        load = Load(f"{stays.target},{target}")
        try:
            load.go_on()
            process.kill()
            load.go_on()
        finally:
            load.stop()
    assert load.failed == []


def test_an_engine_that_fails_costs_no_call_where_there_is_another_server(tmp_path):
    with two_servers(tmp_path, probe_seconds=0.2) as servers:
        load = Load(",".join(server.target for server in servers))
        try:
            # Until the client has found both.
            wait_until(lambda: all(server._app._standard.num_watching for server in servers))
            load.go_on()
            break_reranker(servers[0], throws)
            load.go_on(25)
        finally:
            load.stop()
        assert load.failed == []


def test_a_command_takes_several_servers_and_goes_on_without_those_that_are_away(tmp_path):
    with Server(tmp_path, gated=False) as server:
        targets = f"127.0.0.1:1,{server.target}"
        models = answer("models", "--target", targets)
        assert models == answer("models", "--target", server.target)
    ended = invoke("models", "--target", "127.0.0.1:1,127.0.0.1:2")
    assert "is a server running at any of 127.0.0.1:1, 127.0.0.1:2?" in ended.stderr


def test_an_upsert_goes_on_with_another_server_when_the_drain_of_its_own_is_over(tmp_path):
    sent, go_on = threading.Event(), threading.Event()

    def documents():
        yield from (Document(f"a{number}", "text") for number in range(10))
        sent.set()
        assert go_on.wait(60)
        yield from (Document(f"b{number}", "text") for number in range(10))

    with ExitStack() as stack:
        running = {str(i): Server(tmp_path / str(i), gated=False, drain_seconds=0.1) for i in "ab"}
        stack.callback(lambda: [server.stop() for server in running.values()])
        stack.callback(go_on.set)
        for server in running.values():
            with Client(server.target) as one:
                one.create_collection("docs")
        targets = ",".join(server.target for server in running.values())
        client = stack.enter_context(Client(targets))
        uploads = stack.enter_context(ThreadPoolExecutor(1))
        upload = uploads.submit(client.upsert, "docs", documents(), chunk_size=2)
        assert sent.wait(60)
        wait_until(lambda: any(map(num_calls, running.values())))
        (receiving,) = (name for name, server in running.items() if num_calls(server))
        running.pop(receiving).stop()
        go_on.set()
        assert upload.result().num_documents == 20
        (other,) = running.values()
        with Client(other.target) as one:
            there = {document.id for document in one.documents("docs")}
        assert {f"b{number}" for number in range(10)} <= there


def num_calls(server: Server) -> int:
    """How many calls are under way, but for those who watch health."""
    return server._app._gate.num_calls


class Names:
    """A server of DNS that knows one name, whose addresses a test changes."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while (asked := self._socket.recvfrom(512))[0]:
            query, caller = asked
            end = query.index(b"\0", 12) + 5  # after the name, its type and its class
            question = query[12:end]
            is_ipv4 = question[-4:-2] == b"\0\1"
            found = [socket.inet_aton(each) for each in self.addresses] if is_ipv4 else []
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0)
            # A pointer to the name, type A, class IN, kept for no time, four bytes.
            answers = [b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + each for each in found]
            self._socket.sendto(head + question + b"".join(answers), caller)

    def stop(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


def test_a_server_that_is_added_to_a_name_is_found_since_old_connections_end(tmp_path):
    often = ("grpc.dns_min_time_between_resolutions_ms", 100), ("grpc.enable_http_proxy", 0)
    names = Names("127.0.0.1")
    with ExitStack() as stack:
        stack.callback(names.stop)
        old = stack.enter_context(Server(tmp_path / "old", gated=False, max_connection_seconds=0.5))
        port = old.target.rpartition(":")[2]
        target = f"dns://127.0.0.1:{names.port}/search.test:{port}"
        client = stack.enter_context(Client(target, options=often))
        assert client.models()
        new = stack.enter_context(
            Server(tmp_path / "new", gated=False, address=f"127.0.0.2:{port}")
        )
        names.addresses = "127.0.0.1", "127.0.0.2"
        wait_until(lambda: client.models() and new._app._standard.num_watching)
