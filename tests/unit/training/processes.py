"""Processes as /proc tells of them."""

from pathlib import Path


def children_of(pid):
    return [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if (fields := _fields_of(stat)) and fields[1] == str(pid) and fields[0] != "Z"
    ]


def is_running(pid):
    fields = _fields_of(Path(f"/proc/{pid}/stat"))
    return bool(fields) and fields[0] != "Z"


def _fields_of(stat):
    """State, parent and more; nothing of a process that has ended meanwhile."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
