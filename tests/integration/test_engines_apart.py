"""A server whose models other processes compute: over real sockets, killed and started again."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest

from twopass.client import Client
from twopass.engines.base.engine import BatchTerms, Urgency
from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.engines.fleet.fleet import Fleet
from twopass.v1 import (
    collection_pb2,
    embed_pb2,
    model_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
    server_pb2_grpc,
)

from ..waiting import wait_until
from .command_line import invoke
from .engine_processes import EngineProcess, Load
from .serving import Server, code_of

PASSAGES = [
    "Fleming found a mould in 1928 around which no bacteria grew.",
    "The heart of a blue whale weighs about 180 kilograms.",
    "Penicillin was the first antibiotic that was widely used. " * 12,
    "Steam engines turn heat into work.",
] * 5
RERANK = rerank_pb2.RerankRequest(
    query="who discovered penicillin?",
    candidates=[rerank_pb2.Candidate(text=text) for text in PASSAGES],
)


def reranked(server: Server) -> list[tuple[int, float]]:
    return [(hit.index, hit.logit) for hit in server.rerank(RERANK).hits]


@pytest.fixture(scope="module")
def engines() -> Iterator[list[EngineProcess]]:
    with ExitStack() as stack:
        yield [stack.enter_context(EngineProcess()) for _ in range(2)]


@pytest.fixture
def front(engines, tmp_path: Path) -> Iterator[Server]:
    """A server in front of both, which are there and sound."""
    addresses = [f"{engines[0].address},{engines[1].address}"]
    with Server(tmp_path, gated=False, engines=addresses) as running:
        wait_until(lambda: num_members(running) == [2, 2])
        yield running


def fleets(front: Server) -> list[Fleet]:
    return [model.engine for model in front._app._models]


def num_members(front: Server) -> list[int]:
    return [sum(not m.is_suspected for m in fleet.members) for fleet in fleets(front)]


def info_of(front: Server) -> server_pb2.ServerInfo:
    stub = server_pb2_grpc.ServerServiceStub(front.channel)
    return stub.GetServerInfo(server_pb2.GetServerInfoRequest()).server


def test_logits_and_embeddings_are_those_of_an_engine_in_process_bit_for_bit(front, server):
    assert reranked(front) == reranked(server)
    request = embed_pb2.EmbedRequest(texts=PASSAGES)
    assert front.embed(request).embeddings == server.embed(request).embeddings


def test_vectors_of_tokens_are_those_of_an_engine_in_process_bit_for_bit(front, server):
    ids = Ragged.from_rows([[101, *range(2000, 2000 + length), 102] for length in (1, 30, 200)])
    batch = TokenBatch(ids.token_ids, ids.offsets, ids.lengths)
    encoder = next(fleet for fleet in fleets(front) if fleet.output_width > 1)
    assert encoder.token_width == encoder.output_width
    apart = encoder.submit_tokens(batch).result(60)
    in_process = server.encoder.submit_tokens(batch).result(60)
    np.testing.assert_array_equal(apart, in_process)


def test_both_are_asked_and_shown(front):
    with Load(lambda: reranked(front)) as load:
        load.wait_for_answers(20)
    assert not load.failures
    models = front.models.ListModels(model_pb2.ListModelsRequest()).models
    for model in models:
        assert len(model.members) == 2
        assert (model.engine, model.precision) == ("cpu", "int8")
        assert {m.device for m in model.members} == {model.device}
    reranker = next(m for m in models if m.kind == model_pb2.MODEL_KIND_RERANKER)
    assert all(member.num_batches > 0 for member in reranker.members)
    workers = info_of(front).workers
    assert [worker.problem for worker in workers] == ["", ""]
    assert {len(worker.models) for worker in workers} == {2}
    in_flight = {fleet.info.max_in_flight for fleet in fleets(front)}
    assert in_flight == {4}  # two of each


def test_no_call_fails_when_one_of_two_is_killed_under_load(front, engines):
    expected = reranked(front)
    with Load(lambda: reranked(front)) as load:
        load.wait_for_answers(10)
        engines[0].kill()
        load.wait_for_answers(20)
        wait_until(lambda: num_members(front) == [1, 1])
        engines[0].start()
        wait_until(lambda: num_members(front) == [2, 2])
        load.wait_for_answers(20)
    assert not load.failures
    assert all(answer == expected for answer in load.answers)


@pytest.mark.slow
def test_no_call_fails_when_one_of_two_drains_under_load(front, engines):
    with Load(lambda: reranked(front)) as load:
        load.wait_for_answers(10)
        assert engines[0].end() == 0
        load.wait_for_answers(20)
        engines[0].start()
        wait_until(lambda: num_members(front) == [2, 2])
    assert not load.failures


@pytest.mark.slow
def test_what_a_hung_process_owes_is_computed_by_the_other(front, engines):
    expected = reranked(front)
    with Load(lambda: reranked(front)) as load:
        load.wait_for_answers(10)
        engines[0].send(signal.SIGSTOP)
        try:
            load.wait_for_answers(30)
            wait_until(lambda: num_members(front) == [1, 1])  # asked what it is, it does not say
        finally:
            engines[0].send(signal.SIGCONT)
        wait_until(lambda: num_members(front) == [2, 2])
    assert not load.failures
    assert all(answer == expected for answer in load.answers)


@pytest.mark.slow
def test_a_process_that_came_back_with_another_model_is_refused_by_name(front, engines):
    engines[1].end()
    engines[1].start("--reranker", "twopass-minilm-l6")
    wait_until(lambda: num_members(front) == [2, 1])
    wait_until(lambda: any(worker.problem for worker in info_of(front).workers))
    problem = next(worker.problem for worker in info_of(front).workers if worker.problem)
    assert (
        "does not hold twopass-minilm-l3; it holds all-MiniLM-L6-v2, twopass-minilm-l6" in problem
    )
    assert reranked(front)
    engines[1].end()
    engines[1].start()
    wait_until(lambda: num_members(front) == [2, 2])
    assert not any(worker.problem for worker in info_of(front).workers)


@pytest.mark.slow
def test_a_process_that_came_back_in_another_precision_is_refused_by_what_differs(front, engines):
    engines[1].end()
    engines[1].start("--precision", "f32")
    wait_until(
        lambda: any("--engines-mixed" in worker.problem for worker in info_of(front).workers)
    )
    problem = next(worker.problem for worker in info_of(front).workers if worker.problem)
    assert "cpu f32" in problem
    assert "cpu int8" in problem
    assert num_members(front) == [1, 1]
    engines[1].end()
    engines[1].start()
    wait_until(lambda: num_members(front) == [2, 2])


def test_without_engines_calls_are_unavailable_searches_fall_back_and_all_come_back(front, engines):
    front.collections.CreateCollection(collection_pb2.CreateCollectionRequest(name="docs"))
    search = search_pb2.SearchRequest(collection="docs", query="penicillin")
    assert code_of(front.search, search) is grpc.StatusCode.OK
    for engine in engines:
        engine.kill()
    wait_until(lambda: num_members(front) == [0, 0])
    assert code_of(front.rerank, RERANK) is grpc.StatusCode.UNAVAILABLE
    search.query = "a query whose embedding is not remembered"
    answer = front.search(search)
    assert answer.retrieve_status == search_pb2.RETRIEVE_STATUS_LEXICAL_FAILED
    for engine in engines:
        engine.start()
    wait_until(lambda: num_members(front) == [2, 2])
    assert code_of(front.rerank, RERANK) is grpc.StatusCode.OK


def test_commands_tell_of_the_engines_and_of_one_that_is_asked_itself(front, engines):
    with Client(front.target) as client:
        assert client.models()[0].members[0].name in {engine.address for engine in engines}
        assert {worker.target for worker in client.server_info().workers} == {
            engine.address for engine in engines
        }
    printed = invoke("models", "--target", front.target).output
    assert "all-MiniLM-L6-v2 is computed at" in printed
    assert engines[0].address in printed
    told = f"engine at {engines[1].address} computes all-MiniLM-L6-v2, twopass-minilm-l3"
    assert told in invoke("info", "--target", front.target).output
    for command in ("models", "info"):
        assert invoke(command, "--target", engines[0].address).exit_code == 0


@pytest.mark.slow
def test_a_batch_that_nobody_waits_for_leaves_its_process(front, engines):
    reranker = next(fleet for fleet in fleets(front) if fleet.output_width == 1)
    ids = Ragged.from_rows([[101, *[2000] * 300, 102]] * 400)
    batch = TokenBatch(ids.token_ids, ids.offsets, np.full(400, 4, np.int32))
    answers = [reranker.submit_on(batch, BatchTerms(Urgency.RERANK)) for _ in range(4)]
    stubs = [
        server_pb2_grpc.ServerServiceStub(grpc.insecure_channel(engine.address))
        for engine in engines
    ]

    def queued() -> int:
        request = server_pb2.GetServerInfoRequest()
        return sum(stub.GetServerInfo(request).server.load.queued_tokens for stub in stubs)

    wait_until(lambda: queued() > 0)
    for answer in answers:
        assert answer.cancel()
    wait_until(lambda: queued() == 0)
