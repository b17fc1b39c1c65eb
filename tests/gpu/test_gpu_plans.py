"""A plan on the device it runs on: what only a driver can tell of it."""

import hashlib
import json

import numpy as np
import pytest

from twopass.engines.gpu.device_kind import device_kind
from twopass.engines.gpu.tensorrt.api import find_tensorrt
from twopass.engines.gpu.tensorrt.engine import TensorRtEngine
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache, default_plan_folder
from twopass.engines.gpu.tensorrt.plans import PlanRequest
from twopass.engines.model.folder import open_model

pytestmark = pytest.mark.gpu


def test_a_plan_that_does_not_open_is_built_anew(
    open_engine, golden, golden_pairs, monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = open_model("twopass-minilm-l6")
    first = open_engine(TensorRtEngine, folder, max_batch_tokens=1_024)
    first.close()
    request = PlanRequest(folder, find_tensorrt(), str(device_kind()), 1_024)
    file = PlanCache(default_plan_folder()).plan_file(request.key)
    file.write_bytes(b"no plan")
    label = json.loads(file.with_suffix(".json").read_text())
    label["sha256"] = hashlib.sha256(b"no plan").hexdigest()
    file.with_suffix(".json").write_text(json.dumps(label))
    with caplog.at_level("WARNING", "twopass.engines"):
        again = open_engine(TensorRtEngine, folder, max_batch_tokens=1_024)
    assert any("does not open, building it anew" in r.getMessage() for r in caplog.records)
    np.testing.assert_allclose(again.submit(golden_pairs).result(), golden.logits, atol=2e-2)
