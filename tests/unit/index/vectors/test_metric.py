"""Vectors scaled for the collection's metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twopass.index.metric import scale
from twopass.index.schema import Metric


def scaled(vectors, metric=Metric.COSINE):
    def refuse(row, problem):
        return AssertionError(f"row {row}: {problem}")

    return scale(np.asarray(vectors, np.float32), metric, refuse)


components = st.floats(-1e4, 1e4, width=32).filter(lambda value: value == 0 or abs(value) > 1e-4)
vectors = arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=components)


@given(vectors.filter(lambda given: np.abs(given).max(axis=1).all()))
def test_a_vector_that_was_normalised_stays_as_it_is_bit_for_bit(given_vectors):
    once = scaled(given_vectors)
    assert scaled(once).tobytes() == once.tobytes()


@pytest.mark.parametrize("length", [1 + 1e-6, 1 - 1e-6, 3, 1e-30, 1e30])
def test_any_other_length_becomes_1(length):
    direction = np.array([[3, 4, 0], [0, 0, -5], [1, 2, 2]], np.float64)
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    made = scaled(direction * length)
    np.testing.assert_allclose(made, direction, rtol=2**-22)  # two roundings to float32


def test_an_inner_products_vectors_stay_as_they_are():
    given_vectors = np.array([[3, -0.0], [1e-30, 5e17]], np.float32)
    assert scaled(given_vectors, Metric.INNER_PRODUCT).tobytes() == given_vectors.tobytes()
