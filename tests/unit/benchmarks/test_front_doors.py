"""What a request costs at a front door: turn by turn, without the work itself."""

import json
import socket
import subprocess
import sys

import pytest

from twopass.benchmarks.asking import Door, _answer
from twopass.benchmarks.front_doors import Report

from .made import report as latency_report


def test_the_work_is_taken_away_turn_by_turn():
    machine = latency_report().machine
    turns = {"pipeline alone": [100.0, 300.0], "gRPC": [500.0, 600.0]}
    assert Report(machine, "shape", turns).beyond_the_work("gRPC") == [400.0, 300.0]


def test_a_client_that_is_refused_ends_and_says_why():
    """Else the time of errors would be taken for that of answers."""
    door = Door("127.0.0.1:1", "/rerank", ("e30=",))
    asking = subprocess.run(
        [sys.executable, "-m", "twopass.benchmarks.asking"],
        input=f"{door.to_line()}\n1\n",
        capture_output=True,
        text=True,
    )
    assert asking.returncode != 0
    assert asking.stdout == "opened\n"
    assert "refused" in asking.stderr


@pytest.mark.parametrize("over_grpc", [True, False])
def test_a_door_is_the_same_on_the_other_side(over_grpc):
    door = Door("h:1", "/p", ("YQ==", "Yg=="), over_grpc)
    told = Door(**json.loads(door.to_line()))
    assert (told.target, told.path, tuple(told.bodies)) == (door.target, door.path, door.bodies)
    assert told.over_grpc == over_grpc


@pytest.mark.parametrize("behind", [b"", b"x-request-id: a\r\n"], ids=["last", "not last"])
@pytest.mark.parametrize("piece", [1, 7, 1_000])
def test_an_answer_is_read_whole_wherever_its_length_stands(behind, piece):
    told = (
        b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 30\r\n"
        + behind
        + b"\r\n"
        + b"ab\r\n\r\n" * 5
    )
    here, there = socket.socketpair()
    with here, there:
        for start in range(0, len(told), piece):
            there.sendall(told[start : start + piece])
        assert _answer(here) == (200, b"ab\r\n\r\n" * 5)
