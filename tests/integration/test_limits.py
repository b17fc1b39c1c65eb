"""What bounds calls and connections, seen from the wire where a client would hide it."""

import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from twopass.v1 import collection_pb2, document_pb2, model_pb2, rerank_pb2, status_pb2

from .serving import MAX_MESSAGE_BYTES, Server, SetCall, Stubs, server_process

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
ACK = 1
MAX_CONCURRENT_STREAMS = 3
NO_ERROR, ENHANCE_YOUR_CALM = 0, 11
FEW_CALLS = 3
FEW_BYTES = 100_000


@pytest.fixture(scope="module")
def strict(tmp_path_factory) -> Iterator[Server]:
    """A server that allows little."""
    limits = {
        "max_calls": FEW_CALLS,
        "max_bytes": FEW_BYTES,
        "max_connection_calls": 7,
        "max_connection_seconds": 1.0,
        "min_ping_seconds": 100.0,
        "keepalive_seconds": 0.3,
        "keepalive_timeout_seconds": 0.3,
        "drain_seconds": 5.0,
    }
    with Server(tmp_path_factory.mktemp("strict"), **limits) as server:
        yield server


class Wire:
    """A connection whose HTTP/2 frames the test sends and reads by itself."""

    def __init__(self, target: str) -> None:
        host, port = target.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._socket.sendall(PREFACE)
        self.send(SETTINGS)

    def send(self, kind: int, content: bytes = b"", flags: int = 0) -> None:
        header = struct.pack(">I", len(content))[1:] + bytes((kind, flags)) + bytes(4)
        self._socket.sendall(header + content)

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Yields kind, flags and content of each frame until the server ends the connection."""
        with self._socket, self._socket.makefile("rb") as stream:
            while len(header := stream.read(9)) == 9:
                length = int.from_bytes(header[:3])
                yield header[3], header[4], stream.read(length)

    def goaway(self, *, answer_pings: bool = True) -> tuple[int, bytes] | None:
        """Why the server said that it goes; None if it went without a word."""
        said = None
        for kind, flags, content in self.frames():
            if kind == GOAWAY:
                said = struct.unpack(">I", content[4:8])[0], content[8:]
            elif kind == PING and not flags & ACK and answer_pings:
                self.send(PING, content, ACK)
        return said


def test_one_call_more_than_are_allowed_is_refused_with_a_time_to_wait(strict):
    held = [SetCall(strict) for _ in range(FEW_CALLS)]
    for call in held:
        call.send("sign", num_candidates=-1)
        assert call.next().set_id == "sign"
    with pytest.raises(grpc.RpcError) as raised:
        strict.models.ListModels(model_pb2.ListModelsRequest())
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "calls: 3 are under way, which is the most" in raised.value.details()
    trailers = dict(raised.value.trailing_metadata())
    told = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
    (detail,) = (each for each in told if each.type_url.endswith("google.rpc.RetryInfo"))
    assert status_pb2.RetryInfo.FromString(detail.value).retry_delay.ToMilliseconds() == 100
    for call in held:
        call.end()
    assert strict.models.ListModels(model_pb2.ListModelsRequest()).models


def test_more_bytes_than_are_allowed_are_refused_with_a_time_to_wait(strict):
    def rerank(text: str) -> rerank_pb2.RerankResponse:
        candidates = [rerank_pb2.Candidate(text=text)]
        return strict.rerank(rerank_pb2.RerankRequest(query="sky", candidates=candidates))

    with pytest.raises(grpc.RpcError) as raised:
        rerank("sky " * FEW_BYTES)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "bytes: 0 of requests are under way and 400," in raised.value.details()
    assert "grpc-status-details-bin" in dict(raised.value.trailing_metadata())
    assert rerank("sky").hits


def test_of_a_stream_the_set_that_holds_too_many_bytes_is_refused_and_no_other(strict):
    call = SetCall(strict)
    call.send("large", "sky " * 15_000, num_candidates=3)
    call.send("large", "sky " * 15_000)
    refused = call.next()
    assert (refused.set_id, refused.error.code) == (
        "large",
        grpc.StatusCode.RESOURCE_EXHAUSTED.value[0],
    )
    call.send("small", "sky", num_candidates=1)
    assert call.next().result.hits
    call.end()


def test_of_streamed_documents_each_chunk_counts_until_it_is_on_disk(strict):
    whole = collection_pb2.CollectionSchema(whole_documents=True)  # windows would count too
    strict.collections.CreateCollection(
        collection_pb2.CreateCollectionRequest(name="bounded", schema=whole)
    )

    def chunk(number: int, num_words: int) -> collection_pb2.UpsertDocumentsStreamRequest:
        document = document_pb2.Document(id=str(number), text="sky " * num_words)
        return collection_pb2.UpsertDocumentsStreamRequest(
            collection="bounded", documents=[document]
        )

    half = FEW_BYTES // 8  # at four bytes a word, two such chunks fit and a third beside them not

    def one_by_one() -> Iterator[collection_pb2.UpsertDocumentsStreamRequest]:
        for number in range(6):
            yield chunk(number, half - 50)
            acknowledged.acquire()

    acknowledged = threading.Semaphore(0)
    num_chunks = 0
    for progress in strict.collections.UpsertDocumentsStream(one_by_one()):
        num_chunks = progress.num_chunks
        acknowledged.release()
    assert num_chunks == 6  # each was let go of when it was acknowledged
    with pytest.raises(grpc.RpcError) as raised:
        list(strict.collections.UpsertDocumentsStream(iter([chunk(7, 3 * half)])))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "bytes: 0 of requests are under way" in raised.value.details()


def test_a_message_that_is_too_large_is_refused_unread_and_told_of(server, caplog):
    caplog.set_level("INFO", logger="twopass.server")
    with grpc.insecure_channel(server.target, [("grpc.max_send_message_length", -1)]) as channel:
        call = channel.unary_unary("/twopass.v1.RerankService/Rerank")
        with pytest.raises(grpc.RpcError) as raised:
            call(bytes(MAX_MESSAGE_BYTES + 1_000))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    began = time.monotonic()
    while not caplog.records and time.monotonic() < began + 20:
        time.sleep(0.01)
    (line,) = (vars(record) for record in caplog.records)
    assert "for a message of more than max-message-bytes" in line["reason"]


def test_the_calls_of_a_connection_are_bounded(strict):
    (settings,) = (content for kind, _, content in until_settings(Wire(strict.target)))
    pairs = dict(struct.iter_unpack(">HI", settings))
    assert pairs[MAX_CONCURRENT_STREAMS] == 7


def until_settings(wire: Wire) -> Iterator[tuple[int, int, bytes]]:
    yield next(frame for frame in wire.frames() if frame[0] == SETTINGS and not frame[1] & ACK)


def test_a_connection_ends_at_its_age(strict):
    code, reason = Wire(strict.target).goaway()
    assert code == NO_ERROR
    assert reason == b"max_age"


def test_a_client_that_pings_without_end_loses_its_connection(strict):
    wire = Wire(strict.target)
    for _ in range(5):
        wire.send(PING, bytes(8))
    code, reason = wire.goaway()
    assert code == ENHANCE_YOUR_CALM
    assert reason == b"too_many_pings"


def test_a_client_that_answers_no_ping_counts_as_gone(tmp_path: Path):
    limits = {"keepalive_seconds": 0.3, "keepalive_timeout_seconds": 0.3}
    with Server(tmp_path, **limits) as server:
        Wire(server.target).goaway(answer_pings=False)  # returns: the server ends the connection


def test_five_hundred_connections_are_served(server):
    failures = []

    def ask() -> None:
        # Channels to one target share a connection unless they are told to have their own.
        options = [("grpc.use_local_subchannel_pool", 1)]
        for _ in range(50):
            with grpc.insecure_channel(server.target, options) as channel:
                call = channel.unary_unary(
                    "/twopass.v1.ModelService/ListModels",
                    model_pb2.ListModelsRequest.SerializeToString,
                    model_pb2.ListModelsResponse.FromString,
                )
                try:
                    call(model_pb2.ListModelsRequest())
                except grpc.RpcError as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.slow
def test_a_client_that_reads_slowly_is_read_slowly_and_gets_every_answer(server):
    """Else the answers that wait for it would fill the server's memory."""
    num_sets, text = 600, "sky " * 60_000
    taken = []

    def sets() -> Iterator[rerank_pb2.RerankStreamRequest]:
        for number in range(num_sets):
            taken.append(number)
            header = rerank_pb2.RerankSet(query="sky", num_candidates=1, return_text=True)
            candidates = [rerank_pb2.Candidate(text=text)]
            yield rerank_pb2.RerankStreamRequest(
                set_id=str(number), set=header, candidates=candidates
            )

    answers = server.rerank_stream(sets())
    before = -1
    while before < len(taken):  # until nothing more is taken for a while
        before = len(taken)
        time.sleep(1.0)
    assert len(taken) < 2 * num_sets / 3  # most of those wait in the buffers of gRPC itself
    ids = [int(answer.set_id) for answer in answers if answer.result.hits[0].text == text]
    assert sorted(ids) == list(range(num_sets))


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0], ids=["back a day", "on a day"])
def test_a_clock_that_is_set_changes_nothing(server, monkeypatch, jump):
    def rerank() -> rerank_pb2.RerankResponse:
        candidates = [rerank_pb2.Candidate(text=text) for text in ("sky", "sea")]
        request = rerank_pb2.RerankRequest(query="sky", candidates=candidates)
        return server.rerank(request)  # gRPC's own deadlines are times of day

    before = rerank()
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(jump * 1e9))
    after = rerank()
    assert [hit.score for hit in after.hits] == [hit.score for hit in before.hits]
    assert after.timings.total.ToMilliseconds() < 20_000


def test_sets_refused_for_long_ids_leave_no_memory_behind(tmp_path: Path):
    num_sets, set_id = 60, "x" * 8_000_000  # the longest value of a message is 8 MiB
    with server_process(tmp_path) as (process, target):
        call = SetCall(Stubs(target))
        call.send("sign", num_candidates=-1)
        assert call.next().set_id == "sign"
        before = resident_bytes(process.pid)
        for number in range(num_sets):
            call.send(f"{number} {set_id}", num_candidates=2)
            answer = call.next()
            assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert answer.ByteSize() < 1_000
        # Of 480 MB that were sent; gRPC's own buffers are in it.
        assert resident_bytes(process.pid) - before < 200_000_000
        call.end()


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
