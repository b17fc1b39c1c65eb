"""Bodies in JSON."""

import gzip

import msgspec
import pytest

from twopass.server.errors import OverloadedError
from twopass.server.http.bodies import MalformedBodyError, decode, unpacked
from twopass.server.http.statuses import HttpError
from twopass.server.request import BytesInFlight, Request


class Body(msgspec.Struct):
    texts: list[str]


def test_halves_of_characters_are_replaced() -> None:
    assert decode(b'{"texts": ["\\ud83d.", "\\uD83D\\uDE00"]}', Body).texts == [
        "\ufffd.",
        "\U0001f600",
    ]


@pytest.mark.parametrize("content", [b"", b"{", b'{"texts": ["\\ud83d"', b"{" * 3, b"\xff"])
def test_what_is_no_json_is_a_fault_of_syntax(content):
    with pytest.raises(MalformedBodyError, match="body: ") as raised:
        decode(content, Body)
    assert raised.value.is_syntax


def test_what_is_nested_without_end_is_refused():
    with pytest.raises(MalformedBodyError, match="body: nested too deep"):
        decode(b"[" * 100_000, object)


def test_another_structure_is_told_with_its_place():
    with pytest.raises(
        MalformedBodyError, match=r"texts\[1\]: Expected `str`, got `int`"
    ) as raised:
        decode(b'{"texts": ["a", 1]}', Body)
    assert not raised.value.is_syntax


def test_what_comes_out_of_gzip_counts_as_the_requests():
    in_flight = BytesInFlight(1_500)
    requests = [Request(bytes_in_flight=in_flight) for _ in range(2)]
    sent = gzip.compress(b"x" * 1_000)
    assert unpacked(sent, requests[0], is_gzip=True, max_bytes=1_000) == b"x" * 1_000
    assert in_flight.num_bytes == 1_000
    with pytest.raises(OverloadedError):
        unpacked(sent, requests[1], is_gzip=True, max_bytes=1_000)


@pytest.mark.parametrize(
    ("sent", "status", "told"),
    [
        (b"no gzip", 400, "message: said to be gzip, but it is not"),
        (gzip.compress(b"text")[:-6], 400, "message: gzip, but cut short"),
        (gzip.compress(b"0" * 1_000_001), 413, "message: 1,000,001 bytes given"),
        (gzip.compress(b"," * 300_000), 413, "message: 300,000 commas in 300,000 bytes"),
    ],
    ids=["none", "cut short", "too much", "too many values"],
)
def test_gzip_is_bounded_by_what_comes_out_of_it(sent, status, told):
    with pytest.raises(HttpError, match=told) as raised:
        unpacked(sent, Request(), is_gzip=True, max_bytes=1_000_000, name="message")
    assert raised.value.status == status
