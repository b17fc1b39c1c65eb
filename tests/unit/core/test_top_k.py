import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import top_k

# Few distinct scores, so that ties are common; any float32 beside them.
scores_lists = st.lists(
    st.sampled_from([-1.0, -0.0, 0.0, 1.0, math.inf, -math.inf, math.nan]) | st.floats(width=32),
    max_size=60,
)


@given(scores_lists, st.integers(0, 70))
def test_the_k_best_are_the_first_k_of_a_sort(scores, k):
    def order(index):
        is_nan = math.isnan(scores[index])
        return is_nan, 0.0 if is_nan else -scores[index], index

    expected = sorted(range(len(scores)), key=order)[:k]
    indices = top_k(np.array(scores, np.float32), k)
    assert indices.dtype == np.int32
    assert indices.tolist() == expected


def test_a_negative_k_is_refused():
    with pytest.raises(ValueError, match="k: -1 given, at least 0"):
        top_k(np.zeros(3, np.float32), -1)


def test_double_precision_scores_are_refused_rather_than_rounded():
    with pytest.raises(TypeError):
        top_k(np.zeros(3), 1)
