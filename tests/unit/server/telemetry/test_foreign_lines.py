"""What is written to stderr past the log; in a process of its own, as it concerns all of one."""

import json
import subprocess
import sys

import pytest

BEGIN = """
import os, sys, threading, warnings, logging
from twopass.server.telemetry.logs import LogFormat, LogLevel, configure_logging
configure_logging(LogFormat.JSON, LogLevel.INFO)
logging.getLogger("twopass.server").info("first")
"""


def lines_of(program: str) -> list[dict]:
    """What a process has on its stderr, every line of which must be an object."""
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + program], capture_output=True, text=True, timeout=60
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert lines[0]["message"] == "first"
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    return lines[1:]


@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("E0000 00:00:1750000000.000000    42 ssl.cc:1] handshake failed", "error"),
        ("W0614 12:00:01.5 7 a.cc:2] odd", "warning"),
        ("I0614 12:00:01.5 7 a.cc:2] told", "info"),
        ("faiss says something", "warning"),
        ('"quoted" \\x1b[1m', "warning"),
    ],
    ids=["error", "warning", "info", "plain", "odd characters"],
)
def test_a_line_of_native_code_is_an_object_of_its_level(written, level):
    (line,) = lines_of(f"os.write(2, {written!r}.encode() + b'\\n\\n')")
    assert (line["logger"], line["level"], line["message"]) == ("native", level, written)


def test_the_last_line_is_not_lost_though_it_has_no_end():
    (line,) = lines_of("os.write(2, b'no end')")
    assert line["message"] == "no end"


def test_bytes_that_are_no_text_are_an_object_too():
    (line,) = lines_of("os.write(2, b'\\xff\\xfe\\n')")
    assert line["logger"] == "native"


def test_a_warning_of_python_is_an_object():
    (line,) = lines_of("warnings.warn('deprecated')")
    assert line["logger"] == "py.warnings"
    assert "deprecated" in line["message"]


@pytest.mark.parametrize(
    "program",
    [
        "1 / 0",
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()",
        "class Odd:\n  def __del__(self): 1 / 0\nOdd()",
    ],
    ids=["main", "thread", "destructor"],
)
def test_an_exception_that_nobody_catches_is_one_object_with_its_traceback(program):
    (line,) = lines_of(program)
    assert (line["level"], line["message"]) == ("critical", "uncaught exception")
    assert line["exception"].splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_what_a_task_raises_that_nobody_awaits_is_an_object():
    program = """
import asyncio
async def fail(): 1 / 0
async def main():
    task = asyncio.create_task(fail())
    await asyncio.sleep(0.01)
    del task
asyncio.run(main())
"""
    (line,) = lines_of(program)
    assert line["logger"] == "asyncio"
    assert "ZeroDivisionError" in line["exception"]


def test_the_log_and_many_foreign_lines_do_not_mix():
    program = """
def write():
    for i in range(2_000):
        os.write(2, b"foreign %d\\n" % i)
thread = threading.Thread(target=write); thread.start()
for i in range(2_000):
    logging.getLogger("twopass.server").info("own", extra={"number": i})
thread.join()
"""
    lines = lines_of(program)
    own = [line["number"] for line in lines if line["message"] == "own"]
    foreign = [line["message"] for line in lines if line["logger"] == "native"]
    assert own == list(range(2_000))
    assert foreign == [f"foreign {i}" for i in range(2_000)]
