"""Milliseconds are those of searches that no cache of the server knows."""

import pytest

from twopass.evaluation.tuning.arithmetic import order, qualities
from twopass.evaluation.tuning.pace import TOP_N, measured_pace, never_asked
from twopass.evaluation.tuning.trial import timed

from ...benchmarks.made import timings
from ...client_results import search_result
from .made import READERS, grid, query

TEXTS = ("Why is the sky blue?", "What makes bread rise?")


class Remembering:
    """A server that knows what it was asked: a search takes 10 ms, and one for each new pair."""

    def __init__(self, queries=None):
        self._queries = queries or {}
        self._read = {(text, reader) for text in TEXTS for reader in READERS}

    def __call__(self, text, way):
        asked = text, way.reader
        num_pairs = 0 if way.reader is None or asked in self._read else way.depth
        self._read.add(asked)
        hits = order(self._queries[text], way, -1.0)[:TOP_N] if text in self._queries else ()
        return search_result(*hits, timings=timings(total=10.0 + num_pairs), num_candidates=way.k)


def test_a_text_that_was_never_asked_keeps_its_words():
    asked = {never_asked(TEXTS[0]) for _ in range(50)}
    assert len(asked) == 50
    assert all(text.endswith(f" {TEXTS[0]}") for text in asked)
    assert not any(mark.isalnum() for text in asked for mark in text.removesuffix(TEXTS[0]))


def test_a_pair_takes_its_time_though_the_server_has_read_it_before():
    pace = measured_pace(Remembering(), TEXTS, grid(), lambda _: None)
    for reader in READERS:
        assert pace.second[reader] == pytest.approx((0.0, 1.0))


def test_ways_are_timed_by_new_texts_and_held_to_the_arithmetic_by_the_queries_as_they_stand():
    queries = {text: query(text, number) for number, text in enumerate(TEXTS)}
    ways = [way for way in qualities(list(queries.values()), grid(), -1.0).ways if way.reader][::9]
    times = timed(Remembering(queries), list(queries.items()), ways, -1.0, lambda _: None)
    for way in ways:
        assert times[way].milliseconds == 10 + way.depth
        assert times[way].agreement == 1


def test_orders_of_other_documents_are_not_compared():
    one = query("q", 1)
    (way,) = [way for way in qualities([one], grid(), -1.0).ways if way.reader][:1]
    times = timed(Remembering(), [(TEXTS[0], one)], [way], -1.0, lambda _: None, is_compared=False)
    assert times[way].agreement is None
    assert times[way].milliseconds == 10 + way.depth
