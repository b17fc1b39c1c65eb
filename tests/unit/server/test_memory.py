"""Freed memory goes back to the system."""

import asyncio
import ctypes
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from twopass.server import memory
from twopass.server.memory import FreedMemory

from ...waiting import until

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps what is freed"
)
MIB = 2**20


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_what_is_free_between_blocks_that_are_not_goes_back(monkeypatch):
    monkeypatch.setattr(memory, "_TRIM_SECONDS", 0.01)
    blocks = [np.ones(100_000, np.uint8) for _ in range(2_000)]
    kept = blocks[::100]
    full = resident_bytes()
    del blocks
    returning = asyncio.create_task(FreedMemory().keep_returning())
    try:
        await until(lambda: resident_bytes() < full - 100 * MIB)
    finally:
        returning.cancel()
        with suppress(asyncio.CancelledError):
            await returning
    assert all(block[-1] == 1 for block in kept)


LARGE_BLOCKS = """
import os
from pathlib import Path
import numpy as np
from twopass.server.memory import FreedMemory

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

FreedMemory()
for _ in range(3):
    block = np.ones(20 * 2**20, np.uint8)
    full = resident_bytes()
    del block
    print(full - resident_bytes())
"""


def test_a_large_block_goes_back_when_it_is_freed_though_one_was_before():
    # In a process of its own, whose heap has no gap that is as large.
    run = subprocess.run([sys.executable, "-c", LARGE_BLOCKS], capture_output=True, check=True)
    assert [int(line) > 15 * MIB for line in run.stdout.split()] == [True, True, True]


def test_another_c_library_is_left_alone(monkeypatch):
    class Library:
        pass

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())
    asyncio.run(FreedMemory().keep_returning())  # returns at once
