import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.base.sequences import PairTemplate, Ragged, SingleTemplate

rows_of_ids = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5), max_size=8)


@given(rows_of_ids)
def test_ragged_rows_are_those_it_was_made_of(rows):
    ragged = Ragged.from_rows(rows)
    assert [ragged[i].tolist() for i in range(len(ragged))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.token_ids.dtype == ragged.offsets.dtype == np.int32


@given(rows_of_ids, st.data())
def test_first_rows_of_a_ragged_are_views_of_it(rows, data):
    count = data.draw(st.integers(0, len(rows)))
    whole = Ragged.from_rows(rows)
    first = whole.first(count)
    assert [first[i].tolist() for i in range(len(first))] == rows[:count]
    assert first.token_ids.base is not None
    assert len(first.token_ids) == first.offsets[-1]


def test_template_counts_its_special_tokens():
    roberta = PairTemplate(prefix=(0,), separator=(2, 2), suffix=(2,))
    assert roberta.num_pair_tokens == 4
    assert SingleTemplate(prefix=(0,), suffix=(2, 3)).num_tokens == 3
