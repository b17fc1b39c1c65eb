"""Processor time of other processes, by Linux's /proc: who was busy meanwhile."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Places of utime and stime behind the name of a process in /proc/PID/stat (proc_pid_stat(5)).
_UTIME, _STIME = 11, 12


def process_seconds(pid: int) -> float:
    """Processor time of a process and all its threads so far, those ended among them."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = text.rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS


def main_thread_seconds(pid: int) -> float:
    """Processor time of a process's first thread so far: where a server's event loop runs."""
    text = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
    return int(text.split()[0]) / 1e9
