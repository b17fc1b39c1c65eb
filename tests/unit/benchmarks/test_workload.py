"""Requests repeat for their number and seed, and no passage comes twice."""

import numpy as np
import pytest

from twopass.benchmarks.words import COMMON_WORDS
from twopass.benchmarks.workload import RerankWorkload, SearchWorkload, Texts

from ..client_results import rerank_result, search_result
from .made import timings


class RecordingClient:
    """Notes what it is asked, and answers with as much as the workload reads."""

    def __init__(self):
        self.asked = []

    async def rerank(self, *args, **kwargs):
        self.asked.append((*args, kwargs))
        return rerank_result(timings=timings(total=1))

    async def search(self, *args, **kwargs):
        self.asked.append((*args, kwargs))
        return search_result(timings=timings(total=1), num_reranked=5, num_cached=2)


def test_texts_repeat_for_their_seed_and_number():
    assert Texts(1).candidates(3, 5, 20) == Texts(1).candidates(3, 5, 20)
    assert Texts(1).candidates(3, 5, 20) != Texts(1).candidates(4, 5, 20)
    assert Texts(1).candidates(3, 5, 20) != Texts(2).candidates(3, 5, 20)


def test_every_passage_is_distinct():
    passages = [p for number in range(50) for p in Texts(1).candidates(number, 100, 100).passages]
    assert len(set(passages)) == len(passages)


def test_passages_have_about_as_many_tokens_as_they_were_asked_for(reranker):
    passages = Texts(1).candidates(0, 400, 100).passages
    lengths = reranker.tokenizer.encode(passages, 512).lengths
    assert lengths.min() >= 75
    assert lengths.max() <= 125
    assert np.mean(lengths) == pytest.approx(100, rel=0.03)


def test_each_common_word_is_one_token(reranker):
    assert set(reranker.tokenizer.encode(COMMON_WORDS, 8).lengths) == {1}
    assert len(set(COMMON_WORDS)) == len(COMMON_WORDS)


async def test_a_rerank_request_sends_its_candidates_and_counts_them_all():
    client = RecordingClient()
    workload = RerankWorkload(Texts(1), num_candidates=12, passage_tokens=8)
    answer = await workload.request(4)(client)
    ((query, passages, _),) = client.asked
    texts = Texts(1).candidates(4, 12, 8)
    assert (query, passages) == (texts.query, texts.passages)
    assert answer.num_pairs == workload.shape.num_candidates == 12


async def test_searches_take_queries_in_turn_and_refuse_first_pass_order():
    client = RecordingClient()
    workload = SearchWorkload("docs", ["a", "b"], num_candidates=5)
    answers = [await workload.request(number)(client) for number in range(3)]
    assert [query for _, query, _ in client.asked] == ["a", "b", "a"]
    assert all(not options["allow_fallback"] for *_, options in client.asked)
    assert {(answer.num_pairs, answer.num_cached) for answer in answers} == {(5, 2)}


@pytest.mark.parametrize("candidates", [1, 10, 50])
async def test_a_search_never_wants_more_hits_than_candidates(candidates):
    client = RecordingClient()
    await SearchWorkload("docs", ["a"], num_candidates=candidates).request(0)(client)
    ((*_, options),) = client.asked
    assert options["top_n"] <= options["retrieve"].k == candidates
