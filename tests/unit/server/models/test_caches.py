import asyncio
import dataclasses
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.models import tokenizing as module
from twopass.server.models.caches import ByteCache
from twopass.server.models.passages import Truncation
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.telemetry.metrics import Metrics

from ..scripted import NumberTokenizer, ScriptedEngine, scripted_reranker


def cache_of(max_bytes: int) -> ByteCache:
    return ByteCache("test", max_bytes, Metrics())


def test_the_least_recently_used_is_forgotten_first():
    cache = cache_of(3)
    cache.put_all((key, key.upper(), 1) for key in "abc")
    assert cache.get_all(["a"]) == ["A"]
    cache.put_all([("d", "D", 1)])
    assert cache.get_all(list("abcd")) == ["A", None, "C", "D"]


@pytest.mark.parametrize("max_bytes", [0, 5])
def test_what_is_larger_than_the_cache_is_not_kept(max_bytes):
    cache = cache_of(max_bytes)
    cache.put_all([("a", "A", max_bytes + 1)])
    assert cache.get_all(["a"]) == [None]
    assert cache.num_bytes == 0


@given(
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=60),
)
def test_it_never_holds_more_than_it_may_and_counts_right(max_bytes, puts):
    cache = cache_of(max_bytes)
    sizes: dict[int, int] = {}
    for key, size in puts:
        cache.put_all([(key, (key, size), size)])
        if size <= max_bytes:
            sizes[key] = size
        assert cache.num_bytes <= max_bytes
    found = [(key, value) for key in sizes if (value := cache.get_all([key])[0])]
    assert all(value == (key, sizes[key]) for key, value in found)
    assert cache.num_bytes == sum(sizes[key] for key, _ in found)


def test_hits_and_misses_are_counted():
    metrics = Metrics()
    cache: ByteCache = ByteCache("test", 10, metrics)
    cache.put_all([("a", "A", 1)])
    cache.get_all(["a", "b", "a"])
    for result, count in (("hit", 2), ("miss", 1)):
        labels = {"cache": "test", "result": result}
        assert metrics.registry.get_sample_value("twopass_cache_lookups_total", labels) == count


class CountingTokenizer(NumberTokenizer):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts, max_tokens):
        self.asked.append(list(texts))
        return super().encode(texts, max_tokens)


@given(st.lists(st.lists(st.sampled_from(["1 2", "3", "4 5 6", "7 8"]), max_size=6), max_size=5))
def test_tokens_of_passages_are_the_same_from_the_cache(calls):
    async def scenario() -> None:
        reranker = scripted_reranker(ScriptedEngine())
        cached, plain = Tokenizing(1, cache_of(10_000)), Tokenizing(1)
        for passages, truncation in product(calls, Truncation):
            first = await cached.passage_ids(reranker, passages, truncation)
            second = await plain.passage_ids(reranker, passages, truncation)
            np.testing.assert_array_equal(first.token_ids, second.token_ids)
            np.testing.assert_array_equal(first.offsets, second.offsets)
        cached.close()
        plain.close()

    asyncio.run(scenario())


async def test_a_passage_that_comes_again_is_not_tokenised_again():
    tokenizer = CountingTokenizer()
    reranker = dataclasses.replace(scripted_reranker(ScriptedEngine()), tokenizer=tokenizer)
    tokenizing = Tokenizing(1, cache_of(10_000))
    await tokenizing.passage_ids(reranker, ["1", "2"], Truncation.TRUNCATE)
    await tokenizing.passage_ids(reranker, ["2", "3"], Truncation.TRUNCATE)
    await tokenizing.passage_ids(reranker, ["2"], Truncation.MAX_WINDOW)  # cut elsewhere
    assert tokenizer.asked == [["1", "2"], ["3"], ["2"]]
    tokenizing.close()


class QuickNumberTokenizer(CountingTokenizer):
    """Is quick at texts whose first number is even."""

    is_quick = True

    def encode_quickly(self, texts, max_tokens):
        left = [i for i, text in enumerate(texts) if int(text.split()[0]) % 2]
        known = ["" if i in left else text for i, text in enumerate(texts)]
        return NumberTokenizer().encode(known, max_tokens), left


@pytest.mark.parametrize("chunk_chars", [1, 4, 1_000])
async def test_a_quick_tokenizer_is_asked_anew_and_what_it_leaves_comes_from_the_cache(
    monkeypatch, chunk_chars
):
    monkeypatch.setattr(module, "_CHUNK_CHARS", chunk_chars)
    tokenizer = QuickNumberTokenizer()
    reranker = dataclasses.replace(scripted_reranker(ScriptedEngine()), tokenizer=tokenizer)
    cache = cache_of(10_000)
    tokenizing = Tokenizing(1, cache)
    texts = ["2 7", "1", "4", "3 8 9", "1"]
    for _ in range(2):
        found = await tokenizing.passage_ids(reranker, texts, Truncation.TRUNCATE)
        assert [found[i].tolist() for i in range(len(found))] == [[2, 7], [1], [4], [3, 8, 9], [1]]
    assert sorted(text for asked in tokenizer.asked for text in asked) == ["1", "1", "3 8 9"]
    assert len(cache) == 2
    tokenizing.close()
