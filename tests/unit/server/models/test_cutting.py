"""Cutting passages into windows, and finding the best one again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.base.sequences import Ragged
from twopass.server.models.cutting import cut, max_head_tokens, num_windows


@given(
    lengths=st.lists(st.integers(0, 300), min_size=1, max_size=6),
    window_tokens=st.integers(1, 80),
    share=st.floats(0, 0.99),
)
def test_windows_cover_their_passage_in_order(lengths, window_tokens, share):
    overlap = int(share * window_tokens)
    passages = Ragged.from_rows([np.arange(length, dtype=np.int32) for length in lengths])
    windows = cut(passages, window_tokens, overlap)
    assert len(windows.offsets) == len(lengths) + 1
    counts = num_windows(passages.lengths, window_tokens, overlap)
    assert counts.tolist() == np.diff(windows.offsets).tolist()
    for i, length in enumerate(lengths):
        rows = range(windows.offsets[i], windows.offsets[i + 1])
        cut_out = [windows.token_ids[row].tolist() for row in rows]
        starts = windows.starts[list(rows)].tolist()
        assert all(w == list(range(s, s + len(w))) for w, s in zip(cut_out, starts, strict=True))
        assert {token for window in cut_out for token in window} == set(range(length))
        assert all(len(window) == min(length, window_tokens) for window in cut_out)
        assert starts == sorted(set(starts))
        assert windows.of(i).tolist() == [
            [start, start + len(window)] for start, window in zip(starts, cut_out, strict=True)
        ]
        # What is no longer than the overlap stands whole in a window.
        for first in range(length - overlap):
            part = set(range(first, first + overlap))
            assert any(part <= set(window) for window in cut_out)


@given(
    lengths=st.lists(st.integers(0, 300), min_size=1, max_size=6),
    window_tokens=st.integers(16, 80),
    overlap_share=st.floats(0, 0.5),
    data=st.data(),
)
def test_windows_are_read_after_the_head_of_their_passage(
    lengths, window_tokens, overlap_share, data
):
    overlap = int(overlap_share * window_tokens)
    heads = np.array(
        [data.draw(st.integers(0, min(n, max_head_tokens(window_tokens)))) for n in lengths],
        np.int32,
    )
    passages = Ragged.from_rows([np.arange(length, dtype=np.int32) for length in lengths])
    windows = cut(passages, window_tokens, overlap, heads)
    counts = num_windows(passages.lengths, window_tokens, overlap, heads)
    assert counts.tolist() == np.diff(windows.offsets).tolist()
    for i, length in enumerate(lengths):
        rows = range(windows.offsets[i], windows.offsets[i + 1])
        if length <= window_tokens:
            assert [windows.token_ids[row].tolist() for row in rows] == [list(range(length))]
            continue
        seen: set[int] = set()
        for row, (start, end) in zip(rows, windows.of(i).tolist(), strict=True):
            read = windows.token_ids[row].tolist()
            head = [] if start == 0 else list(range(heads[i]))
            assert read == head + list(range(start, end))
            assert len(read) <= window_tokens
            assert end - start == window_tokens - heads[i]
            seen.update(range(start, end))
        assert seen == set(range(length))


def test_the_best_window_of_each_passage_is_found_and_of_equals_the_first():
    passages = Ragged.from_rows([range(10), range(3), range(8)])
    windows = cut(passages, 4, 1)
    assert windows.offsets.tolist() == [0, 3, 4, 7]
    logits = np.array([1, 5, 5, -9, 0, 0, 2], np.float32)
    best = windows.best(logits)
    assert best.tolist() == [1, 3, 6]
    assert windows.ranges(best).tolist() == [[3, 7], [0, 3], [4, 8]]


@pytest.mark.parametrize(("num_logits", "best"), [(0, []), (2, []), (3, [1]), (6, [1, 3])])
def test_of_the_first_windows_those_of_whole_passages_count(num_logits, best):
    windows = cut(Ragged.from_rows([range(10), range(3), range(8)]), 4, 1)
    logits = np.array([1, 5, 5, -9, 0, 0, 2], np.float32)
    assert windows.best(logits[:num_logits]).tolist() == best


@pytest.mark.parametrize(("length", "count"), [(0, 1), (1, 1), (4, 1), (5, 2), (7, 2), (8, 3)])
def test_a_passage_has_as_many_windows_as_it_needs(length, count):
    assert len(cut(Ragged.from_rows([range(length)]), 4, 1).token_ids) == count
