"""What the second pass did to a search, from the objects of the search."""

import numpy as np
import pytest

from twopass.server.search.candidates import Candidates
from twopass.server.search.effect import effect_of
from twopass.server.search.ranking import Ranking, ranked
from twopass.server.search.second_pass import ScoredPairs
from twopass.server.search.types import (
    RerankSettings,
    RerankStatus,
    RetrieveSettings,
    SearchQuery,
)
from twopass.server.telemetry.relevance import MAX_TOP


def searched(logits, *, positions=None, num_candidates=None, min_score=None, blend=0.0):
    """Candidates and their ranking, scored in the order of `positions`."""
    num_candidates = len(logits) if num_candidates is None else num_candidates
    order = np.arange(num_candidates, dtype=np.int32)
    positions = order if positions is None else np.array(positions, np.int32)
    first_pass = np.linspace(1, 0, num_candidates).astype(np.float32)
    logits = np.array(logits, np.float32)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    truncated = np.arange(len(logits)) % 2 == 1
    scored = ScoredPairs(logits, scores, truncated, 0, 0.0, 0.0, np.zeros(len(logits), np.bool_))
    ranking = ranked(scored, positions, first_pass, blend, min_score)
    reading = np.concatenate([positions, np.setdiff1d(order, positions)]).astype(np.int32)
    return Candidates(order.astype(np.int64), first_pass, reading), ranking


def query(*, top_n=10, offset=0, min_score=None):
    return SearchQuery(
        collection="docs",
        text="which one",
        top_n=top_n,
        offset=offset,
        retrieve=RetrieveSettings(),
        rerank=RerankSettings(min_score=min_score),
    )


def test_hits_are_named_by_their_places_in_the_first_pass():
    effect = effect_of(query(top_n=3), *searched([0.0, 3.0, -1.0, 2.0]), 0.01)
    assert effect.top == [1, 3, 0]
    assert effect.top_score == pytest.approx(1 / (1 + np.exp(-3)))
    assert effect.margin == pytest.approx(1.0)
    assert (effect.num_read, effect.num_truncated, effect.seconds) == (4, 2, 0.01)


def test_the_reach_follows_the_order_in_which_candidates_are_read():
    found = searched([0.0, 1.0, 3.0, 2.0], positions=[0, 3, 1, 2])
    effect = effect_of(query(), *found, 0.0)
    assert effect.top[:3] == [1, 2, 3]
    assert effect.reach == 4  # candidate 2 is read fourth


def test_a_later_page_is_not_compared():
    effect = effect_of(query(offset=10), *searched([0.0, 3.0]), 0.0)
    assert (effect.top, effect.reach) == ([], 0)
    assert effect.num_read == 2


def test_no_more_hits_are_compared_than_is_worth_the_time():
    effect = effect_of(query(top_n=500), *searched(np.arange(300.0)), 0.0)
    assert len(effect.top) == MAX_TOP


def test_the_best_candidate_is_the_best_even_where_min_score_leaves_it_out():
    found = searched([-3.0, -2.0, -4.0], min_score=0.9)
    effect = effect_of(query(min_score=0.9), *found, 0.0)
    assert (effect.top, effect.num_below, effect.has_min_score) == ([], 3, True)
    assert effect.top_score == pytest.approx(1 / (1 + np.exp(2)), rel=1e-5)
    assert effect.margin == pytest.approx(1.0)


def test_one_candidate_has_no_margin():
    effect = effect_of(query(), *searched([1.0]), 0.0)
    assert (effect.top, effect.margin, effect.reach) == ([0], None, 1)


def test_a_blend_may_put_a_lower_logit_first():
    effect = effect_of(query(), *searched([1.0, 1.1, -9.0], blend=0.9), 0.0)
    assert effect.top[0] == 0
    assert effect.margin == pytest.approx(-0.1, abs=1e-6)


def test_a_part_that_was_read_comes_first_and_counts_alone():
    found = searched([0.0, 1.0], positions=[0, 1, 2, 3], num_candidates=4)
    assert found[1].status is RerankStatus.PARTIAL
    effect = effect_of(query(), *found, 0.0)
    assert (effect.top, effect.num_read) == ([1, 0, 2, 3], 2)


def test_a_search_without_a_second_pass_has_no_effect():
    candidates, _ = searched([0.0, 1.0])
    ranking = Ranking.of_first_pass(2, RerankStatus.SKIPPED_DEADLINE)
    assert effect_of(query(), candidates, ranking, 0.0) is None
