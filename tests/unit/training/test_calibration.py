"""What scores promise, and whether it is so."""

import numpy as np
import pytest

from twopass.evaluation.calibration.reliability import expected_calibration_error
from twopass.training.calibration import fit


def drawn(a: float, b: float, count: int, seed: int = 0):
    """Logits, and judgements drawn with probability sigmoid(a * logit + b)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, count).astype(np.float32)
    return logits, rng.random(count) < 1 / (1 + np.exp(-(a * logits + b)))


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (0.4, -2.0), (2.5, 1.0)])
def test_the_curve_that_judgements_were_drawn_from_is_found(a, b):
    logits, is_relevant = drawn(a, b, 40_000)
    found = fit(logits, is_relevant, np.arange(40_000) % 2 == 0)
    assert found.a == pytest.approx(a, rel=0.08)
    assert found.b == pytest.approx(b, abs=0.1)
    assert found.error_after < 0.02  # 20,000 pairs in 15 bins leave about 0.01 to chance


def test_the_error_is_measured_on_what_was_held_out():
    logits, is_relevant = drawn(0.4, -2.0, 40_000)
    found = fit(logits, is_relevant, np.arange(40_000) >= 20_000)
    held = logits[20_000:].astype(np.float64)
    before = expected_calibration_error(1 / (1 + np.exp(-held)), is_relevant[20_000:])
    assert found.error_before == pytest.approx(before)
    assert found.error_after < found.error_before / 5


def test_logits_that_separate_perfectly_still_give_a_finite_curve():
    logits = np.array([-3, -2, 2, 3] * 5, np.float32)
    found = fit(logits, logits > 0, np.arange(20) % 2 == 0)
    assert np.isfinite([found.a, found.b]).all()
    assert found.a > 0


def test_a_score_of_80_percent_that_is_right_every_other_time_is_30_percent_off():
    error = expected_calibration_error(np.full(10, 0.8), np.arange(10) % 2 == 0)
    assert error == pytest.approx(0.3)


def test_certainty_belongs_to_the_last_bin():
    assert expected_calibration_error(np.ones(3), np.ones(3, bool)) == 0.0
