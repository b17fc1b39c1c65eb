"""The one place that knows there are two TensorRTs, and that they make the same calls.

`tensorrt` tunes its kernels for the GPU it builds on. `tensorrt_rtx` builds on any machine, for all
GPUs it knows, and compiles kernels where it runs. Neither is imported before it is asked for.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from twopass.engines.errors import EngineUnavailableError
from twopass.engines.installing import how_to_install

# What each module is. `tensorrt_rtx` is one file over `tensorrt_rtx_bindings`, in a package of its
# own: where that package is missing, the bindings alone do.
_MODULES = {
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt_rtx",
    "tensorrt_rtx_bindings": "tensorrt_rtx",
}

Progress = Callable[[str, int, int], None]
"""Told the name of a phase, how many of its steps are done, and how many it has."""


@dataclass(frozen=True, slots=True)
class TensorRT:
    """An installed TensorRT.

    Attributes:
        name: "tensorrt" or "tensorrt_rtx".
        version: As the package says.
        module: The package itself.
    """

    name: str
    version: str
    module: Any

    @property
    def is_portable(self) -> bool:
        """Whether a plan runs on any GPU it supports, and so can be built without one."""
        return self.name == "tensorrt_rtx"

    @property
    def keeps_timings(self) -> bool:
        """Whether it measures kernels while it builds, and can be told what was measured before."""
        return not self.is_portable


def find_tensorrt() -> TensorRT:
    """Imports the TensorRT that is installed, `tensorrt` before `tensorrt_rtx`.

    Raises:
        EngineUnavailableError: Neither is installed in working order.
    """
    broken = []
    for imported, name in _MODULES.items():
        try:
            module = importlib.import_module(imported)
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError, RuntimeError) as error:  # bindings without their libraries
            broken.append(f"{imported} does not load ({error})")
            continue
        return TensorRT(name, _version(module), module)
    raise EngineUnavailableError(
        "; ".join(broken)
        or f"TensorRT is not installed: {how_to_install('tensorrt')}, or for TensorRT-RTX "
        f"{how_to_install('tensorrt-rtx')}"
    )


def _version(module: ModuleType) -> str:
    return str(module.__version__)


class BuildLog:
    """What TensorRT said, every line of it: how it fused and where it put memory stands there."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []

    def logger(self, tensorrt: TensorRT) -> Any:
        """A logger that writes here; TensorRT holds it for as long as its objects live."""
        base: Any = tensorrt.module.ILogger
        log = self

        class Logger(base):  # type: ignore[misc]  # a base known at run time only
            def __init__(self) -> None:
                base.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                log.lines.append(message)
                if severity in (base.Severity.ERROR, base.Severity.INTERNAL_ERROR):
                    log.errors.append(message)

        return Logger()


def progress_monitor(tensorrt: TensorRT, progress: Progress) -> Any:
    """TensorRT's progress as calls of a function."""
    base: Any = tensorrt.module.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]  # as above
        def __init__(self) -> None:
            base.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, num_steps: int) -> None:
            del parent
            self._steps[phase] = num_steps
            progress(phase, 0, num_steps)

        def step_complete(self, phase: str, step: int) -> bool:
            progress(phase, step + 1, self._steps[phase])
            return True  # go on

        def phase_finish(self, phase: str) -> None:
            progress(phase, self._steps[phase], self._steps[phase])

    return Monitor()
