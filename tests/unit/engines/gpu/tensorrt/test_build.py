"""Real plans by the real builder: TensorRT-RTX's needs no GPU. Running them does; see `gpu` tests.

Building takes half a minute a model, so the plans are built once.
"""

import pytest

from twopass.engines.errors import EngineUnavailableError, ModelError
from twopass.engines.gpu.tensorrt.api import find_tensorrt
from twopass.engines.gpu.tensorrt.build import Profile, build_plan, profiles_of
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache
from twopass.engines.gpu.tensorrt.plans import PlanRequest, build_into, cached_plan
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import open_model
from twopass.engines.onnx.bucket_grid import BUCKETS, BucketGrid
from twopass.engines.onnx.graph_writer import ComputeType
from twopass.engines.onnx.half_precision import graph_of

from ...random_encoders import ALL_CONFIGS, write_encoder
from ...small_models import random_tensors, small_config, write_model

MODELS = ["twopass-minilm-l6", "all-MiniLM-L6-v2"]


@pytest.fixture(scope="module")
def tensorrt():
    try:
        found = find_tensorrt()
    except EngineUnavailableError as error:
        pytest.skip(str(error))
    if not found.is_portable:
        pytest.skip("tensorrt builds on a GPU alone; tensorrt-rtx-cu13 builds anywhere")
    return found


@pytest.fixture(scope="module", params=MODELS)
def built(request, tensorrt, tmp_path_factory):
    """A shipped model's request, its plan for all buckets, and the cache it was put in."""
    cache = PlanCache(tmp_path_factory.mktemp("cache") / "plans")
    wanted = PlanRequest(open_model(request.param), tensorrt)
    phases: list[tuple[str, int, int]] = []
    plan, _ = build_into(cache, wanted, progress=lambda *step: phases.append(step))
    return wanted, plan, cache, phases


def test_there_is_a_profile_for_each_bucket_of_the_model(built):
    wanted, plan, _, _ = built
    expected = [b for b in BUCKETS if b <= wanted.folder.spec.max_seq_len]
    assert [profile.seq_len for profile in wanted.key.profiles] == expected
    for number, profile in enumerate(wanted.key.profiles):
        suffix = f" [profile {number}]" if number else ""
        inputs = f"input_ids{suffix} (Int32[-1,{profile.seq_len}])"
        assert any(inputs in line for line in plan.log), inputs


def test_products_are_of_half_precision_but_for_the_head(built):
    _, plan, _, _ = built
    head = {name for name in plan.products if name.startswith("head/")}
    layers = plan.products.keys() - head
    assert {plan.products[name] for name in layers} == {"HALF"}
    # Six layers: query, key, value, output, intermediate, output; and two of attention.
    assert len(layers) == 6 * 8


def test_attention_is_fused_in_every_layer(built):
    _, plan, _, _ = built
    for layer in range(6):
        nodes = [n for n in plan.fused_attention if n.startswith(f"layer.{layer}/")]
        assert sorted(n.partition("/")[2].partition("_")[0] for n in nodes) == [
            "MatMul",
            "MatMul",
            "Softmax",
        ]


def test_memory_does_not_grow_with_the_square_of_the_length(built):
    """Else scores would be written out: 32 * 12 * 512 * 512 * 2 = 201 MB in the bucket of 512."""
    _, plan, _, _ = built
    assert max(plan.scratch_bytes) < 1.05 * min(plan.scratch_bytes)
    assert max(plan.scratch_bytes) < 150e6


def test_progress_goes_from_beginning_to_end(built):
    _, _, _, phases = built
    assert phases
    assert all(0 <= done <= total for _, done, total in phases)
    first, last = phases[0], phases[-1]
    assert first[0] == last[0]
    assert (first[1], last[1]) == (0, last[2])


def test_the_next_start_takes_the_plan_from_the_cache(built, caplog):
    wanted, plan, cache, _ = built
    with caplog.at_level("INFO", "twopass.engines"):
        assert cached_plan(cache, wanted) == plan.data
    assert not caplog.records  # nothing was built


def test_a_plan_that_is_damaged_is_built_anew_and_said_to_be(tensorrt, tmp_path, caplog):
    config = small_config()
    folder = write_model(tmp_path / "model", config, random_tensors(config))
    wanted = PlanRequest(open_model(str(folder)), tensorrt, max_batch_tokens=64)
    cache = PlanCache(tmp_path / "plans")
    cached_plan(cache, wanted)
    cache.plan_file(wanted.key).write_bytes(b"damaged")
    with caplog.at_level("INFO", "twopass.engines"):
        assert len(cached_plan(cache, wanted)) > 1_000
    messages = [record.getMessage() for record in caplog.records]
    assert "its sha256 is another: building it anew" in messages[0]
    assert messages[-1] == "plan built"


def test_other_shapes_and_weights_have_other_keys(tensorrt, tmp_path):
    config = small_config()
    wanted = [
        PlanRequest(
            open_model(
                str(write_model(tmp_path / str(seed), config, random_tensors(config, seed=seed)))
            ),
            tensorrt,
            max_batch_tokens=tokens,
        )
        for seed, tokens in [(0, 64), (0, 128), (1, 64)]
    ]
    assert len({request.key.digest for request in wanted}) == 3
    assert {request.key.gpu for request in wanted} == {"any"}


def test_a_graph_that_tensorrt_refuses_is_a_model_error_with_its_words(tensorrt):
    graph = graph_of(open_model(MODELS[0]), ComputeType.F16)
    product = next(node for node in graph.graph.node if node.op_type == "MatMul")
    product.op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match=r"does not parse the graph: .*NoSuchOperator"):
        build_plan(tensorrt, graph, (Profile(32, 1, 1),))


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_every_family_becomes_a_plan_whose_attention_is_fused_in_every_layer(
    tensorrt, tmp_path, name
):
    write_encoder(tmp_path, name)
    folder = open_model(str(tmp_path))
    graph = graph_of(folder, ComputeType.F16)
    plan = build_plan(tensorrt, graph, (Profile(16, 2, 4), Profile(24, 1, 4)))
    num_layers = read_architecture(folder.config).num_layers
    for layer in range(num_layers):
        nodes = [n for n in plan.fused_attention if n.startswith(f"layer.{layer}/")]
        operators = sorted(n.partition("/")[2].partition("_")[0] for n in nodes)
        assert operators == ["MatMul", "MatMul", "Softmax"], f"layer {layer}"
    layers = {n: kind for n, kind in plan.products.items() if n.startswith("layer.")}
    assert set(layers.values()) == {"HALF"}
    # Query, key, value, output, up, down, and two of attention; more where there is a gate or
    # positions have products of their own.
    assert len(layers) >= 8 * num_layers


def test_the_scores_of_a_long_modernbert_are_never_written_out(tensorrt, tmp_path):
    """Memory for one global layer's scores would be 2 * 2,048 * 2,048 * 2 bytes = 17 MB a row."""
    write_encoder(tmp_path, "modernbert", max_position_embeddings=2_048, local_attention=128)
    graph = graph_of(open_model(str(tmp_path)), ComputeType.F16)
    plan = build_plan(tensorrt, graph, (Profile(128, 64, 128), Profile(2_048, 4, 8)))
    assert max(plan.scratch_bytes) < 1.1 * min(plan.scratch_bytes)


def test_a_profile_is_tuned_for_a_full_batch_of_short_sequences_and_one_of_long():
    profiles = profiles_of(BucketGrid((32, 512), 16_384))
    assert profiles == (Profile(32, 256, 512), Profile(512, 16, 32))
    assert profiles_of(BucketGrid((16_384,), 16_384)) == (Profile(16_384, 1, 1),)
