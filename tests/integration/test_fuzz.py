"""A few of the messages of `make fuzz-rpc`, on every run of the tests."""

import grpc
import pytest

from twopass.v1 import model_pb2

from ..load.fuzz_rpc import FORBIDDEN, prepare, run
from ..load.messages import attempts, methods
from .serving import Server


@pytest.mark.parametrize("seed", range(4))
def test_no_message_finds_a_bug(tmp_path, seed):
    with Server(tmp_path) as server:
        prepare(server.target)
        ended = run(server.target, attempts(seed, 250), seconds=60)
        assert server.models.ListModels(model_pb2.ListModelsRequest()).models
    assert not {status for _, status in ended} & FORBIDDEN
    assert ended.total() > 200
    # Most of what is odd must meet what is usual, or no message gets beyond the first check.
    for rpc in ("Search", "UpsertDocuments", "ListDocuments", "Embed", "Rerank"):
        assert ended[rpc, "OK"], rpc


def test_every_rpc_is_tried():
    tried = {attempt.path for attempt in attempts(1, 1_000)}
    assert len(tried) == len(methods())
    assert all(hasattr(grpc.StatusCode, status) for status in FORBIDDEN)
