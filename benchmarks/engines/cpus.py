"""Which CPUs engines run on, and how many threads they have."""

import os
from collections.abc import Sequence
from pathlib import Path

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_SYSTEM = Path("/sys/devices/system/cpu")


def usable_cpus(system: Path = _SYSTEM) -> list[int]:
    """CPUs of this process, one of each core first: two threads of a core share its products."""
    seen: dict[str, int] = {}
    ranked = []
    for cpu in sorted(os.sched_getaffinity(0)):
        core = _core_of(cpu, system)
        seen[core] = seen.get(core, 0) + 1
        ranked.append((seen[core], cpu))
    return [cpu for _, cpu in sorted(ranked)]


def num_cores(cpus: Sequence[int], system: Path = _SYSTEM) -> int:
    """Cores that these CPUs are threads of."""
    return len({_core_of(cpu, system) for cpu in cpus})


def thread_counts(given: str, num_cpus: int) -> tuple[int, ...]:
    """Reads `--threads`: one number or several between commas; 0 is one thread for each CPU.

    Raises:
        ValueError: It is no such list, or this process may not use so many CPUs.
    """
    try:
        counts = [int(part) or num_cpus for part in given.split(",")]
    except ValueError:
        counts = [-1]
    if min(counts) < 0:
        raise ValueError(f"--threads: {given!r} given; a number is needed, or several: 1,2,4")
    if max(counts) > num_cpus:
        raise ValueError(f"--threads: {max(counts)} given, this process may use {num_cpus} CPUs")
    return tuple(dict.fromkeys(counts))


def confine(cpus: Sequence[int]) -> None:
    """Leaves this process, and those it will start, these CPUs and a thread for each."""
    os.sched_setaffinity(0, cpus)
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(len(cpus))))


def _core_of(cpu: int, system: Path) -> str:
    """A name shared by the threads of a core; the CPU's own where the system tells nothing."""
    file = system / f"cpu{cpu}" / "topology" / "thread_siblings_list"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else str(cpu)
