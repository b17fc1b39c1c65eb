"""Which graphs are held: captured at start, when missed, within memory; and given up at once."""

import pytest

from twopass.engines.errors import OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.graphs.cache import GraphCache
from twopass.engines.gpu.pytorch.graphs.keys import GraphKey

KEYS = [GraphKey(tokens, 1, 512) for tokens in range(8, 808, 8)]
MANY_MISSES = 20
WHILE = 2.0  # a hundred times as long as a capture takes, in seconds


class Device:
    """Captures at a price in memory and time, or fails."""

    def __init__(self, free=1_000):
        self.free, self.now = free, 0.0
        self.bytes_each, self.seconds_each = 10, 0.02
        self.held, self.captured = [], []
        self.error = None

    def capture(self, key):
        self.now += self.seconds_each
        if self.error is not None:
            raise self.error
        if self.free < self.bytes_each:
            raise OutOfDeviceMemoryError("no memory")
        self.free -= self.bytes_each
        self.captured.append(key)
        return _Graph(self, key)

    def cache(self, budget=500, **options):
        return GraphCache(
            self.capture, lambda: self.free, budget, clock=lambda: self.now, **options
        )


class _Graph:
    def __init__(self, device, key):
        self.device, self.key = device, key
        device.held.append(key)

    def replay(self):
        """Nothing to do."""

    def close(self):
        self.device.held.remove(self.key)
        self.device.free += self.device.bytes_each


@pytest.fixture
def device():
    return Device()


def missed(cache, key, times=2):
    for _ in range(times):
        assert cache.find(key) is None


def test_keys_are_captured_in_their_order_and_found(device):
    cache = device.cache()
    cache.warm_up(KEYS[:5])
    assert device.captured == KEYS[:5]
    assert [cache.find(key).key for key in KEYS[:5]] == KEYS[:5]
    assert (cache.num_replays, cache.num_misses) == (5, 0)


def test_capturing_at_start_ends_after_its_time(device):
    cache = device.cache()
    cache.warm_up(KEYS, seconds=0.09)
    assert len(cache) == 5


def test_capturing_ends_where_the_budget_does(device):
    cache = device.cache(budget=75)
    cache.warm_up(KEYS)
    assert len(cache) == 8  # the eighth went over it
    assert cache.is_on


def test_at_the_budget_a_missed_key_takes_the_place_of_that_used_least_lately(device):
    cache = device.cache(budget=30)
    cache.warm_up(KEYS[:3])
    cache.find(KEYS[0])
    device.now += 0.5  # nothing may be captured under load yet
    missed(cache, KEYS[9])
    assert not cache.capture_missed()  # it has to come oftener than that
    missed(cache, KEYS[9], times=14)
    assert cache.capture_missed()
    assert sorted(device.held, key=KEYS.index) == [KEYS[0], KEYS[2], KEYS[9]]


def test_no_more_are_held_than_the_most(device):
    cache = device.cache(max_graphs=2)
    for key in KEYS[:6]:
        missed(cache, key, times=15)
        cache.find(key)
        device.now += WHILE
        cache.capture_missed()
    assert device.held == KEYS[4:6]


def test_a_key_that_was_missed_once_is_not_captured(device):
    cache = device.cache()
    missed(cache, KEYS[0], times=1)
    assert not cache.capture_missed()
    missed(cache, KEYS[0], times=1)
    assert cache.capture_missed()
    assert cache.find(KEYS[0]) is not None
    assert not cache.capture_missed()


def test_what_was_missed_most_is_captured_first(device):
    cache = device.cache()
    missed(cache, KEYS[0], times=3)
    missed(cache, KEYS[1], times=5)
    missed(cache, KEYS[2], times=4)
    while cache.capture_missed():
        device.now += WHILE
    assert device.captured == [KEYS[1], KEYS[2], KEYS[0]]


def test_while_nothing_waits_capturing_takes_a_tenth_of_the_time(device):
    cache = device.cache()
    for key in KEYS[:3]:
        missed(cache, key)
    assert cache.capture_missed()
    assert not cache.capture_missed()  # what comes meanwhile would wait
    device.now += 10.1 * device.seconds_each
    assert cache.capture_missed()


def test_under_load_a_key_missed_often_is_captured_but_seldom(device):
    cache = device.cache()
    found = [cache.find(KEYS[0]) for _ in range(MANY_MISSES)]
    assert found[0] is None
    assert found[-1] is not None
    assert [cache.find(KEYS[1]) for _ in range(MANY_MISSES)] == [None] * MANY_MISSES
    device.now += WHILE
    assert cache.find(KEYS[1]) is not None


def test_memory_that_runs_out_leaves_the_graphs_that_there_are(device, caplog):
    device.free = 35
    cache = device.cache()
    cache.warm_up(KEYS[:5])
    assert device.held == KEYS[:3]
    assert cache.is_on
    assert [record.getMessage() for record in caplog.records] == [
        "3 CUDA graphs are held, the device's memory has no room for more: no memory"
    ]


def test_where_not_even_one_fits_none_is_tried_again(device):
    device.free = 0
    cache = device.cache()
    cache.warm_up(KEYS[:3])
    assert cache.is_on
    missed(cache, KEYS[0], times=MANY_MISSES)
    assert not cache.capture_missed()


@pytest.mark.parametrize("when", ["at start", "idle", "under load"])
def test_a_graph_that_can_not_be_captured_ends_all_with_one_log_line(device, caplog, when):
    cache = device.cache()
    cache.warm_up(KEYS[:2])
    device.now += WHILE
    device.error = ValueError("results differ")
    if when == "at start":
        cache.warm_up(KEYS[2:9])
    elif when == "idle":
        missed(cache, KEYS[5])
        cache.capture_missed()
    else:
        missed(cache, KEYS[5], times=MANY_MISSES)
    assert not cache.is_on
    assert device.held == []
    assert cache.find(KEYS[0]) is None
    assert not cache.capture_missed()
    [record] = caplog.records
    assert "off for this engine, it goes on without" in record.getMessage()
    assert "results differ" in record.getMessage()


def test_keys_without_end_are_not_counted_without_end(device):
    cache = device.cache()
    for tokens in range(1, 5_000):
        missed(cache, GraphKey(tokens, 1, 512), times=1)
    assert len(cache._misses) <= 1_024


def test_a_graph_that_does_not_close_keeps_no_other_from_it(device, caplog, monkeypatch):
    cache = device.cache()
    cache.warm_up(KEYS[:3])

    def close(graph):
        if graph.key == KEYS[1]:
            raise RuntimeError("illegal address")
        device.held.remove(graph.key)

    monkeypatch.setattr(_Graph, "close", close)
    cache.close()
    assert device.held == [KEYS[1]]
    assert "not closed cleanly: illegal address" in caplog.text


def test_closing_gives_all_back(device):
    cache = device.cache()
    cache.warm_up(KEYS[:3])
    cache.close()
    assert device.held == []
    assert device.free == 1_000
