"""How much memory a process may still take, by the machine and by its control group."""

from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def available_bytes() -> float:
    """Bytes that can be taken without swapping or being killed; infinite where nobody tells."""
    return min(_of_machine(), _of_group())


def _of_machine() -> float:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return float("inf")
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return float(kilobytes[0]) * 1024 if kilobytes else float("inf")


def _of_group() -> float:
    """Of a control group of version 2, cached files not counted: they make room."""
    try:
        most = int((_GROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_GROUP / "memory.current").read_text(encoding="ascii"))
        lines = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # not there, or "max"
        return float("inf")
    cached = [line.split()[1] for line in lines if line.startswith("inactive_file ")]
    return most - used + (int(cached[0]) if cached else 0)
