"""A few of the messages of `make fuzz-rpc`, on every run of the tests."""

import random

import grpc
import pytest
from google.protobuf import message_factory

from twopass.tei.v1 import tei_pb2
from twopass.v1 import model_pb2

from ..load.filling import Filling
from ..load.fuzz_rpc import FORBIDDEN, prepare, run, send
from ..load.messages import Attempt, attempts, methods
from .corpus import ENCODER
from .serving import Server


@pytest.mark.parametrize("seed", range(4))
def test_no_message_finds_a_bug(tmp_path, seed):
    with Server(tmp_path) as server:
        prepare(server.target)
        ended = run(server.target, attempts(seed, 250), seconds=60)
        assert server.models.ListModels(model_pb2.ListModelsRequest()).models
    assert not {status for _, status in ended} & FORBIDDEN
    assert ended.total() > 200


@pytest.mark.parametrize("seed", range(2))
def test_no_message_of_tei_finds_a_bug(tmp_path, seed):
    services = tei_pb2.DESCRIPTOR.services_by_name.values()
    rpcs = [rpc for service in services for rpc in service.methods]
    addresses = ["127.0.0.1:0", f"127.0.0.1:0={ENCODER}"]
    with Server(tmp_path, tei_address=addresses) as server:
        for target in server.tei_targets:
            ended = run(target, attempts(seed, 250, rpcs), seconds=60)
            assert not {status for _, status in ended} & FORBIDDEN
            assert ended.total() > 200


def test_messages_without_odd_values_get_through(tmp_path):
    """Else odd ones would never meet more than the first check."""
    generator = random.Random(0)
    with Server(tmp_path) as server, grpc.insecure_channel(server.target) as channel:
        prepare(server.target)
        for method in methods():
            if method.name in ("Search", "UpsertDocuments", "ListDocuments", "Embed", "Rerank"):
                statuses = set()
                for _ in range(20):
                    message = message_factory.GetMessageClass(method.input_type)()
                    Filling(generator, 0.0).fill(message)
                    path = f"/{method.containing_service.full_name}/{method.name}"
                    content = (message.SerializeToString(),)
                    statuses.add(send(channel, Attempt(path, content, is_stream=False)))
                assert "OK" in statuses, method.name


def test_every_rpc_is_tried():
    tried = {attempt.path for attempt in attempts(1, 1_000)}
    assert len(tried) == len(methods())
    assert all(hasattr(grpc.StatusCode, status) for status in FORBIDDEN)
