"""What a server says of itself."""

import dataclasses
from datetime import UTC, datetime
from importlib.metadata import version

import pytest

from twopass.client import Client, OverloadedError
from twopass.index.vectors.gpu_device import USAGE
from twopass.server.config import ServerConfig

from .command_line import answer, invoke
from .serving import Server, places_taken


@pytest.fixture(scope="module")
def client(server: Server):
    with Client(server.target) as connected:
        yield connected


def test_it_tells_its_version_and_since_when_it_serves(client):
    server = client.server_info()
    assert server.version == version("twopass")
    assert server.start_time <= datetime.now(UTC)
    assert client.server_info().start_time == server.start_time
    assert server.num_threads >= 1


def test_it_tells_every_limit_as_it_is_set(tmp_path):
    limits = {"max_candidates": 7, "max_queued_pairs": 70, "max_bytes": 7_000}
    with Server(tmp_path, **limits) as server, Client(server.target) as client:
        told = dataclasses.asdict(client.server_info().limits)
    default = {name: ServerConfig.model_fields[name].default for name in told}
    assert told == default | limits


def test_it_tells_what_it_has_to_do(tmp_path):
    with Server(tmp_path) as server, Client(server.target) as client:  # that nobody else asks
        idle = client.server_info().load
        assert (idle.queued_pairs, idle.queued_tokens, idle.calls) == (0, 0, 1)
        with places_taken(server, 5):
            load = client.server_info().load
            assert (load.queued_pairs, load.calls) == (5, 2)


def test_it_tells_how_many_it_has_refused_by_reason(tmp_path):
    with Server(tmp_path, max_queued_pairs=3) as server, Client(server.target) as client:
        for _ in range(2):
            with pytest.raises(OverloadedError):
                client.rerank("which", ["a", "b", "c", "d"])
        assert client.server_info().load.rejections == {"queue_pairs": 2}


def test_it_tells_of_its_threads(tmp_path):
    with Server(tmp_path) as server, Client(server.target) as client:
        before = client.server_info()
        lanes = {lane.name: lane for lane in before.load.lanes}
        assert {"reads", "scans", "vectors", "writes", "maintenance"} <= lanes.keys()
        assert all(lane.num_threads >= 1 for lane in before.load.lanes)
        assert all(lane.num_waiting == 0 for lane in before.load.lanes)
        assert before.load.rejections == {}
        assert before.vector_device == "cpu"
        assert (
            before.num_vector_fallbacks == USAGE.now.num_fallbacks
        )  # of this process, other tests' too


def test_the_command_shows_it_all(server):
    told = answer("info", "--target", server.target)
    assert told["version"] == version("twopass")
    assert told["limits"]["max_candidates"] == ServerConfig.model_fields["max_candidates"].default
    shown = invoke("info", "--target", server.target).stdout
    assert f"twopass {version('twopass')}, up " in shown
    assert "queued pairs" in shown
    assert "longest overrun" in shown
    assert "50,000" in shown
