import numpy as np
import pytest

from twopass.index.errors import StoppedError
from twopass.index.rows import keys
from twopass.index.rows.keys import read_keys
from twopass.index.stopping import Stop


@pytest.mark.parametrize("block", range(1, 30))
def test_keys_are_read_whole_wherever_a_block_ends(monkeypatch, block):
    monkeypatch.setattr(keys, "_BLOCK_CHARACTERS", block)
    for expected in ([], [7], [1, 22, 333], [2**62, 2**63 - 1], list(range(8, 12))):
        for order in (1, -1):
            read = read_keys(",".join(map(str, expected[::order])))
            assert (read.dtype, read.tolist()) == (np.int64, expected)


def test_reading_ends_at_a_stop():
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        read_keys("1,2", stop)
