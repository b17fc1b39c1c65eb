"""ONNX Runtime's reports to Microsoft, which its builds on PyPI send unless told not to."""

import os
import subprocess
import sys
from pathlib import Path

# Loads what a server loads, then the library itself: it keeps its reports in the home folder.
_LOAD = """
import twopass.engines.loading
import twopass.engines.onnx.engine
import onnxruntime
onnxruntime.get_available_providers()
"""
# Where any of these is set ONNX Runtime does not report anyway; so the test would see nothing.
_SILENCERS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY")


def test_engines_load_onnx_runtime_without_its_reports(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in _SILENCERS}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", _LOAD], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []
