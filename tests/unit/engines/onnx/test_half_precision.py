import dataclasses

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.folder import open_model
from twopass.engines.onnx.graph_writer import ComputeType
from twopass.engines.onnx.half_precision import (
    HALF_MAX,
    graph_of,
    largest_activations,
    outputs,
)

from ..random_encoders import ALL_CONFIGS, write_encoder
from ..small_models import (
    batch_of,
    random_rows,
    random_tensors,
    small_config,
    write_model,
)

MODELS = ["twopass-minilm-l6", "all-MiniLM-L6-v2"]
# What the engines on a GPU promise of a logit against single precision.
LOGIT_TOLERANCE = 2e-2
# Components of a unit vector of 384 are about 0.05; their errors fall with their size.
EMBEDDING_TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def batches(golden, reranker, encoder):
    """The golden pairs, long ones too, and the golden texts."""
    separator = reranker.tokenizer.template.separator[0]
    pairs = batch_of(golden.pair_ids, [ids.index(separator) + 1 for ids in golden.pair_ids])
    template = encoder.tokenizer.single
    texts = encoder.tokenizer.encode(golden.texts, 256 - template.num_tokens)
    rows = [[*template.prefix, *texts[i], *template.suffix] for i in range(len(texts))]
    return dict(zip(MODELS, (pairs, batch_of(rows, [len(r) for r in rows])), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "tolerance"),
    [(MODELS[0], LOGIT_TOLERANCE), (MODELS[1], EMBEDDING_TOLERANCE)],
    ids=MODELS,
)
def test_half_precision_is_close_to_single_on_real_text(batches, model, tolerance):
    folder = open_model(model)
    single = outputs(graph_of(folder, ComputeType.F32), batches[model])
    half = outputs(graph_of(folder, ComputeType.F16), batches[model])
    np.testing.assert_allclose(half, single, rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_activations_stay_far_below_the_range_of_half_precision(batches, model):
    single = graph_of(open_model(model), ComputeType.F32)
    activations = largest_activations(single, batches[model])
    parts = [activation.part for activation in activations]
    assert parts[:2] == ["embeddings", "layer.0"]
    assert "layer.5" in parts
    assert max(activation.share_of_range for activation in activations) < 1 / 16


def test_the_part_whose_values_overflow_is_the_one_that_is_named(tmp_path):
    tensors = random_tensors(small_config())
    tensors["encoder.layer.1.intermediate.dense.bias"][:] = 2 * HALF_MAX
    folder = open_model(str(write_model(tmp_path, small_config(), tensors)))
    batch = batch_of(random_rows([3, 7]), [1, 2])
    activations = largest_activations(graph_of(folder, ComputeType.F32), batch)
    overflowing = {a.part for a in activations if a.share_of_range > 1}
    assert overflowing == {"layer.1"}


# What each form has besides, made too large for float16: where it is counted.
TOO_LARGE = {
    "modernbert": ("model.layers.1.mlp.Wi.weight", "layer.1"),
    "electra": ("embeddings_project.bias", "embeddings"),
    "deberta": ("encoder.layer.2.attention.self.query_proj.bias", "layer.2"),
    "deberta-convolution": ("encoder.conv.conv.bias", "layer.0"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_values_of_every_form_that_overflow_are_counted_in_their_part(tmp_path, name):
    tensor, part = TOO_LARGE[name]
    write_encoder(tmp_path, name)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    tensors[tensor.removeprefix("model.")] *= np.float32(1e7)
    save_file(tensors, file)
    batch = batch_of(random_rows([3, 7]), [1, 2])
    graph = graph_of(open_model(str(tmp_path)), ComputeType.F32)
    shares = {a.part: a.share_of_range for a in largest_activations(graph, batch)}
    assert shares[part] > 1
    before = [share for named, share in shares.items() if named < part and named != "head"]
    assert max(before, default=0) < 1


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_residual_sums_and_heads_are_not_counted_since_they_stay_in_float32(tmp_path, name):
    write_encoder(tmp_path, name)
    batch = batch_of(random_rows([3, 7]), [1, 2])
    graph = graph_of(open_model(str(tmp_path)), ComputeType.F32)
    assert "head" not in [a.part for a in largest_activations(graph, batch)]


def test_counting_leaves_the_graph_as_it_was(tmp_path):
    folder = open_model(str(write_model(tmp_path, small_config(), random_tensors(small_config()))))
    graph = graph_of(folder, ComputeType.F32)
    before = graph.SerializeToString()
    largest_activations(graph, batch_of(random_rows([3]), [1]))
    assert onnx.ModelProto.FromString(before) == graph


def test_a_model_without_safetensors_is_refused_with_a_way_out():
    folder = dataclasses.replace(open_model(MODELS[0]), weight_files=())
    with pytest.raises(UnsupportedModelError, match=r"model\.safetensors.*engine onnxruntime"):
        graph_of(folder, ComputeType.F16)
