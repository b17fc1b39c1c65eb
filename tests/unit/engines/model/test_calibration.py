import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twopass.engines.model.calibration import Calibration


@given(
    hnp.arrays(np.float32, st.integers(0, 20), elements=st.floats(-50, 50, width=32)),
    st.floats(0.125, 2, width=32),
    st.floats(-5, 5, width=32),
)
def test_score_is_the_sigmoid_of_the_calibrated_logit(logits, a, b):
    scores = Calibration(a, b).score(logits)
    expected = [1 / (1 + math.exp(-(a * float(x) + b))) for x in logits]
    # a * logit + b is rounded to float32: 105 * 2^-24 at most, and exp makes that relative.
    # Below the smallest normal number float32 has fewer bits than that.
    np.testing.assert_allclose(scores, expected, rtol=2e-5, atol=np.finfo(np.float32).tiny)
    assert scores.dtype == np.float32


def test_scores_stay_apart_far_below_zero_and_finite_at_both_ends():
    logits = np.arange(-100, 101, dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):  # the smallest scores are subnormal
        scores = Calibration().score(logits)
    assert (np.diff(scores) >= 0).all()
    # 1 - score falls below float32's resolution at 17; towards 0 there is room to -100 and beyond.
    assert (np.diff(scores[logits <= 16]) > 0).all()
    assert scores[0] > 0
    assert scores[-1] == 1


@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3)], ids=str)
def test_scores_have_the_shape_of_the_logits(shape):
    assert Calibration().score(np.zeros(shape, np.float32)).shape == shape
