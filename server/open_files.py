"""How many files the process may hold open, and how many collections that is."""

import resource
from contextlib import suppress

# Each open collection: three files of its writer, and two of each of its readers that are kept.
_FILES_OF_COLLECTION = 11
# Connections of clients, the models, the log, snapshots that are being copied.
_OTHER_FILES = 512
# More is of no use, and some systems say that there is no limit where there is one.
_ENOUGH_FILES = 1_048_576


def raise_open_files_limit() -> int:
    """Lets the process open as many files as the system lets it; returns how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # it stays at what it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return _ENOUGH_FILES if soft == resource.RLIM_INFINITY else soft


def max_open_collections(wanted: int, num_files: int) -> int:
    """How many collections may be open at once, given how many files may; at least one."""
    return max(1, min(wanted, (num_files - _OTHER_FILES) // _FILES_OF_COLLECTION))
