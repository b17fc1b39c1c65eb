"""Bytes of a stream's parts, counted until each part is done with."""

import pytest

from twopass.server.errors import OverloadedError
from twopass.server.gate import Gate
from twopass.server.held_in_turn import HeldInTurn
from twopass.server.metrics import Metrics


@pytest.fixture
def gate():
    return Gate(Metrics(), max_bytes=100)


def test_parts_end_in_the_order_they_began_and_the_rest_with_the_block(gate):
    with HeldInTurn(gate.held) as held:
        held.hold(60)
        held.hold(30)
        held.release_first()
        assert gate.num_bytes == 30
        held.hold(10)
        assert gate.num_bytes == 40
    assert gate.num_bytes == 0


def test_what_is_refused_is_not_held_and_the_rest_ends_with_the_block(gate):
    with HeldInTurn(gate.held) as held:
        held.hold(60)
        with pytest.raises(OverloadedError):
            held.hold(41)
        assert gate.num_bytes == 60
    assert gate.num_bytes == 0
