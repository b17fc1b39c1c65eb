"""Kernels in Triton, run by its interpreter in NumPy: no GPU is needed."""

import importlib
from importlib.util import find_spec

import pytest


@pytest.fixture(scope="module")
def kernels():
    """The module of kernels, interpreted."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")
    if find_spec("triton") is None:  # imported below, once it is told to interpret
        pytest.skip("Triton is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        module = importlib.import_module("twopass.engines.gpu.pytorch.forward.triton_rows")
        if type(module.add_norm).__name__ != "InterpretedFunction":
            pytest.skip("Triton was imported before, to compile")
        yield module
