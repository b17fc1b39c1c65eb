"""Kernels in Triton, run by its interpreter in NumPy: no GPU is needed."""

import importlib
import sys
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

_KERNELS = "twopass.engines.gpu.pytorch.forward.triton_rows"


@pytest.fixture(scope="module")
def kernels():
    """The module of kernels, interpreted."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    with pytest.MonkeyPatch.context() as patch, _imported_anew():
        patch.setenv("TRITON_INTERPRET", "1")
        yield importlib.import_module(_KERNELS)


@contextmanager
def _imported_anew():
    """Triton decides when it is imported, of its own functions too, and PyTorch may have done so.

    Its C++ can't be imported twice, and need not be.
    """

    def chosen():
        names = [name for name in sys.modules if name.partition(".")[0] == "triton"]
        return [name for name in (*names, _KERNELS) if not name.startswith("triton._C")]

    before = {name: sys.modules.pop(name) for name in chosen() if name in sys.modules}
    try:
        yield
    finally:
        for name in chosen():
            sys.modules.pop(name, None)
        sys.modules.update(before)
