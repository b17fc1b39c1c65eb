import asyncio
import threading

import grpc
import pytest

from twopass.client import (
    AsyncClient,
    CandidateSet,
    Client,
    InvalidArgumentError,
    OverloadedError,
    UnavailableError,
)
from twopass.v1 import rerank_pb2
from twopass.v1.rerank_pb2_grpc import RerankServiceServicer
from twopass.v1.status_pb2 import RetryInfo, Status


def answer(set_id):
    result = rerank_pb2.RerankResponse(model=f"of {set_id}")
    return rerank_pb2.RerankStreamResponse(set_id=set_id, result=result)


class Streams(RerankServiceServicer):
    """Answers a stream with what `script` yields and keeps the messages that it reads."""

    def __init__(self, script) -> None:
        self.script = script
        self.requests = []

    def RerankStream(self, request_iterator, context):
        def kept():
            for request in request_iterator:
                self.requests.append(request)
                yield request

        yield from self.script(kept(), context)


def each_in_turn(requests, context):
    for request in requests:
        if request.HasField("set"):
            yield answer(request.set_id)


def sets(*set_ids):
    return [CandidateSet(set_id, "q", ["x"]) for set_id in set_ids]


def test_answers_come_in_the_order_of_completion(serve, connect):
    def backwards(requests, context):
        for request in reversed(list(requests)):
            yield answer(request.set_id)

    client = connect(serve(Streams(backwards)))
    results = list(client.rerank_stream(sets("a", "b", "c")))
    assert [result.set_id for result in results] == ["c", "b", "a"]
    assert [result.result().model for result in results] == ["of c", "of b", "of a"]
    assert all(result.error is None for result in results)


def test_a_running_set_has_answers_before_its_last_and_keeps_its_place_until_then(serve, connect):
    def in_two_steps(requests, context):
        for request in requests:
            best = rerank_pb2.RerankResponse(model="so far")
            yield rerank_pb2.RerankStreamResponse(set_id=request.set_id, running=best)
            yield answer(request.set_id)

    servicer = Streams(in_two_steps)
    running = [CandidateSet(name, "q", ["x"], running=True) for name in "ab"]
    results = connect(serve(servicer)).rerank_stream(running, max_in_flight=1)
    first = next(results)
    assert (first.set_id, first.is_last, first.result().model) == ("a", False, "so far")
    assert len(servicer.requests) == 1
    assert servicer.requests[0].set.running
    rest = [(result.set_id, result.is_last) for result in results]
    assert rest == [("a", True), ("b", False), ("b", True)]


def test_a_failed_set_is_a_result_among_the_good_ones(serve, connect):
    def second_fails(requests, context):
        for request in requests:
            if request.set_id == "b":
                error = Status(code=8, message="queue full")
                detail = error.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo")
                delay = RetryInfo()
                delay.retry_delay.FromMilliseconds(250)
                detail.value = delay.SerializeToString()
                yield rerank_pb2.RerankStreamResponse(set_id="b", error=error)
            else:
                yield answer(request.set_id)

    client = connect(serve(Streams(second_fails)))
    first, failed, last = client.rerank_stream(sets("a", "b", "c"))
    assert first.result().model == "of a"
    assert last.result().model == "of c"
    assert isinstance(failed.error, OverloadedError)
    assert failed.error.retry_after == 0.25
    assert failed.error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(OverloadedError, match="queue full"):
        failed.result()


def test_a_large_set_is_sent_in_pieces(serve, connect):
    streams = Streams(each_in_turn)
    client = connect(serve(streams))
    candidates = CandidateSet("a", "q", [str(i) for i in range(7)])
    list(client.rerank_stream([candidates], piece_size=3))
    assert [len(request.candidates) for request in streams.requests] == [3, 3, 1]
    assert streams.requests[0].set.num_candidates == 7


def test_no_more_sets_are_read_than_may_be_in_flight(serve, connect):
    taken = []

    def endless():
        for number in range(1_000_000):
            taken.append(number)
            yield CandidateSet(str(number), "q", ["x"])

    results = connect(serve(Streams(each_in_turn))).rerank_stream(endless(), max_in_flight=3)
    for received in range(1, 20):
        next(results)
        assert len(taken) <= received + 3
    results.close()


def test_an_exception_of_the_sets_comes_after_the_answers_to_those_before(serve, connect):
    def broken():
        yield from sets("a", "b")
        raise LookupError("no third set")

    results = connect(serve(Streams(each_in_turn))).rerank_stream(broken())
    assert [next(results).set_id, next(results).set_id] == ["a", "b"]
    with pytest.raises(LookupError, match="no third set"):
        next(results)


def test_what_is_no_set_is_a_type_error(serve, connect):
    client = connect(serve(Streams(each_in_turn)))
    with pytest.raises(TypeError, match="sets: a CandidateSet is needed, str given"):
        list(client.rerank_stream(["a"]))
    with pytest.raises(TypeError, match="sets: several are needed, a single CandidateSet"):
        list(client.rerank_stream(sets("a")[0]))
    with pytest.raises(InvalidArgumentError, match="max_in_flight: 0 given, at least 1"):
        list(client.rerank_stream(sets("a"), max_in_flight=0))


def test_a_stream_that_fails_is_raised_and_not_tried_again(serve, connect):
    def fails(requests, context):
        next(requests)
        attempts.append(1)
        context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
        yield

    attempts = []
    with pytest.raises(UnavailableError, match="draining"):
        list(connect(serve(Streams(fails))).rerank_stream(sets("a")))
    assert len(attempts) == 1


def test_closing_the_iterator_cancels_the_call(serve, connect):
    ended = threading.Event()

    def first_only(requests, context):
        context.add_callback(ended.set)
        yield answer(next(requests).set_id)
        ended.wait(10)

    results = connect(serve(Streams(first_only))).rerank_stream(sets("a", "b"))
    assert next(results).set_id == "a"
    results.close()
    assert ended.wait(10)


async def test_an_asynchronous_source_is_read_while_answers_are_waited_for(serve):
    async def dependent():
        for set_id in "abc":
            (candidates,) = sets(set_id)
            yield candidates
            await answered.acquire()  # the next set is known only when this one is answered

    answered = asyncio.Semaphore(0)
    async with AsyncClient(serve(Streams(each_in_turn))) as client:
        results = client.rerank_stream(dependent())
        for set_id in "abc":
            assert (await anext(results)).set_id == set_id
            answered.release()
        assert await anext(results, None) is None


def test_a_source_is_read_while_answers_are_waited_for(serve):
    def dependent():
        for set_id in "abc":
            yield from sets(set_id)
            answered.acquire()  # the next set is known only when this one is answered

    answered = threading.Semaphore(0)
    with Client(serve(Streams(each_in_turn))) as client:
        results = client.rerank_stream(dependent())
        for set_id in "abc":
            assert next(results).set_id == set_id
            answered.release()
        assert next(results, None) is None


@pytest.mark.parametrize("set_id", ["", "x" * 129, "é" * 65], ids=["empty", "long", "bytes"])
def test_a_set_id_that_the_server_would_not_repeat_is_refused_before_it_is_sent(set_id):
    with pytest.raises(InvalidArgumentError, match=r"set_id: \d+ bytes given, 1 to 128"):
        CandidateSet(set_id, "q", ["x"])
