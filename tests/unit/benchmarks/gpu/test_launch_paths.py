"""Launch paths beside each other: a row for each path and shape."""

import pytest

from twopass.benchmarks.gpu.launch_paths import compare_launch_paths
from twopass.engines.model.folder import open_model

from ...engines.small_models import random_tensors, small_config, write_model


def test_a_cpu_has_one_path_and_a_row_for_each_shape(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")
    config = small_config(vocab_size=30_000, max_position_embeddings=512)
    write_model(tmp_path, config, random_tensors(config), settings={"kind": "reranker"})
    rows = compare_launch_paths(
        open_model(str(tmp_path)), device="cpu", seconds=0.001, shapes=[(2, 9)], mixed_pairs=3
    )
    assert [(row["paths"], row["shape"]) for row in rows] == [
        ("one by one", "2 x 9"),
        ("one by one", "mixed"),
    ]
    for row in rows:
        assert row["ms"] > 0
        assert row["pairs/s"] > 0
        assert row["padding"] == row["graphs"] == 0
