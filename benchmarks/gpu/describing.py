"""What a run is made on: the card, the machine, the software, the commit."""

import datetime
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twopass.benchmarks.gpu.nvml import cuda_version, driver_version
from twopass.benchmarks.gpu.report import About
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.machine import this_machine
from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.device_kind import device_kind

_PACKAGES = (
    "torch",
    "triton",
    "transformers",
    "tensorrt",
    "tensorrt-rtx-cu13-bindings",
    "pycuda",
    "cuda-bindings",
    "faiss-cpu",
    "faiss-gpu",
    "faiss-gpu-cuvs",
)


def describe(scale: Scale, *, minutes: float | None, commit: str) -> About:
    """What is known before anything is measured; seconds are 0.

    Args:
        scale: Of the run.
        minutes: How long it may take.
        commit: Of the tree; "" looks for git's in `scale.root`.
    """
    machine = this_machine()
    gpu, capability, remarks = "", None, []
    try:
        kind = device_kind()
        gpu, capability = kind.name, kind.compute_capability
    except EngineUnavailableError as error:
        remarks.append(f"no GPU: {error}")
    if not scale.on_gpu:
        remarks.append("a dry run on the CPU, sizes cut: no figure means anything")
    found = {name: _version(name) for name in _PACKAGES}
    return About(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        commit=commit or machine.commit or (_commit_of(scale.root) if scale.root else ""),
        gpu=gpu,
        compute_capability=capability,
        driver=driver_version(),
        cuda=cuda_version(),
        cpu=machine.cpu,
        num_cores=machine.num_cores,
        flags=machine.flags,
        versions=machine.versions | {name: number for name, number in found.items() if number},
        minutes=minutes,
        seconds=0.0,
        turns=scale.turns,
        is_dry=not scale.on_gpu,
        remarks=tuple(remarks),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _commit_of(root: Path) -> str:
    """As git describes the tree, marked where files differ from it; "" where there is no git."""
    command = ("git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*")
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
