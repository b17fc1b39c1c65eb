"""What EngineService refuses before an engine sees it, and what it answers."""

import numpy as np
import pytest

from twopass.engine.v1 import engine_pb2
from twopass.server.errors import (
    InvalidRequestError,
    UnknownModelError,
    WorkerChangedError,
    WrongModelKindError,
)
from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.servicers.engine import EngineServicer
from twopass.server.workers.remote_engine import info_of

from ..scripted import NumberTokenizer, ScriptedEngine, scripted_reranker


class SizedTokenizer(NumberTokenizer):
    vocabulary_size = 100


@pytest.fixture
async def servicer():
    import dataclasses

    model = dataclasses.replace(scripted_reranker(ScriptedEngine()), tokenizer=SizedTokenizer())
    return EngineServicer(Models([model]), Arbiter(max_queued_pairs=10), lambda: ())


async def described(servicer) -> engine_pb2.DescribeResponse:
    return await servicer.describe(engine_pb2.DescribeRequest(), Request())


def ints(*values: int) -> bytes:
    return np.array(values, "<i4").tobytes()


async def computed(servicer, **changes: object) -> engine_pb2.ComputeResponse:
    worker_id = (await described(servicer)).worker_id
    fields = {
        "worker_id": worker_id,
        "revision": "0",
        "token_ids": ints(1, 2, 3),
        "offsets": ints(0, 2, 3),
        "query_lengths": ints(1, 1),
    }
    return await servicer.compute(engine_pb2.ComputeRequest(**fields | changes), Request())


async def test_logits_are_returned_as_raw_bytes_in_order(servicer):
    answer = await computed(servicer)
    assert np.frombuffer(answer.values, "<f4").tolist() == [3, 3]


async def test_it_says_what_its_engines_are(servicer):
    answer = await described(servicer)
    (held,) = answer.models
    assert (held.id, held.revision, held.answers) == ("scripted", "0", True)
    assert (held.engine, held.precision) == ("scripted", "f32")
    assert held.batch_seconds == 0  # any time
    assert not held.cuda_graphs
    assert not info_of(held).has_graphs
    held.cuda_graphs = True
    assert info_of(held).has_graphs
    assert len(answer.worker_id) == 32
    assert not answer.drains


async def test_two_processes_are_told_apart(servicer):
    other = EngineServicer(Models([]), Arbiter(max_queued_pairs=1), lambda: ())
    assert (await described(servicer)).worker_id != (await described(other)).worker_id


async def test_an_engine_that_does_not_answer_is_told(servicer):
    servicer._silent = lambda: {"scripted"}
    assert not (await described(servicer)).models[0].answers


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"token_ids": b"abc"}, "token_ids: 3 bytes"),
        ({"offsets": b""}, "offsets: "),
        ({"offsets": ints(1, 3)}, "offsets: "),
        ({"offsets": ints(0, 2)}, "offsets: "),
        ({"offsets": ints(0, 3, 3)}, "offsets: a sequence has no token"),
        ({"offsets": ints(0, 5, 3)}, "offsets: a sequence has no token, or ends"),
        ({"query_lengths": ints(1)}, "query_lengths: 1 given for 2"),
        ({"query_lengths": ints(3, 1)}, "query_lengths: one is below 0 or above"),
        ({"query_lengths": ints(-1, 1)}, "query_lengths: "),
        ({"token_ids": ints(1, 2, 100)}, "token_ids: one is outside of the vocabulary, 0 to 99"),
        ({"token_ids": ints(1, 2, -1)}, "token_ids: "),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_what_is_no_batch_is_refused_by_its_field(servicer, changes, named):
    with pytest.raises(InvalidRequestError, match=named):
        await computed(servicer, **changes)


async def test_another_process_than_was_described_computes_nothing(servicer):
    with pytest.raises(WorkerChangedError):
        await computed(servicer, worker_id="0" * 32)


async def test_a_model_is_known_by_its_revision_alone(servicer):
    with pytest.raises(UnknownModelError, match="scripted"):
        await computed(servicer, revision="scripted")


async def test_vectors_of_tokens_are_refused_where_the_engine_gives_none(servicer):
    with pytest.raises(WrongModelKindError, match="no vectors of single tokens"):
        await computed(servicer, output=engine_pb2.OUTPUT_TOKENS)


async def test_a_batch_of_nothing_is_nothing(servicer):
    answer = await computed(servicer, token_ids=b"", offsets=ints(0), query_lengths=b"")
    assert answer.values == b""
