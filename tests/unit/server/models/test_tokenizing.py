"""Tokenising ends soon after nobody needs it any more, and takes no thread for what is brief."""

import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.errors import StoppedError
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.models import tokenizing as module
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import Tokenizing

from ..scripted import NumberTokenizer, ScriptedEngine, scripted_reranker


class StoppingTokenizer(NumberTokenizer):
    """Sets a stop while it tokenises its first texts."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self.num_calls = 0

    def encode(self, texts, max_tokens):
        self.num_calls += 1
        self.stop.set()
        return super().encode(texts, max_tokens)

    def places(self, text):
        self.num_calls += 1
        self.stop.set()
        return super().places(text)


@pytest.fixture
def tokenizing():
    made = Tokenizing(1)
    yield made
    made.close()


@pytest.mark.parametrize("chunk_chars", [1, 2, 5, 1_000])
async def test_many_texts_have_the_tokens_that_each_has_alone(tokenizing, monkeypatch, chunk_chars):
    monkeypatch.setattr(module, "_CHUNK_CHARS", chunk_chars)
    texts = ["1 2", "", "3", "4 5 6 7", "", "8"]
    whole = NumberTokenizer().encode(texts, 3)
    found = await tokenizing.encode(NumberTokenizer(), texts, 3)
    np.testing.assert_array_equal(found.token_ids, whole.token_ids)
    np.testing.assert_array_equal(found.offsets, whole.offsets)
    assert len(await tokenizing.encode(NumberTokenizer(), [], 3)) == 0


async def test_texts_are_not_tokenised_further_once_that_is_stopped(tokenizing, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_CHARS", 4)
    stop = Stop()
    tokenizer = StoppingTokenizer(stop)
    with pytest.raises(StoppedError):
        await tokenizing.encode(tokenizer, ["1 2 3"] * 10, 9, stop)
    tokenizing.close()  # when what ran has ended
    assert tokenizer.num_calls == 1
    assert tokenizing.lane.num_running == 0


async def test_spans_are_not_looked_for_further_once_that_is_stopped(tokenizing):
    stop = Stop()
    tokenizer = StoppingTokenizer(stop)
    with pytest.raises(StoppedError):
        await tokenizing.spans(tokenizer, ["1 2"] * 3, np.array([[0, 1]] * 3, np.int32), stop)
    tokenizing.close()
    assert tokenizer.num_calls == 1


@given(
    numbers=st.lists(st.integers(0, 10**6), max_size=12),
    window=st.tuples(st.integers(0, 12), st.integers(1, 12)),
    spaces=st.sampled_from([" ", "   "]),
    piece_chars=st.integers(1, 40),
)
def test_a_window_stands_where_its_first_and_last_token_do(numbers, window, spaces, piece_chars):
    text, (first, length) = spaces.join(map(str, numbers)), window
    places = NumberTokenizer().places(text)[first : first + length].tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_CHARS", piece_chars)
        found = module._span(NumberTokenizer(), text, first, first + length, Stop())
    assert found == ((places[0][0], places[-1][1]) if places else (0, 0))


async def test_only_what_holds_a_window_is_looked_at_for_its_place(tokenizing, monkeypatch):
    """The end of a long document costs a window near its beginning nothing."""

    class Counting(NumberTokenizer):
        def places(self, text):
            read.append(text)
            return super().places(text)

    monkeypatch.setattr(module, "_PIECE_CHARS", 3)
    read = []
    windows = np.array([[2, 4]], np.int32)
    assert await tokenizing.spans(Counting(), ["1 2 3 4 5 6 7"], windows) == [(4, 7)]
    assert read == [" 3", " 4"]


async def test_what_nobody_needs_is_not_begun(tokenizing):
    stop = Stop()
    stop.set()
    reranker = scripted_reranker(ScriptedEngine())
    with pytest.raises(StoppedError):
        await tokenizing.pair_query(reranker, "1", stop=stop)
    with pytest.raises(StoppedError):
        await tokenizing.passage_ids(reranker, ["1"], Truncation.TRUNCATE, stop)


class Loop(NumberTokenizer):
    """Is quick, and tells which thread it is called in."""

    is_quick = True

    def __init__(self) -> None:
        self.threads: list[str] = []

    def encode(self, texts, max_tokens):
        self.threads.append(threading.current_thread().name)
        return super().encode(texts, max_tokens)


@pytest.mark.parametrize(
    ("query", "is_brief"),
    [("1 2", True), ("1 " * 512, True), ("1 " * 513, False), ("1\u00a02", False)],
    ids=["short", "longest", "too long", "beyond ASCII"],
)
async def test_a_brief_query_of_a_quick_tokenizer_takes_no_thread(tokenizing, query, is_brief):
    tokenizer = Loop()
    reranker = dataclasses.replace(scripted_reranker(ScriptedEngine()), tokenizer=tokenizer)
    await tokenizing.pair_query(reranker, query)
    begun = tokenizing.begun_pair_query(reranker, query, "", module._CUT, Stop())
    assert begun.done() is is_brief
    await begun
    assert [name == threading.current_thread().name for name in tokenizer.threads] == [is_brief] * 2


async def test_what_is_wrong_with_a_brief_query_is_told_where_it_is_awaited(tokenizing):
    reranker = dataclasses.replace(scripted_reranker(ScriptedEngine()), tokenizer=Loop())
    begun = tokenizing.begun_pair_query(reranker, " ", "", module._CUT, Stop())
    with pytest.raises(InvalidRequestError, match="no words"):
        await begun
    stopped = Stop()
    stopped.set()
    with pytest.raises(StoppedError):
        await tokenizing.begun_pair_query(reranker, "1", "", module._CUT, stopped)
