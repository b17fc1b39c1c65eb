"""Of two labels the logit is the relevant one's less the other's, of one label its own."""

import numpy as np
import pytest

from twopass.engines.model.labels import num_labels, relevance


@pytest.mark.parametrize(
    ("labels", "relevant", "logits"),
    [([[1.5], [-2]], None, [1.5, -2]), ([[1, 4]], 1, [3]), ([[1, 4]], 0, [-3])],
)
def test_a_logit_tells_how_far_relevant_leads(labels, relevant, logits):
    assert relevance(np.array(labels, np.float32), relevant).tolist() == logits
    assert np.shape(labels)[1] == num_labels(relevant)
