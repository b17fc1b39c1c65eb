"""How many files the process may hold open, and for how many open collections they suffice."""

import resource
from contextlib import suppress

# Files of an open collection: three of its writer, and two of each reader that is kept.
_FILES_OF_COLLECTION = 11
# Connections of clients, the models, the log, snapshots that are being copied.
_OTHER_FILES = 512
# More files are of no use, and some systems report no limit where there is one.
_ENOUGH_FILES = 1_048_576


def raise_open_files_limit() -> int:
    """Raises the process's limit of open files as far as the system allows; returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # the limit stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return _ENOUGH_FILES if soft == resource.RLIM_INFINITY else soft


def max_open_collections(wanted: int, num_files: int) -> int:
    """How many collections may be open at once with `num_files` open files; at least one."""
    return max(1, min(wanted, (num_files - _OTHER_FILES) // _FILES_OF_COLLECTION))
