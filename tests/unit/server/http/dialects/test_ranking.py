"""What becomes of texts before they are ranked."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.server.errors import InvalidRequestError
from twopass.server.http.dialects.ranking import (
    Caps,
    Order,
    RankTexts,
    Texts,
    cut_texts,
    read_texts,
    read_top_n,
    read_truncation,
)
from twopass.server.http.endpoint import HttpRequest
from twopass.server.models.passages import Limits, Truncation
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.reranking import Reranking
from twopass.server.search.second_pass import SecondPass

from ...scripted import NumberTokenizer, ScriptedEngine, scripted_reranker

LIMITS = Limits(max_candidates=3, max_documents=3, max_passage_bytes=16, max_query_bytes=12)
ANY_TEXT = st.text(max_size=30)


def order(**fields) -> Order:
    return Order(reranker=scripted_reranker(ScriptedEngine()), **fields)


def cut(reranker, texts: Texts, caps: Caps) -> Texts:
    tokenizing = Tokenizing(1)
    try:
        wanted = Order(reranker=reranker, caps=caps)
        return asyncio.run(cut_texts(tokenizing, texts, wanted, Request()))
    finally:
        tokenizing.close()


@given(ANY_TEXT, st.lists(ANY_TEXT, min_size=1, max_size=3))
def test_texts_are_cut_to_the_bytes_that_are_taken(query, passages):
    given_passages = list(passages)
    if not query.strip():
        query = "q" + query
    read = read_texts(query, passages, order(), LIMITS)
    for before, after, most in [
        (query, read.query, 12),
        *((a, b, 16) for a, b in zip(given_passages, read.passages, strict=True)),
    ]:
        assert len(after.encode()) <= most
        assert before.replace("\0", " ").startswith(after)
        assert len(before.encode()) <= most or len(after.encode()) > most - 4
        assert "\0" not in after
    assert read.query_was_cut == (len(read.query) < len(query))


def test_texts_that_are_not_to_be_cut_are_refused_by_name_with_their_size():
    whole = order(truncates=False, field="passages", way_out="set truncate to END")
    message = r"passages\[1\]: 17 bytes of UTF-8 given, at most 16; shorten it, or set truncate"
    with pytest.raises(InvalidRequestError, match=message):
        read_texts("1", ["2", "é" * 8 + "a"], whole, LIMITS)
    with pytest.raises(InvalidRequestError, match="query: 13 bytes of UTF-8 given, at most 12"):
        read_texts("1" * 13, ["2"], whole, LIMITS)
    refused = order(truncation=Truncation.REJECT)
    with pytest.raises(InvalidRequestError, match=r"documents\[0\]: 17 bytes"):
        read_texts("1", ["a" * 17], refused, LIMITS)


@pytest.mark.parametrize(("count", "ok"), [(0, False), (1, True), (3, True), (4, False)])
def test_a_request_has_at_least_one_text_and_no_more_than_the_limit(count, ok):
    if ok:
        read_texts("1", ["2"] * count, order(), LIMITS)
        return
    with pytest.raises(
        InvalidRequestError, match=r"documents: (none|4) given, at (least 1|most 3)"
    ):
        read_texts("1", ["2"] * count, order(), LIMITS)


@pytest.mark.parametrize(
    ("stated", "count", "read"), [(None, 5, 0), (0, 5, 0), (1, 5, 1), (5, 5, 5), (9, 5, 5)]
)
def test_so_many_of_the_best_are_wanted(stated, count, read):
    assert read_top_n("top_n", stated, count) == read


@pytest.mark.parametrize("stated", ["truncate", "MAX_WINDOW", "reject"])
def test_the_header_says_what_becomes_of_long_passages(stated):
    http = HttpRequest(method="POST", path="/", headers={"x-twopass-truncation": stated})
    assert read_truncation(http) is Truncation(stated.lower())
    assert read_truncation(HttpRequest(method="POST", path="/")) is None


@settings(max_examples=60, deadline=None)
@given(passage=st.text(max_size=60), most=st.integers(1, 20))
def test_a_passage_is_cut_before_the_first_token_that_is_too_many(reranker, passage, most):
    read = cut(reranker, Texts(query="q", passages=[passage]), Caps(passage=most)).passages[0]
    places = reranker.tokenizer.places(passage)
    if len(places) <= most:
        assert read == passage
    else:
        assert read == passage[: places[most, 0] or places[most, 1]]


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=60), most=st.integers(1, 20))
def test_a_query_that_is_cut_is_said_to_be(reranker, query, most):
    read = cut(reranker, Texts(query=query, passages=["p"]), Caps(query=most))
    assert read.query_was_cut == (len(reranker.tokenizer.places(query)) > most)
    assert (read.query != query) == read.query_was_cut


@pytest.mark.parametrize(
    ("caps", "passages", "read"),
    [
        (Caps(passage=2), ["1 2 3", "1"], ["1 2 ", "1"]),
        (
            Caps(pair=8),
            ["1 2 3 4 5 6 7 8"],
            ["1 2 3 4 "],
        ),  # beside the query and three special ones
        (Caps(pair=4), ["1 2 3"], ["1 "]),  # at least one token is left
        (Caps(pair=8, passage=2), ["1 2 3"], ["1 2 "]),
        (Caps(passage=9), ["1 2 3"], ["1 2 3"]),
    ],
)
def test_passages_are_cut_as_a_request_says(caps, passages, read):
    texts = Texts(query="7", passages=passages)
    assert cut(scripted_reranker(ScriptedEngine()), texts, caps).passages == read


@pytest.fixture
def ranking():
    arbiter, tokenizing = Arbiter(max_queued_pairs=20), Tokenizing(1)
    engine = ScriptedEngine()
    model = scripted_reranker(engine, max_passage_tokens=4)
    parts = type("Parts", (), {})()
    parts.arbiter, parts.tokenizing = arbiter, tokenizing
    parts.reranking = Reranking(Models([model]), arbiter, tokenizing, SecondPass(arbiter))
    ranks = RankTexts(parts)

    async def rank(passages: list[str], **fields):
        wanted = Order(reranker=model, **fields)
        return await ranks.rank(Texts(query="0", passages=passages), wanted, Request())

    yield rank
    tokenizing.close()


LONG = "1 1 1 1 9 9 9 9"


@pytest.mark.parametrize(
    ("fields", "logit"),
    [
        ({}, 4),
        ({"caps": Caps(passage=3)}, 3),
        ({"caps": Caps(passage=8)}, 36),
        ({"caps": Caps(windows=5)}, 36),
        ({"caps": Caps(windows=1)}, 4),
        ({"caps": Caps(windows=1, passage=8)}, 4),
        ({"caps": Caps(windows=5), "truncation": Truncation.TRUNCATE}, 4),
        ({"truncation": Truncation.MAX_WINDOW}, 36),
    ],
    ids=str,
)
async def test_a_long_passage_is_cut_or_read_in_windows_as_a_request_wants(ranking, fields, logit):
    ranked = await ranking([LONG, "2"], **fields)
    assert ranked.logits.tolist() == [logit, 2]


async def test_what_is_not_to_be_cut_is_refused_in_the_words_of_the_dialect(ranking):
    message = r"passages\[1\]: longer than the 4 tokens that scripted reads .* or say so"
    for fields in ({"truncates": False}, {"truncation": Truncation.REJECT}):
        with pytest.raises(InvalidRequestError, match=message):
            await ranking(["1", LONG], field="passages", way_out="say so", **fields)
    assert (await ranking(["1 1 1 1"], truncates=False)).logits.tolist() == [4]


async def test_a_passage_without_tokens_is_scored(ranking):
    assert (await ranking(["", "3"])).order.tolist() == [1, 0]


def test_the_reference_tokenizer_cuts_at_numbers():
    assert NumberTokenizer().places("1 22").tolist() == [[0, 1], [2, 4]]
