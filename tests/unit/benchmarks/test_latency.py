"""A sweep puts one load after another on a server, and reports how far it is."""

import asyncio

import pytest

from twopass.benchmarks.latency import PARTS_OF_THROUGHPUT, Sweep, measure
from twopass.benchmarks.workload import Answer, Shape
from twopass.client import OverloadedError, UnavailableError

from .made import timings


class Models:
    """As much of a client as a sweep itself needs."""

    async def models(self):
        return ()


class Requests:
    """A workload that fails as told, and counts."""

    shape = Shape("Rerank", 1, "one pair")

    def __init__(self, failure=None, *, good=0):
        self._failure = failure
        self._good = good
        self.numbers = []

    def request(self, number):
        async def send(client):
            self.numbers.append(number)
            await asyncio.sleep(0.001)
            if self._failure and len(self.numbers) > self._good:
                raise self._failure
            return Answer(1, timings(total=0))

        return send


async def run(workload, told=None, **loads):
    sweep = Sweep(**{"seconds": 0.2, "warm_up_seconds": 0.05, "seed": 1} | loads)
    told = [] if told is None else told
    return await measure("here", Models(), workload, sweep, lambda *args: told.append(args))


async def test_each_load_has_its_figures():
    report = await run(Requests(), concurrencies=(1, 3), rates=(50.0,))
    assert [s.level for s in report.closed_loop] == [1, 3]
    assert [s.level for s in report.open_loop] == [50]
    assert all(s.requests_per_second > 0 for s in report.closed_loop)


async def test_rates_that_are_not_named_are_parts_of_the_highest_throughput():
    report = await run(Requests(), concurrencies=(1, 2), rates=None)
    highest = max(s.requests_per_second for s in report.closed_loop)
    assert [s.level for s in report.open_loop] == [part * highest for part in PARTS_OF_THROUGHPUT]


async def test_a_server_that_answers_nothing_under_load_has_no_rates():
    report = await run(Requests(OverloadedError("full"), good=1), concurrencies=(1,), rates=None)
    assert report.open_loop == ()
    (figures,) = report.closed_loop
    assert set(figures.errors) == {"RESOURCE_EXHAUSTED"}


async def test_a_first_request_that_fails_ends_the_sweep():
    workload = Requests(UnavailableError("nobody there"))
    with pytest.raises(UnavailableError, match="nobody there"):
        await run(workload, concurrencies=(1,), rates=())
    assert len(workload.numbers) == 1


async def test_no_request_is_sent_twice_in_a_whole_sweep():
    workload = Requests()
    await run(workload, concurrencies=(1, 2), rates=(100.0,))
    assert sorted(workload.numbers) == list(range(len(workload.numbers)))


async def test_progress_never_goes_back_nor_beyond_the_whole():
    told = []
    await run(Requests(), told, concurrencies=(1, 2), rates=(20.0,))
    seconds = [done for _, done in told]
    assert seconds == sorted(seconds)
    assert 0 <= seconds[0] <= seconds[-1] <= 3 * 0.25 + 1e-6
    assert list(dict.fromkeys(words for words, _ in told)) == [
        *("1 under way", "2 under way", "20 requests/s")
    ]


def test_the_length_of_a_sweep_is_known_before_its_rates_are():
    sweep = Sweep(concurrencies=(1, 2), rates=None, seconds=10, warm_up_seconds=2, seed=1)
    assert sweep.total_seconds == (2 + len(PARTS_OF_THROUGHPUT)) * 12
