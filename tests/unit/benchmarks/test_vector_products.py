"""The benchmark of products measures both ways of the same searches."""

from twopass.benchmarks.vector_products import TOGETHER, measured
from twopass.index.vectors.product_search import FEWEST_QUERIES


def test_both_ways_are_measured_wherever_there_are_both():
    taken = measured(5_000, 8, 5, 2)
    assert tuple(taken) == TOGETHER
    for count, (alone, together) in taken.items():
        assert len(alone) == 2
        assert alone == sorted(alone)
        assert len(together) == (2 if count >= FEWEST_QUERIES else 0)
