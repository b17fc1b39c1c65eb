"""What comes over the wire to an engine apart means to a fleet: over real sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from twopass.engine.v1 import engine_pb2
from twopass.engines.base.engine import BatchTerms, PackedLayout, PaddedLayout, Urgency
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import (
    DeviceError,
    EngineBusyError,
    EngineUnavailableError,
    InputTooLongError,
    OutOfDeviceMemoryError,
)
from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config
from twopass.server.edge.statuses import message_of, status_code, trailers_of
from twopass.server.errors import OverloadedError, UnknownModelError, WorkerChangedError
from twopass.server.workers import connection as connection_module
from twopass.server.workers.connection import Connection, Wire
from twopass.server.workers.remote_engine import RemoteEngine, info_of
from twopass.v1.status_pb2 import ErrorInfo, Status

WIRE = Wire(None, (("authorization", "Bearer secret"),), 2**22)
HELD = engine_pb2.HeldModel(
    id="m",
    revision="r",
    answers=True,
    engine="cpu",
    precision="int8",
    device="avx2",
    max_seq_len=64,
    max_batch_tokens=100,
    min_batch_tokens=10,
    max_in_flight=2,
    batch_seconds=0.02,
    output_width=1,
    token_width=3,
)
BATCH = TokenBatch(
    np.array([5, 6, 7], np.int32), np.array([0, 2, 3], np.int32), np.array([1, 1], np.int32)
)


class Peer:
    """A server whose answer to `Compute` a test sets."""

    def __init__(self) -> None:
        self.answer: Callable[[engine_pb2.ComputeRequest, grpc.ServicerContext], object]
        self.metadata: dict[str, str] = {}
        self.cancelled = False
        self._server = grpc.server(ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(
            self._compute,
            engine_pb2.ComputeRequest.FromString,
            lambda answer: answer if isinstance(answer, bytes) else answer.SerializeToString(),
        )
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    "twopass.engine.v1.EngineService", {"Compute": handler}
                )
            ]
        )
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.target = f"127.0.0.1:{port}"
        self._server.start()

    def _compute(self, request: engine_pb2.ComputeRequest, context: grpc.ServicerContext):
        self.metadata = dict(context.invocation_metadata())
        return self.answer(request, context)

    def stop(self) -> None:
        self._server.stop(None)


@pytest.fixture
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.stop()


@pytest.fixture
def connection(peer) -> Iterator[Connection]:
    opened = Connection(peer.target, WIRE)
    yield opened
    opened.close()


@pytest.fixture
def engine(connection) -> RemoteEngine:
    return RemoteEngine(connection, "w", HELD)


def values(*numbers: float) -> engine_pb2.ComputeResponse:
    return engine_pb2.ComputeResponse(values=np.array(numbers, "<f4").tobytes())


def test_a_batch_goes_out_as_raw_bytes_with_what_it_is_for_and_the_key(peer, engine):
    sent = []
    peer.answer = lambda request, _: (sent.append(request), values(1.5, np.nan))[1]
    logits = engine.submit_on(BATCH, BatchTerms(Urgency.QUERY)).result(30)
    np.testing.assert_array_equal(logits, np.array([1.5, np.nan], np.float32))
    (request,) = sent
    assert request.token_ids == np.array([5, 6, 7], "<i4").tobytes()
    assert request.offsets == np.array([0, 2, 3], "<i4").tobytes()
    assert request.query_lengths == np.array([1, 1], "<i4").tobytes()
    assert (request.worker_id, request.revision) == ("w", "r")
    assert request.urgency == engine_pb2.URGENCY_QUERY
    assert peer.metadata["authorization"] == "Bearer secret"


def test_vectors_of_tokens_come_in_their_shape(peer, engine):
    peer.answer = lambda *_: values(*range(9))
    vectors = engine.submit_tokens(BATCH).result(30)
    np.testing.assert_array_equal(vectors, np.arange(9, dtype=np.float32).reshape(3, 3))


def test_embeddings_come_in_their_shape(peer, connection):
    held = engine_pb2.HeldModel()
    held.CopyFrom(HELD)
    held.output_width = 2
    peer.answer = lambda *_: values(1, 2, 3, 4)
    embeddings = RemoteEngine(connection, "w", held).submit(BATCH).result(30)
    np.testing.assert_array_equal(embeddings, np.array([[1, 2], [3, 4]], np.float32))


def test_too_few_values_are_a_failure_of_the_device(peer, engine):
    peer.answer = lambda *_: values(1)
    with pytest.raises(DeviceError, match="4 bytes of values came, not 8"):
        engine.submit(BATCH).result(30)


def test_what_is_no_message_is_a_failure_of_the_device(peer, engine):
    peer.answer = lambda *_: b"\xff\xff"
    with pytest.raises(DeviceError):
        engine.submit(BATCH).result(30)


def told(error: Exception) -> Callable[..., object]:
    """Answers as our server does."""

    def answer(_: object, context: grpc.ServicerContext) -> object:
        code, message = status_code(error), message_of(error, "id")
        context.set_trailing_metadata(trailers_of(error, code, message))
        context.abort(code, message)

    return answer


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (OverloadedError("full", retry_after=1.0), EngineBusyError),
        (OutOfDeviceMemoryError("no room"), OutOfDeviceMemoryError),
        (EngineUnavailableError("is restarting"), EngineUnavailableError),
        (WorkerChangedError("another process"), EngineUnavailableError),
        (UnknownModelError("no such model"), EngineUnavailableError),
        (DeviceError("burnt out"), DeviceError),
        (InputTooLongError(99, 64), InputTooLongError),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_an_error_of_a_server_is_what_it_is_to_a_fleet(peer, engine, error, meant):
    peer.answer = told(error)
    raised = engine.submit(BATCH).exception(30)
    assert type(raised) is meant
    if meant is InputTooLongError:
        assert raised.facts == {"limit": 64, "value": 99}


def test_figures_of_an_error_that_are_no_numbers_keep_nobody_waiting(peer, engine):
    def answer(_: object, context: grpc.ServicerContext) -> object:
        info = ErrorInfo(reason="INPUT_TOO_LONG", metadata={"value": "very many"})
        status = Status(code=3, message="too long")
        status.details.add(
            type_url="type.googleapis.com/google.rpc.ErrorInfo", value=info.SerializeToString()
        )
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too long")

    peer.answer = answer
    with pytest.raises(InputTooLongError):
        engine.submit(BATCH).result(30)


def test_nobody_at_the_address_is_unavailable():
    peer = Peer()
    peer.stop()
    connection = Connection(peer.target, WIRE)
    with pytest.raises(EngineUnavailableError):
        RemoteEngine(connection, "w", HELD).submit(BATCH).result(30)
    connection.close()


def test_a_connection_that_is_cut_in_a_call_is_a_failure_of_the_device(peer, engine):
    entered, may_answer = threading.Event(), threading.Event()

    def answer(_: object, context: grpc.ServicerContext) -> object:
        entered.set()
        may_answer.wait(60)
        return values(1, 2)

    peer.answer = answer
    future = engine.submit(BATCH)
    assert entered.wait(60)
    cutting = threading.Thread(target=peer.stop)  # returns when the answer has been given
    cutting.start()
    assert isinstance(future.exception(30), DeviceError | EngineUnavailableError)
    may_answer.set()
    cutting.join()


def test_a_server_without_the_service_is_named_as_none_of_ours():
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(f"127.0.0.1:{port}", WIRE)
    with pytest.raises(EngineUnavailableError, match="no server with --role engine"):
        connection.describe(30).result(30)
    connection.close()
    server.stop(None)


def test_the_end_of_a_batch_travels_and_a_cancelled_one_is_cancelled(peer, engine):
    left, cancelled = [], []

    def answer(_: object, context: grpc.ServicerContext) -> object:
        left.append(context.time_remaining())
        context.add_callback(lambda: cancelled.append(1))
        while context.is_active():
            time.sleep(0.01)
        return values(1, 2)

    peer.answer = answer
    terms = BatchTerms(end=time.perf_counter() + 50)
    future = engine.submit_on(BATCH, terms)
    while not left:
        time.sleep(0.01)
    assert 0 < left[0] < 55  # gRPC rounds what is left up before it is sent
    assert future.cancel()
    until = time.monotonic() + 30
    while not cancelled:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_is_late_is_busy_rather_than_lost(peer, engine):
    may_answer = threading.Event()
    peer.answer = lambda *_: (may_answer.wait(60), values(1, 2))[1]
    future = engine.submit_on(BATCH, BatchTerms(end=time.perf_counter() + 0.1))
    try:
        assert isinstance(future.exception(30), EngineBusyError)
    finally:
        may_answer.set()


def test_figures_are_those_that_were_told():
    info = info_of(HELD)
    assert (info.engine, info.precision, info.device) == ("cpu", "int8", "avx2")
    assert (info.max_seq_len, info.max_batch_tokens, info.min_batch_tokens) == (64, 100, 10)
    assert (info.max_in_flight, info.batch_seconds) == (2, 0.02)
    assert info.layout == PackedLayout()
    padded = engine_pb2.HeldModel()
    padded.CopyFrom(HELD)
    padded.buckets.extend([32, 64])
    assert info_of(padded).layout == PaddedLayout((32, 64))


def test_figures_that_no_engine_has_are_refused():
    with pytest.raises(ValueError, match="below 1"):
        info_of(engine_pb2.HeldModel(id="m"))


def test_the_key_is_read_from_its_file_and_never_shown(tmp_path):
    file = tmp_path / "key"
    file.write_text("very-secret\n")
    wire = Wire.of(load_config({"engines_key_file": str(file)}))
    assert wire.metadata == (("authorization", "Bearer very-secret"),)
    assert "very-secret" not in repr(wire)


@pytest.mark.parametrize("flag", ["engines_key_file", "engines_ca"])
def test_a_file_that_is_missing_is_named_with_its_flag(tmp_path, flag):
    with pytest.raises(ConfigError, match=f"--{flag.replace('_', '-')} .*none"):
        Wire.of(load_config({flag: str(tmp_path / "none")}))


def test_a_key_that_no_header_can_carry_is_refused(tmp_path):
    file = tmp_path / "key"
    file.write_text("two\nlines")
    with pytest.raises(ConfigError, match="--engines-key-file"):
        Wire.of(load_config({"engines_key_file": str(file)}))


def test_a_machine_that_vanishes_while_it_owes_an_answer_is_noticed(monkeypatch):
    """It takes what is sent, as a network does for a while, and says nothing, not even to pings."""
    monkeypatch.setattr(connection_module, "_KEEPALIVE_MS", 300)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        vanished = Connection(f"127.0.0.1:{listening.getsockname()[1]}", WIRE)
        answer = RemoteEngine(vanished, "w", HELD).submit(BATCH)
        accepted, _ = listening.accept()
        with accepted:
            accepted.sendall(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))  # HTTP/2's empty SETTINGS
            with pytest.raises(DeviceError, match="UNAVAILABLE"):
                answer.result(60)
        vanished.close()
