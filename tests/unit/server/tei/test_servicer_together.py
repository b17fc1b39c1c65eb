import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.errors import DeviceError
from twopass.server.errors import InvalidRequestError, OverloadedError
from twopass.server.request import Request
from twopass.server.tei.servicers.together import Asked, Together
from twopass.tei.v1 import tei_pb2

from ..scripted import settled

# Of the event loop: far more than messages take to be under way as far as they may.
TURNS = 500


def message(text: str, kind: bool = False) -> tei_pb2.EmbedRequest:
    return tei_pb2.EmbedRequest(inputs=text, truncate=kind)


class Answering:
    """Repeats texts; refuses all of a piece in which one begins with "bad".

    Attributes:
        pieces: The texts that were answered together.
        gate: Nothing is answered while it is closed.
    """

    def __init__(self) -> None:
        self.pieces: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, piece: Sequence[Asked], request: Request) -> list:
        texts = [asked.message.inputs for asked in piece]
        self.pieces.append(texts)
        await self.gate.wait()
        assert len({asked.message.truncate for asked in piece}) == 1
        if any(text.startswith("broken") for text in texts):
            raise DeviceError("gone")
        if any(text.startswith("bad") for text in texts):
            raise InvalidRequestError("inputs: bad")
        return [tei_pb2.DecodeResponse(text=text) for text in texts]


def together_of(answering: Answering, request: Request | None = None) -> Together:
    return Together(answering, lambda asked: asked.truncate, request or Request())


async def told(together: Together, asked: tei_pb2.EmbedRequest) -> str:
    try:
        return (await together.answer(asked, Request())).text
    except (InvalidRequestError, DeviceError) as error:
        return type(error).__name__


async def answers(together: Together, *messages: tei_pb2.EmbedRequest) -> list[str]:
    return list(await asyncio.gather(*(told(together, each) for each in messages)))


async def test_a_message_that_is_alone_is_answered_alone():
    answering = Answering()
    together = together_of(answering)
    for text in ("a", "b"):
        assert await answers(together, message(text)) == [text]
    assert answering.pieces == [["a"], ["b"]]


async def test_what_comes_while_others_are_answered_is_answered_together():
    answering = Answering()
    answering.gate.clear()
    together = together_of(answering)
    texts = [str(i) for i in range(300)]
    running = asyncio.ensure_future(answers(together, *map(message, texts)))
    await settled(TURNS)
    assert list(map(len, answering.pieces)) == [64, 64, 64, 64]
    answering.gate.set()
    assert await running == texts
    assert list(map(len, answering.pieces)) == [64, 64, 64, 64, 44]
    assert [text for piece in answering.pieces for text in piece] == texts


async def test_a_message_that_comes_just_when_the_others_are_done_is_answered_too():
    together = together_of(Answering())
    for _ in range(20):
        running = [asyncio.ensure_future(told(together, message(text))) for text in "abcd"]
        for pauses in range(6):
            running.append(asyncio.ensure_future(told(together, message(f"late {pauses}"))))
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            assert await asyncio.gather(*running) == [*"abcd", *(f"late {i}" for i in range(6))]


async def test_messages_that_ask_for_different_things_are_answered_apart():
    answering = Answering()
    messages = [message("a"), message("b"), message("c", True), message("d")]
    assert await answers(together_of(answering), *messages) == ["a", "b", "c", "d"]


async def test_a_bad_message_spoils_no_other():
    answering = Answering()
    texts = ["a", "bad", "c", "bad too", "e"]
    expected = ["a", "InvalidRequestError", "c", "InvalidRequestError", "e"]
    assert await answers(together_of(answering), *map(message, texts)) == expected


async def test_an_engine_that_fails_is_told_to_all():
    answering = Answering()
    texts = ["a", "broken", "c"]
    assert await answers(together_of(answering), *map(message, texts)) == ["DeviceError"] * 3
    assert len(answering.pieces) == 1


async def test_more_than_fit_a_queue_together_are_answered_one_by_one():
    sizes = []

    async def answer_all(piece: Sequence[Asked], request: Request) -> list:
        sizes.append(len(piece))
        if len(piece) > 1:
            raise OverloadedError("queue: smaller than that", retry_after=None)
        return [tei_pb2.DecodeResponse(text=piece[0].message.inputs)]

    together = Together(answer_all, lambda _: None, Request())
    assert await answers(together, *map(message, "abc")) == ["a", "b", "c"]
    assert sizes == [3, 1, 1, 1]


async def test_what_is_under_way_ends_with_the_call():
    answering, request = Answering(), Request()
    answering.gate.clear()
    running = asyncio.ensure_future(answers(together_of(answering, request), message("a")))
    await settled(TURNS)
    request.close()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(asyncio.all_tasks()) == 1


async def test_messages_whose_caller_has_gone_are_not_answered():
    answering = Answering()
    answering.gate.clear()
    together = together_of(answering)
    first = []
    for text in "abcd":  # as many as are worked on at once
        first.append(asyncio.ensure_future(told(together, message(text))))
        await settled(TURNS)
    late = asyncio.ensure_future(told(together, message("late")))
    await settled(TURNS)
    late.cancel()
    answering.gate.set()
    await asyncio.gather(*first)
    assert not any("late" in piece for piece in answering.pieces)


@given(
    st.lists(
        st.tuples(st.sampled_from(["good", "bad"]), st.booleans(), st.booleans()), max_size=150
    )
)
def test_each_message_is_answered_as_if_it_were_alone(plan):
    """Whatever others ask for, whichever are bad, and whenever they come."""

    async def run() -> list[str]:
        together = together_of(Answering())
        running = []
        for i, (word, kind, pauses) in enumerate(plan):
            running.append(asyncio.ensure_future(told(together, message(f"{word} {i}", kind))))
            if pauses:
                await asyncio.sleep(0)
        return [await each for each in running]

    expected = [
        f"good {i}" if word == "good" else "InvalidRequestError"
        for i, (word, _, _) in enumerate(plan)
    ]
    assert asyncio.run(run()) == expected
