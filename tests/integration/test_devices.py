"""Engines on several devices of one machine: here two of the engine cpu, in one process."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from twopass.engines.base.sequences import TokenBatch
from twopass.engines.fleet.fleet import Fleet
from twopass.server.config import ConfigError
from twopass.server.models.restarting import RestartingEngine
from twopass.v1 import embed_pb2, model_pb2, rerank_pb2

from ..waiting import wait_until
from .engine_processes import Load
from .faulty_engines import FaultyEngine, throws
from .serving import Server

RERANK = rerank_pb2.RerankRequest(
    query="who discovered penicillin?",
    candidates=[
        rerank_pb2.Candidate(text=text)
        for text in ["Fleming found a mould in 1928. " * 9, "Whales have large hearts."] * 8
    ],
)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, gated=False, devices=["cpu", "cpu"], probe_seconds=0.5) as running:
        yield running


def reranked(server: Server) -> list[tuple[int, float]]:
    return [(hit.index, hit.logit) for hit in server.rerank(RERANK).hits]


def reranker_of(server: Server) -> Fleet:
    fleet = next(m.engine for m in server._app._models if m.engine.output_width == 1)
    assert isinstance(fleet, Fleet)
    return fleet


def encoder_members(server: Server):
    models = server.models.ListModels(model_pb2.ListModelsRequest()).models
    return next(model for model in models if model.kind == model_pb2.MODEL_KIND_ENCODER).members


def put_in_place(server: Server, name: str, fault) -> None:
    """Puts a faulty engine in one's place, until it is built anew."""
    restarting = reranker_of(server).engines[name]
    assert isinstance(restarting, RestartingEngine)
    sound = restarting._engine
    restarting._engine = FaultyEngine(sound, fault)
    sound.close()


def test_both_compute_and_the_logits_are_those_of_one(both, server):
    with Load(lambda: reranked(both)) as load:
        load.wait_for_answers(20)
    assert not load.failures
    expected = reranked(server)
    assert all(answer == expected for answer in load.answers)
    models = both.models.ListModels(model_pb2.ListModelsRequest()).models
    for model in models:
        assert [member.name for member in model.members] == ["cpu 0", "cpu 1"]
    assert all(m.num_batches > 0 for model in models[1:] for m in model.members)


def test_both_embed_too(both):
    before = {m.name: m.num_batches for m in encoder_members(both)}
    request = embed_pb2.EmbedRequest(texts=[f"text {n} of some words" for n in range(200)])
    with Load(lambda: both.embed(request)) as load:
        load.wait_for_answers(10)
    assert not load.failures
    assert all(m.num_batches > before[m.name] for m in encoder_members(both))


def test_all_stands_for_every_gpu_and_each_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("twopass.server.models.loading.all_gpus", lambda: ("cpu", "cpu", "cpu"))
    with Server(tmp_path, gated=False, devices=["all"]) as running:
        assert reranked(running)
        for model in running.models.ListModels(model_pb2.ListModelsRequest()).models:
            assert [member.name for member in model.members] == ["cpu 0", "cpu 1", "cpu 2"]


def test_all_gpus_of_a_machine_without_any_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ConfigError, match=r"--devices all: .*; leave it out to compute on the CPU"):
        Server(tmp_path, devices=["all"])


def test_no_call_fails_when_one_of_them_does_and_it_is_built_anew(both):
    with Load(lambda: reranked(both)) as load:
        put_in_place(both, "cpu 0", throws)
        wait_until(lambda: len(reranker_of(both).members) == 1)
        load.wait_for_answers(10)
        wait_until(lambda: len(reranker_of(both).members) == 2)
        load.wait_for_answers(10)
    assert not load.failures


def is_given_up(server: Server) -> bool:
    """Whether an engine is suspected, or lost and not there again yet."""
    members = reranker_of(server).members
    return len(members) < 2 or any(member.is_suspected for member in members)


def test_what_a_hung_one_owes_the_other_computes(both):
    over = threading.Event()

    def hangs(batch: TokenBatch) -> np.ndarray:
        over.wait()
        return np.zeros(len(batch), np.float32)

    expected = reranked(both)
    with Load(lambda: reranked(both)) as load:
        put_in_place(both, "cpu 0", hangs)
        wait_until(lambda: is_given_up(both))
        load.wait_for_answers(10)
    over.set()
    assert not load.failures
    assert all(answer == expected for answer in load.answers)


def test_devices_are_named_as_they_are_and_not_beside_engines_elsewhere(tmp_path):
    with pytest.raises(ConfigError, match="cpu, or cuda: and the number of a GPU"):
        Server(tmp_path, devices=["gpu"])
    with pytest.raises(ConfigError, match="all stands for every GPU, and is given alone"):
        Server(tmp_path, devices=["all", "cpu"])
    with pytest.raises(ConfigError, match="--devices: set, but --engines too"):
        Server(tmp_path, devices=["cpu"], engines=["localhost:1"])


def test_a_gpu_that_is_not_there_is_refused_with_the_reason(tmp_path):
    with pytest.raises(Exception, match=r"cuda:7|no NVIDIA driver"):
        Server(tmp_path, devices=["cuda:7"])
