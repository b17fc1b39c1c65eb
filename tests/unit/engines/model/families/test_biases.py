"""Biases of attention by distance: MPNet's buckets and ALiBi's slopes."""

from twopass.engines.model.families import jina, mpnet


def test_mpnet_s_buckets_are_one_each_nearby_and_wider_far_away() -> None:
    assert [mpnet.bucket(d) for d in range(-8, 1)] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert [mpnet.bucket(d) for d in (1, 7, 8)] == [17, 23, 24]
    # Values of transformers' MPNetEncoder.relative_position_bucket.
    assert [mpnet.bucket(-d) for d in (11, 12, 16, 22, 23, 32, 64, 90, 91, 128, 5000)] == [
        *(8, 9, 10, 10, 11, 12, 14, 14, 15, 15, 15)
    ]


def test_alibi_s_slopes_are_powers_of_two_and_fill_up_between_them() -> None:
    assert jina.slopes(8) == [2.0**-n for n in range(1, 9)]
    # Press et al. 2022: 12 heads take 8, and every other of 16.
    assert jina.slopes(12)[8:] == [2.0**-0.5, 2.0**-1.5, 2.0**-2.5, 2.0**-3.5]
