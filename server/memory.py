"""Gives memory that the process has freed back to the system.

glibc keeps freed memory for the thread that asks next: after one large upload, export or message a
server would stay hundreds of megabytes larger than it needs to be. With other C libraries this is
not needed or not possible, and nothing is done.
"""

import asyncio
import ctypes

# mallopt's parameter, and the size from which on a block that fits no gap is mapped on its own, and
# unmapped when it is freed. By default glibc raises this size to that of the largest block freed,
# up to 32 MiB.
_M_MMAP_THRESHOLD, _MAPPED_BYTES = -3, 2**20
_TRIM_SECONDS = 5.0


class FreedMemory:
    """Gives freed memory back, most large blocks at once and the rest every few seconds."""

    def __init__(self) -> None:
        """Sets how large blocks are allocated from now on."""
        library = ctypes.CDLL(None)
        self._trim = getattr(library, "malloc_trim", None)
        if self._trim is not None:
            library.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)

    async def keep_returning(self) -> None:
        """Gives freed memory back every few seconds, until it is cancelled."""
        while self._trim is not None:
            await asyncio.sleep(_TRIM_SECONDS)
            await asyncio.to_thread(self._trim, 0)
