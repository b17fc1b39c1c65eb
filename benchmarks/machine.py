"""What a benchmark ran on."""

import platform
import subprocess
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twopass._core import available_cpus

# Instructions that decide how fast a matrix product of int8 or bf16 is.
_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
)
_PACKAGES = ("twopass", "grpcio", "numpy", "onnxruntime", "tokenizers")


@dataclass(frozen=True, slots=True)
class Machine:
    """Hardware and software.

    Attributes:
        cpu: The processor's name.
        num_cores: CPUs this process may use, by affinity and quota.
        flags: Instruction set extensions of interest that it has.
        versions: Of Python and the packages that matter; "source" where one is not installed.
        commit: Of the twopass tree the benchmark was started in; empty outside of one.
    """

    cpu: str
    num_cores: int
    flags: tuple[str, ...]
    versions: dict[str, str]
    commit: str

    def lines(self) -> list[str]:
        """The machine's description as lines of text."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        commit = f", commit {self.commit}" if self.commit else ""
        flags = " ".join(self.flags) or "no vector flags known"
        return [f"{self.cpu}, {self.num_cores} cores, {flags}", f"{versions}{commit}"]


def this_machine() -> Machine:
    """Describes the machine and the installation this process runs on."""
    about = _cpu_info()
    present = (about.get("flags") or about.get("Features", "")).split()  # x86-64, aarch64
    return Machine(
        cpu=about.get("model name") or platform.processor() or platform.machine(),
        num_cores=available_cpus(),
        flags=tuple(flag for flag in _FLAGS if flag in present),
        versions={"python": platform.python_version()} | {p: _version(p) for p in _PACKAGES},
        commit=_commit(),
    )


def _cpu_info() -> dict[str, str]:
    """The first processor's entries; nothing where the system has no such file."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return {}
    first, _, _ = file.read_text(encoding="utf-8").partition("\n\n")
    entries = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in entries}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


def _commit() -> str:
    """The commit, marked where files differ from it; another project's would mislead."""
    root = Path.cwd()
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        if project["project"]["name"] != "twopass":
            return ""
        command = ("git", "describe", "--always", "--dirty", "--exclude=*")
        found = subprocess.run(  # noqa: S603  # a fixed command
            command, cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
