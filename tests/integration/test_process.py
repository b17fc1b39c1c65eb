"""`twopass serve` as a process: its end, and what it leaves behind."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twopass.engines.errors import ModelError
from twopass.index.errors import FolderInUseError
from twopass.index.lanes import Lanes
from twopass.index.store.store import CollectionStore
from twopass.server import app
from twopass.server.local import LocalServer, LocalServerError
from twopass.tei.v1 import tei_pb2
from twopass.v1 import model_pb2, model_pb2_grpc, search_pb2

from .corpus import ENCODER, fill
from .serving import Server, SetCall, Stubs, server_process
from .tei_stubs import TeiStubs

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def refusal_of(target: str) -> grpc.StatusCode:
    """How a new connection is refused; the port closes a moment after health says so.

    gRPC cancels a call that comes at that very moment, before the server hears of it.
    """
    while True:
        with grpc.insecure_channel(target) as channel:
            models = model_pb2_grpc.ModelServiceStub(channel)
            try:
                models.ListModels(model_pb2.ListModelsRequest())
            except grpc.RpcError as error:
                code: grpc.StatusCode = error.code()
                if code is not grpc.StatusCode.CANCELLED:
                    return code


def test_sigterm_lets_running_calls_end_and_no_other_begin(tmp_path):
    # Longer than any machine is busy: the running call is ended by the test alone.
    with server_process(tmp_path, "--drain-seconds", "600") as (process, target):
        stubs = Stubs(target)
        fill(stubs, "facts")
        running = SetCall(stubs)
        running.send("a", "one", num_candidates=2)
        running.send("sign", "x", num_candidates=1)
        assert running.next().set_id == "sign"  # so the call is under way
        health = health_pb2_grpc.HealthStub(stubs.channel)
        states = health.Watch(health_pb2.HealthCheckRequest())
        assert next(states).status == SERVING

        process.send_signal(signal.SIGTERM)
        assert next(states).status == NOT_SERVING
        states.cancel()
        assert refusal_of(target) is grpc.StatusCode.UNAVAILABLE

        running.send("a", "two")
        answer = running.next()
        assert (answer.set_id, len(answer.result.hits)) == ("a", 2)
        assert running.end() == []
        assert process.stderr is not None
        messages = [json.loads(line)["message"] for line in process.stderr]
        assert process.wait() == 0
        assert messages[-1] == "stopped"
    with Server(tmp_path) as again:
        found = again.search(search_pb2.SearchRequest(collection="facts", query="blue sky"))
        assert found.hits[0].id == "sky"


def test_ports_of_tei_serve_and_drain_with_the_others(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as other:
        targets = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]
    flags = ["--tei-address", targets[0], "--tei-address", f"{targets[1]}={ENCODER}"]
    with server_process(tmp_path, *flags) as (process, _):
        reranker, encoder = map(TeiStubs, targets)
        assert encoder.info(tei_pb2.InfoRequest()).model_id == ENCODER
        messages: queue.SimpleQueue = queue.SimpleQueue()
        answers = encoder.embed.EmbedStream(iter(messages.get, None))
        messages.put(tei_pb2.EmbedRequest(inputs="before"))
        next(answers)
        states = health_pb2_grpc.HealthStub(reranker.channel).Watch(
            health_pb2.HealthCheckRequest(service="tei.v1.Rerank")
        )
        assert next(states).status == SERVING

        process.send_signal(signal.SIGTERM)
        assert next(states).status == NOT_SERVING
        states.cancel()
        messages.put(tei_pb2.EmbedRequest(inputs="while it drains"))
        assert len(next(answers).embeddings) == 384
        messages.put(None)
        assert list(answers) == []
        assert process.wait(30) == 0


def test_a_call_that_outlasts_the_drain_is_cut_off(tmp_path):
    with server_process(tmp_path, "--drain-seconds", "0.1") as (process, target):
        stubs = Stubs(target)
        running = SetCall(stubs)
        running.send("a", "one", num_candidates=2)
        running.send("sign", "x", num_candidates=1)
        assert running.next().set_id == "sign"
        process.send_signal(signal.SIGINT)
        with pytest.raises(grpc.RpcError) as raised:
            running.next()
        assert raised.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert process.wait() == 0


def test_a_second_signal_ends_the_process_at_once(tmp_path):
    with server_process(tmp_path) as (process, target):
        running = SetCall(Stubs(target))
        running.send("a", "one", num_candidates=2)
        running.send("sign", "x", num_candidates=1)
        assert running.next().set_id == "sign"
        assert process.stderr is not None
        process.send_signal(signal.SIGTERM)
        messages = (json.loads(line)["message"] for line in process.stderr)
        assert "draining" in messages  # read until it is there
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 1
        assert "stopped without draining: second signal" in messages


_LOSING_ITS_ENGINES = """
import sys
from twopass.server import config_loading, running
from twopass.server.models import supervisor

async def watch(self, tell):
    raise supervisor.EnginesLostError("engines have not answered for 5 s")

supervisor.Supervisor.watch = watch
settings = config_loading.load_config({"data": sys.argv[1], "address": "127.0.0.1:0"})
running.run(settings)
"""


def test_engines_that_are_lost_end_the_process_with_a_status_of_its_own(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", _LOSING_ITS_ENGINES, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 70, ended.stderr
    assert "stopped without draining: engines have not answered for 5 s" in ended.stderr
    CollectionStore(tmp_path, Lanes.for_cpus(1)).close()


def test_vectors_are_not_searched_on_a_gpu_that_is_not_there(tmp_path):
    command = [sys.executable, "-m", "twopass.commands.main", "serve", "--data", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--address", "127.0.0.1:0", "--vector-device", "gpu"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "faiss" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_folder_has_one_server_at_a_time(server):
    with pytest.raises(FolderInUseError, match="another server holds this data folder"):
        Server(server.data)
    assert server.models.ListModels(model_pb2.ListModelsRequest()).models


def test_a_model_that_is_not_there_leaves_the_folder_free(tmp_path):
    with pytest.raises(ModelError, match="model 'nope'"):
        Server(tmp_path, encoder="nope")
    CollectionStore(tmp_path, Lanes.for_cpus(1)).close()


@pytest.mark.parametrize("setting", ["address", "metrics_address"])
def test_an_address_that_is_taken_is_named_before_anything_is_loaded(
    server, tmp_path, monkeypatch, setting
):
    monkeypatch.setattr(app, "load_models", None)
    monkeypatch.setattr(app, "open_store", None)
    flag = f"--{setting.replace('_', '-')}"
    refused = f"{flag} {server.target}: .*in use.* or give another"
    with pytest.raises(OSError, match=refused):
        Server(tmp_path, **{setting: server.target})


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("address", "198.51.100.7:0"),
        ("address", "unix:/no/such/folder/socket"),
        ("metrics_address", "198.51.100.7:9090"),
    ],
)
def test_an_address_that_can_not_be_listened_on_is_named_with_its_flag(tmp_path, setting, address):
    flag = f"--{setting.replace('_', '-')}"
    with pytest.raises(OSError, match=f"{flag} {address}: can't listen there .*; give another"):
        Server(tmp_path, **{"insecure": True, setting: address})


def test_a_unix_socket_is_told_of_as_clients_have_it_and_taken_over_from_a_server_that_is_gone(
    tmp_path,
):
    address = f"unix:{tmp_path / 'socket'}"
    for _ in range(2):
        with LocalServer(tmp_path / "data", flags=("--address", address)) as local:
            assert local.target == address
            assert Stubs(local.target).models.ListModels(model_pb2.ListModelsRequest()).models
            with pytest.raises(OSError, match="in use"):
                Server(tmp_path / "other", address=address)


def test_why_a_server_does_not_start_is_an_object_of_the_json_log(server, tmp_path):
    command = [sys.executable, "-m", "twopass.commands.main", "serve", "--data", str(tmp_path)]
    command += ["--log-format", "json", "--address", server.target]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    last = [json.loads(line) for line in ended.stderr.splitlines()][-1]
    assert last["level"] == "critical"
    assert server.target in last["message"]


def test_a_local_server_does_not_outlive_the_process_that_started_it(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from twopass.server.local import LocalServer\n"
        "with LocalServer(Path(sys.argv[1])) as server:\n"
        "    print(server.pid, server.target, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, target = parent.stdout.readline().split()
        assert Stubs(target).models.ListModels(model_pb2.ListModelsRequest()).models
        parent.terminate()
        assert parent.wait(timeout=60) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_local_server_is_open_to_its_process_whatever_the_environment_says_of_others(
    tmp_path, monkeypatch
):
    (tmp_path / "keys.toml").write_text('[[keys]]\nname = "a"\nsha256 = "' + "0" * 64 + '"\n')
    monkeypatch.setenv("TWOPASS_KEYS", str(tmp_path / "keys.toml"))
    monkeypatch.setenv("TWOPASS_TLS_CERTIFICATE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("TWOPASS_HTTP_ADDRESS", "127.0.0.1:1")
    with LocalServer(tmp_path / "data") as local:
        assert not local.http_url
        assert Stubs(local.target).models.ListModels(model_pb2.ListModelsRequest()).models


def test_why_a_local_server_does_not_start_is_in_its_error(tmp_path):
    with (
        pytest.raises(LocalServerError, match=r"ended with status 1 .* model 'nope'"),
        LocalServer(tmp_path, flags=("--encoder", "nope")),
    ):
        pass
