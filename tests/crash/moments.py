"""When a server is killed: at any time, or while it writes what it derives from the documents."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

_DOCUMENTS = "documents.sqlite"
_SHARE_AT_WRITES = 0.6
# From the first change that is seen until a flush or a merge of these collections is saved.
_LONGEST_DELAY = 0.03
_SECONDS_BETWEEN_LOOKS = 0.001

_Seen = dict[str, tuple[int, int, int]]


def wait_for_moment(collections: Path, longest: float, drawn: random.Random) -> bool:
    """Waits for the moment of a kill.

    Of what is derived, any file beside a collection's documents counts: the base of its vectors,
    the segments and headers of its words, whatever they are called, and what is temporary.

    Args:
        collections: The folder of the folders of collections.
        longest: Seconds to wait at most.
        drawn: For the moment.

    Returns:
        Whether derived files were being written.
    """
    time.sleep(drawn.uniform(0, longest / 2))
    if drawn.random() >= _SHARE_AT_WRITES:
        time.sleep(drawn.uniform(0, longest / 2))
        return False
    end = time.monotonic() + longest / 2
    before = _derived(collections)
    while _derived(collections) == before:
        if time.monotonic() > end:
            return False
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    time.sleep(drawn.uniform(0, _LONGEST_DELAY))
    return True


def _derived(collections: Path) -> _Seen:
    """Which file, of which size, written when: by the paths of derived files."""
    seen: _Seen = {}
    for entry in _files(collections):
        try:
            status = entry.stat()
        except FileNotFoundError:
            continue  # it went away meanwhile, which the next look will tell
        seen[entry.path] = status.st_ino, status.st_size, status.st_mtime_ns
    return seen


def _files(folder: Path | str) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path)
                elif not entry.name.startswith(_DOCUMENTS):
                    yield entry
    except FileNotFoundError:
        return
