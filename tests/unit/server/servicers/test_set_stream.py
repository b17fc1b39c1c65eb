import asyncio
from collections.abc import AsyncIterator

import pytest

from twopass.index.lanes import Lane
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import BytesInFlight, Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.reranking import Reranking
from twopass.server.search.second_pass import SecondPass
from twopass.server.servicers import set_stream
from twopass.server.servicers.set_stream import SetStream
from twopass.server.servicers.translating import Translating
from twopass.v1 import rerank_pb2
from twopass.v1.status_pb2 import ErrorInfo

from ..scripted import ScriptedEngine, scripted_reranker, settled

MAX_QUEUED = 50
MAX_BYTES = 100_000


class Stream:
    """A call whose pieces the test sends one by one."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.bytes_in_flight = BytesInFlight(MAX_BYTES)
        self.arbiter = Arbiter(max_queued_pairs=MAX_QUEUED)
        reranking = Reranking(
            Models([scripted_reranker(engine)]),
            self.arbiter,
            Tokenizing(1),
            SecondPass(self.arbiter),
        )
        limits = Limits(
            max_candidates=20,
            max_documents=1,
            max_passage_bytes=100,
            max_query_bytes=100,
            max_message_bytes=2_048,
        )
        self._pieces: asyncio.Queue = asyncio.Queue()
        self.request = Request(id="c", bytes_in_flight=self.bytes_in_flight)
        translating = Translating(Lane("messages", 1))
        self.answers = SetStream(reranking, limits, translating, self.request).answers(
            self._requests()
        )

    def send(self, set_id: str, *texts: str, **header: object) -> None:
        piece = rerank_pb2.RerankStreamRequest(
            set_id=set_id, candidates=[rerank_pb2.Candidate(text=text) for text in texts]
        )
        if header:
            piece.set.CopyFrom(rerank_pb2.RerankSet(**{"query": "0"} | header))
        self._pieces.put_nowait(piece)

    def end(self, error: Exception | None = None) -> None:
        self._pieces.put_nowait(error)

    async def next(self) -> rerank_pb2.RerankStreamResponse:
        return await anext(self.answers)

    async def rest(self) -> list[rerank_pb2.RerankStreamResponse]:
        self.end()
        return [answer async for answer in self.answers]

    async def _requests(self) -> AsyncIterator[rerank_pb2.RerankStreamRequest]:
        while (piece := await self._pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            self.request.message_bytes = piece.ByteSize()
            yield piece


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def stream(engine: ScriptedEngine) -> Stream:
    return Stream(engine)


def logits(answer: rerank_pb2.RerankStreamResponse) -> list[float]:
    return [hit.logit for hit in answer.result.hits]


async def test_sets_are_answered_when_they_are_complete_in_any_order(stream):
    stream.send("a", "1", num_candidates=2)
    stream.send("b", "5", "7", num_candidates=2)
    answer = await stream.next()
    assert (answer.set_id, logits(answer)) == ("b", [7, 5])
    stream.send("a", "3")
    answer = await stream.next()
    assert (answer.set_id, logits(answer)) == ("a", [3, 1])
    assert await stream.rest() == []


async def test_scoring_begins_with_the_first_piece(stream, engine):
    stream.send("a", "1", "2", num_candidates=3)
    waiting = asyncio.create_task(stream.next())
    while not engine.batches:
        await settled()
    assert sorted(row[-2] for row in engine.batches[0]) == [1, 2]
    stream.send("a", "3")
    assert logits(await waiting) == [3, 2, 1]


# --- running sets --------------------------------------------------------------------------------


def best_so_far(answer: rerank_pb2.RerankStreamResponse) -> list[tuple[int, float]]:
    assert answer.WhichOneof("outcome") == "running"
    return [(hit.index, hit.logit) for hit in answer.running.hits]


async def test_a_running_set_is_answered_with_the_best_so_far_until_it_is_complete(stream):
    stream.send("a", "1", "4", num_candidates=4, running=True, top_n=2)
    assert best_so_far(await stream.next()) == [(1, 4), (0, 1)]
    stream.send("a", "3")
    assert best_so_far(await stream.next()) == [(1, 4), (2, 3)]
    stream.send("a", "2")
    assert logits(await stream.next()) == [4, 3]
    assert await stream.rest() == []


async def test_a_running_set_that_comes_whole_has_one_answer(stream):
    stream.send("a", "1", "4", num_candidates=2, running=True)
    assert [logits(answer) for answer in await stream.rest()] == [[4, 1]]


async def test_a_client_that_reads_slowly_gets_fewer_answers_of_a_running_set(stream, engine):
    stream.send("a", "1", num_candidates=5, running=True)
    assert best_so_far(await stream.next()) == [(0, 1)]
    for number, text in enumerate("2345", 2):
        stream.send("a", text)
        while len(engine.batches) < number:
            await settled()
    *before, last = await stream.rest()
    # One may have been on its way when reading began; the pieces between have none.
    assert len(before) <= 1
    assert logits(last) == [5, 4, 3, 2, 1]


async def test_what_is_wrong_with_a_running_set_is_its_last_answer(stream):
    stream.send("a", "1", num_candidates=3, running=True, blend=0.5)
    stream.send("b", "2", num_candidates=3, running=True)
    assert best_so_far(await stream.next()) == [(0, 2)]
    stream.send("b", "\0")
    answers = await stream.rest()
    assert {answer.set_id: answer.WhichOneof("outcome") for answer in answers} == dict.fromkeys(
        "ab", "error"
    )
    assert len(answers) == 2


async def test_a_bad_set_is_answered_with_its_error_and_harms_no_other(stream):
    stream.send("good", "1", num_candidates=2)
    stream.send("bad", "1", num_candidates=2, top_n=-1)
    answer = await stream.next()
    assert (answer.set_id, answer.error.code) == ("bad", 3)
    assert "top_n: -1" in answer.error.message
    stream.send("bad", "2")  # was on its way, and is ignored
    stream.send("good", "2")
    assert logits(await stream.next()) == [2, 1]
    assert await stream.rest() == []


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "in another piece"])
async def test_one_candidate_more_than_declared_is_an_error_of_the_set(together):
    engine = ScriptedEngine(is_held=True)
    stream = Stream(engine)
    if together:
        stream.send("a", "1", "2", "3", num_candidates=2)
    else:
        stream.send("a", "1", "2", num_candidates=2)
        stream.send("a", "3")
    waiting = asyncio.create_task(stream.next())
    while not (engine.held or waiting.done()):
        await settled()
    while engine.held:
        await engine.answer()
    answer = await waiting
    assert answer.error.code == 3
    assert "3 have come, set.num_candidates declared 2" in answer.error.message


@pytest.mark.parametrize("declared", [0, -1, -50])
async def test_a_set_of_no_candidates_is_refused_and_frees_no_places(stream, declared):
    stream.send("a", num_candidates=declared)
    answer = await stream.next()
    assert answer.error.code == 3
    assert answer.error.message.startswith("set.num_candidates: ")
    with stream.arbiter.admitted(MAX_QUEUED):
        pass


async def test_too_many_candidates_declared_are_refused_with_the_limit(stream):
    stream.send("a", num_candidates=21)
    assert "set.num_candidates: 21 given, at most 20" in (await stream.next()).error.message


async def test_places_are_reserved_with_the_first_piece_or_the_set_is_refused(stream):
    for name in "abc":
        stream.send(name, "1", num_candidates=20)
    answer = await stream.next()
    assert (answer.set_id, answer.error.code) == ("c", 8)
    info, retry = answer.error.details
    assert retry.type_url.endswith("google.rpc.RetryInfo")
    assert ErrorInfo.FromString(info.value).metadata["limit_name"] == "max_queued_pairs"


@pytest.mark.parametrize(
    ("set_id", "size"), [("", 0), ("x" * 129, 129), ("é" * 65, 130)], ids=["empty", "long", "bytes"]
)
async def test_a_set_id_that_is_none_is_refused(stream, set_id, size):
    stream.send(set_id, "1", num_candidates=1)
    answer = await stream.next()
    assert f"set_id: {size} bytes given, 1 to 128" in answer.error.message
    assert answer.set_id == ""


async def test_a_set_id_of_any_length_is_refused_in_a_short_answer_and_leaves_nothing(stream):
    for _ in range(3):
        stream.send("x" * 10_000_000, "1", num_candidates=2)
    for _ in range(3):
        assert (await stream.next()).ByteSize() < 1_000
    assert stream.bytes_in_flight.num_bytes < 1_000
    assert await stream.rest() == []


async def test_a_header_given_again_is_an_error_and_the_set_goes_on(stream):
    stream.send("a", "1", num_candidates=2)
    stream.send("a", "9", num_candidates=9)
    answer = await stream.next()
    assert (answer.set_id, answer.error.code) == ("a", 3)
    assert "set: given again for set_id 'a'" in answer.error.message


async def test_a_first_piece_without_a_header_is_an_error(stream):
    stream.send("a", "1")
    assert "set: unset, but set_id 'a' begins" in (await stream.next()).error.message


@pytest.mark.parametrize("outcome", ["answered", "refused"])
async def test_a_set_id_may_be_used_again_once_answered(stream, outcome):
    stream.send("a", "1", num_candidates=1, top_n=0 if outcome == "answered" else -1)
    assert (await stream.next()).WhichOneof("outcome") == (
        "result" if outcome == "answered" else "error"
    )
    stream.send("a", "2", num_candidates=1)
    assert logits(await stream.next()) == [2]


async def test_sets_that_are_not_complete_when_the_client_ends_are_answered_so(stream):
    stream.send("a", "1", num_candidates=3)
    stream.send("b", "1", num_candidates=1)
    answers = {answer.set_id: answer for answer in await stream.rest()}
    assert logits(answers["b"]) == [1]
    assert answers["a"].error.code == 3
    assert "1 have come of the 3 declared" in answers["a"].error.message


async def test_what_ends_the_call_is_raised_with_the_number_of_the_piece(stream):
    stream.send("a", "1", num_candidates=2)
    stream.end(InvalidRequestError("not a message"))
    with pytest.raises(InvalidRequestError, match="not a message") as raised:
        await stream.next()
    assert raised.value.facts == {"piece": 2}


async def test_a_caller_that_goes_away_frees_the_places_of_its_sets(stream):
    stream.send("a", "1", num_candidates=20)
    stream.send("b", "1", num_candidates=1)
    await stream.next()
    await stream.answers.aclose()
    await settled()
    with stream.arbiter.admitted(MAX_QUEUED):
        pass


async def test_of_a_client_that_reads_slowly_no_more_is_read(stream, monkeypatch):
    monkeypatch.setattr(set_stream, "_MAX_WAITING_BYTES", 1)
    for number in range(5):
        stream.send(f"out of turn {number}", "1")
    assert (await stream.next()).set_id == "out of turn 0"
    await settled()
    assert stream._pieces.qsize() == 4
    assert [answer.set_id for answer in await stream.rest()] == [
        f"out of turn {number}" for number in range(1, 5)
    ]


# --- what a call keeps ---------------------------------------------------------------------------


async def test_pieces_count_from_when_they_are_read_until_their_set_is_answered(stream):
    stream.send("a", "1".ljust(90), num_candidates=2)
    stream.send("sign", num_candidates=-1)
    refusal = await stream.next()  # not taken yet
    await settled()
    assert 90 < stream.bytes_in_flight.num_bytes - refusal.ByteSize() < 110
    stream.send("a", "2")
    assert logits(await stream.next()) == [2, 1]
    assert await stream.rest() == []
    assert stream.bytes_in_flight.num_bytes == 0


async def test_answers_count_until_they_are_taken(stream):
    for number in range(10):
        stream.send(str(number), "1", num_candidates=-1)
    await stream.next()
    await settled()
    assert stream.bytes_in_flight.num_bytes > 9 * 50  # each says what is wrong
    assert len(await stream.rest()) == 9
    assert stream.bytes_in_flight.num_bytes == 0


@pytest.mark.parametrize("pieces", [1, 2], ids=["with its first piece", "with a later piece"])
async def test_a_set_that_is_too_large_for_what_is_left_is_refused_alone(stream, pieces):
    text = "1" * (MAX_BYTES + 1)
    stream.send("good", "1", num_candidates=2)
    if pieces == 1:
        stream.send("large", text, num_candidates=3)
    else:
        stream.send("large", "1", num_candidates=3)
        stream.send("large", text)
    answer = await stream.next()
    assert (answer.set_id, answer.error.code) == ("large", 8)
    assert answer.error.message.startswith("bytes: ")
    assert stream.bytes_in_flight.num_bytes < 1_000
    stream.send("good", "2")
    assert logits(await stream.next()) == [2, 1]


async def test_pieces_of_a_refused_set_that_come_later_are_not_kept(stream):
    stream.send("a", num_candidates=5, top_n=-1)
    assert (await stream.next()).error.code == 3
    for _ in range(20):
        stream.send("a", "1" * 10_000)
    stream.send("sign", num_candidates=-1)
    assert (await stream.next()).set_id == "sign"
    assert await stream.rest() == []
    assert stream.bytes_in_flight.num_bytes == 0


async def test_of_sets_that_failed_a_bounded_number_is_remembered(stream, monkeypatch):
    monkeypatch.setattr(set_stream, "_MAX_FAILED_IDS", 2)
    for name in "abc":
        stream.send(name, "1", num_candidates=2, top_n=-1)
        assert (await stream.next()).error.code == 3
    for name in "cba":
        stream.send(name, "2")
    (answer,) = await stream.rest()
    assert answer.set_id == "a"
    assert "set: unset, but set_id 'a' begins" in answer.error.message


async def test_one_more_set_that_waits_for_pieces_than_may_is_refused(stream, monkeypatch):
    monkeypatch.setattr(set_stream, "_MAX_INCOMPLETE_SETS", 2)
    for name in "abc":
        stream.send(name, "1", num_candidates=2)
    answer = await stream.next()
    assert (answer.set_id, answer.error.code) == ("c", 8)
    assert "2 sets of this call wait for more pieces" in answer.error.message
    stream.send("whole", "1", num_candidates=1)
    assert logits(await stream.next()) == [1]
    stream.send("a", "2")
    assert logits(await stream.next()) == [2, 1]
    stream.send("c", "1", num_candidates=2)
    stream.send("c", "3")
    assert logits(await stream.next()) == [3, 1]


async def test_while_many_whole_sets_wait_no_more_are_read(monkeypatch):
    monkeypatch.setattr(set_stream, "_MAX_WHOLE_SETS", 2)
    engine = ScriptedEngine(is_held=True)
    stream = Stream(engine)
    for number in range(5):
        stream.send(str(number), "1", num_candidates=1)
    stream.end()
    answers = asyncio.create_task(collected(stream))
    while not engine.held:
        await settled()
    await settled()
    assert stream._pieces.qsize() == 4  # of which one is the end
    while not answers.done():
        while engine.held:
            await engine.answer()
        await settled()
    assert {answer.set_id for answer in answers.result()} == set("01234")


async def collected(stream: Stream) -> list[rerank_pb2.RerankStreamResponse]:
    return [answer async for answer in stream.answers]


async def test_an_id_of_a_candidate_that_is_too_long_is_refused(stream):
    candidate = rerank_pb2.Candidate(text="1", id="i" * 513)
    piece = rerank_pb2.RerankStreamRequest(set_id="a", candidates=[candidate])
    piece.set.CopyFrom(rerank_pb2.RerankSet(query="0", num_candidates=1))
    stream._pieces.put_nowait(piece)
    message = (await stream.next()).error.message
    assert message == "candidates[0].id: 513 bytes of UTF-8 given, at most 512; shorten it"


async def test_texts_that_do_not_fit_an_answer_are_refused_with_the_way_out(stream):
    stream.send("a", *["7".ljust(90)] * 20, num_candidates=20, return_text=True)
    answer = await stream.next()
    assert (answer.set_id, answer.error.code) == ("a", 8)
    assert "more than the 2,048 bytes of one answer" in answer.error.message
    assert "top_n" in answer.error.message
