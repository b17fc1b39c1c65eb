"""A sequence token comes back as it was, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.errors import MalformedSequenceError
from twopass.index.sequences import SequenceToken

INCARNATION = "0123456789abcdef" * 2


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_parse_reads_what_str_wrote(incarnation, position):
    token = SequenceToken(incarnation.hex, position)
    assert SequenceToken.parse(str(token)) == token


@pytest.mark.parametrize(
    "token",
    [
        "",
        "7",
        INCARNATION,
        f"{INCARNATION}.",
        f"{INCARNATION}.-1",
        f"{INCARNATION}.01",
        f"{INCARNATION}.٣",
        f"{INCARNATION}.1\n",
        f"{INCARNATION.upper()}.1",
        f"{INCARNATION}." + "9" * 20,
    ],
)
def test_what_is_no_token_is_refused(token):
    with pytest.raises(MalformedSequenceError, match="no sequence"):
        SequenceToken.parse(token)
