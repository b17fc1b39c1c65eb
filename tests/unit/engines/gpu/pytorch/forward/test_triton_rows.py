"""The kernels are compiled to machine code of GPUs; `test_fused_rows.py` interprets them."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("compile_rows.py")
KERNELS = {"add_norm", "embed_norm", "gated_activation", "rotate"}

pytestmark = pytest.mark.slow


# A100, L4, H100 and H200, B200.
@pytest.mark.parametrize("capability", [80, 89, 90, 100])
def test_every_kernel_is_compiled_for(tmp_path, capability):
    if find_spec("triton") is None:
        pytest.skip("Triton is not installed")
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)  # else they are interpreted
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(capability)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {name for name, _ in lines} == KERNELS
    assert all(int(size) > 1_000 for _, size in lines)
