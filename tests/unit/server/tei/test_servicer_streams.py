import asyncio
from collections.abc import AsyncIterator

import pytest

from twopass.server.errors import InvalidRequestError, OverloadedError, QuotaError
from twopass.server.request import BytesInFlight, Request
from twopass.server.tei.servicers.streams import answers_in_order, when_admitted
from twopass.tei.v1 import tei_pb2

from ..scripted import settled

# Of the event loop: far more than messages take to be under way as far as they may.
TURNS = 2_000


class Answering:
    """Answers each message with its text, when the test lets it.

    Attributes:
        begun: The texts whose answering has begun.
        may_end: By the text: set where the answer may come.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end: dict[str, asyncio.Event] = {}

    async def __call__(self, message: tei_pb2.DecodeResponse, request: Request) -> object:
        self.begun.append(message.text)
        if message.text in self.may_end:
            await self.may_end[message.text].wait()
        return message


async def sent(*texts: str) -> AsyncIterator[tei_pb2.DecodeResponse]:
    for text in texts:
        yield tei_pb2.DecodeResponse(text=text)


def answers(messages, answer, request=None, num_bytes=0) -> AsyncIterator[tei_pb2.DecodeResponse]:
    return answers_in_order(messages, answer, request or Request(), lambda _: num_bytes)


async def test_answers_have_the_order_of_the_messages_whichever_is_done_first():
    answering = Answering()
    answering.may_end = {"a": asyncio.Event()}
    stream = answers(sent("a", "b", "c"), answering)
    first = asyncio.ensure_future(anext(stream))
    await settled(TURNS)
    assert answering.begun == ["a", "b", "c"]
    assert not first.done()
    answering.may_end["a"].set()
    assert [(await first).text, *[each.text async for each in stream]] == ["a", "b", "c"]


async def test_many_are_under_way_but_not_all():
    answering = Answering()
    texts = list(map(str, range(1_000)))
    answering.may_end = {"0": asyncio.Event()}
    stream = answers(sent(*texts), answering)
    first = asyncio.ensure_future(anext(stream))
    await settled(TURNS)
    assert len(answering.begun) == 256
    answering.may_end["0"].set()
    await first
    assert len([each async for each in stream]) == 999


async def test_messages_and_their_answers_count_as_kept_until_they_are_read():
    kept = BytesInFlight()
    request = Request(bytes_in_flight=kept)
    request.message_bytes = 10
    stream = answers(sent("a", "b"), Answering(), request, num_bytes=90)
    await anext(stream)
    await settled(TURNS)
    assert kept.num_bytes == 200
    await anext(stream)
    assert kept.num_bytes == 100
    assert [each async for each in stream] == []
    assert kept.num_bytes == 0


async def test_no_more_is_read_while_large_answers_wait():
    megabyte, answering = 1024 * 1024, Answering()
    stream = answers(sent(*map(str, range(100))), answering, num_bytes=megabyte)
    await anext(stream)
    await settled(TURNS)
    assert len(answering.begun) == 16
    assert len([each async for each in stream]) == 99


async def test_what_does_not_fit_beside_other_calls_ends_the_stream():
    request = Request(bytes_in_flight=BytesInFlight(250))
    stream = answers(sent("a", "b", "c"), Answering(), request, num_bytes=100)
    got = [await anext(stream), await anext(stream)]
    assert [each.text for each in got] == ["a", "b"]
    with pytest.raises(OverloadedError, match="bytes"):
        await anext(stream)


async def test_an_error_comes_after_the_answers_before_it_and_names_its_message():
    async def answer(message, request):
        if message.text == "bad":
            raise InvalidRequestError("inputs: it is bad")
        return message

    stream = answers(sent("a", "bad", "c"), answer)
    assert (await anext(stream)).text == "a"
    with pytest.raises(InvalidRequestError, match=r"^inputs: it is bad$") as raised:
        await anext(stream)
    assert raised.value.facts == {"field": "inputs", "message": 2}


async def test_work_of_a_stream_that_is_not_read_on_is_cancelled():
    answering = Answering()
    answering.may_end = {"b": asyncio.Event()}
    stream = answers(sent("a", "b"), answering)
    await anext(stream)
    await settled(TURNS)
    await stream.aclose()
    assert len(asyncio.all_tasks()) == 1


class Full:
    """Refuses a number of times, then does the work."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.left, self.tries = error, times, 0

    async def __call__(self) -> str:
        self.tries += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


async def test_work_that_the_queue_has_no_room_for_waits():
    work = Full(OverloadedError("queue: full", retry_after=0.001), times=3)
    assert await when_admitted(work) == "done"
    assert work.tries == 4


@pytest.mark.parametrize(
    "error",
    [
        OverloadedError("queue: smaller than this", retry_after=None),
        QuotaError("calls: used up", retry_after=0.001),
        InvalidRequestError("inputs: bad"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_no_waiting_mends_is_raised(error):
    work = Full(error, times=1)
    with pytest.raises(type(error)):
        await when_admitted(work)
    assert work.tries == 1
