"""Fused kernels beside PyTorch's own operations, and whole models with them against references."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.pytorch.forward import fused_rows
from twopass.engines.gpu.pytorch.forward.attention import PackedTokens
from twopass.engines.gpu.pytorch.forward.encoder import TorchEncoder
from twopass.engines.gpu.pytorch.forward.fused_rows import FusedRowOps, find_kernels
from twopass.engines.gpu.pytorch.forward.row_ops import EmbeddingTables, Hidden, PlainRowOps
from twopass.engines.model.architecture import Activation
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import open_model
from twopass.engines.model.pooling import EmbeddingHead, Pooling

from .... import encoder_reference
from ....random_encoders import CONFIGS, DEBERTA_CONFIGS, float32s, write_encoder
from ....small_models import batch_of, random_rows
from .interpreted import kernels as kernels  # a fixture

ALL_CONFIGS = CONFIGS | DEBERTA_CONFIGS
LENGTHS = [1, 2, 7, 24, 16, 17, 3]
QUERY_LENGTHS = [1, 1, 3, 15, 8, 2, 2]
HEADS = {
    "reranker": None,
    "encoder": EmbeddingHead(tuple(Pooling)),
    "first token": EmbeddingHead((Pooling.CLS,)),
}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")


def architecture_of(**changes):
    """A BERT's, with changes."""
    return replace(read_architecture(CONFIGS["bert"]), **changes)


def both(torch, kernels, architecture, dtype):
    return PlainRowOps(torch, architecture, dtype), FusedRowOps(torch, kernels, architecture, dtype)


def drawn(torch, *shape, seed=0, dtype=None):
    values = np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)
    return torch.from_numpy(values).to(dtype or torch.float32)


def norm_of(torch, width):
    return drawn(torch, width, seed=7), drawn(torch, width, seed=8)


def close(found, expected, torch):
    """As far apart as one rounding to their type may put them."""
    tolerance = 2e-5 if expected.dtype is torch.float32 else 4e-3
    np.testing.assert_allclose(
        found.float().numpy(), expected.float().numpy(), rtol=tolerance, atol=tolerance
    )


many = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
widths = st.sampled_from([8, 63, 64, 65, 384, 1_100])
counts = st.integers(1, 9)


@many
@given(width=widths, count=counts, norm_first=st.booleans(), half=st.booleans())
def test_sums_and_norms_are_those_of_pytorch(torch, kernels, width, count, norm_first, half):
    dtype = torch.float16 if half else torch.float32
    architecture = architecture_of(hidden_size=width, norm_first=norm_first, norm_eps=1e-5)
    plain, fused = both(torch, kernels, architecture, dtype)
    x, added = drawn(torch, count, width), drawn(torch, count, width, seed=1, dtype=dtype)
    norm = norm_of(torch, width)
    wide = torch.float16 if half and not norm_first else torch.float32
    x = x.to(wide)
    given_fused, given_plain = Hidden(x, x), Hidden(x.float(), x.float())
    expected = plain.add_norm(given_plain, added, norm)
    found = fused.add_norm(given_fused, added, norm)
    assert found.wide.dtype is wide
    assert found.narrow.dtype is dtype
    close(found.wide, expected.wide.to(wide), torch)
    close(found.narrow, expected.narrow.to(dtype), torch)
    last = fused.add_norm(given_fused, added, norm, is_last=True)
    assert last.wide.dtype is torch.float32
    close(last.wide, expected.wide, torch)
    sums, normed = fused.add_and_norm(given_fused, added, norm)
    close(sums.wide, (x.float() + added.float()).to(wide), torch)
    close(normed.wide, expected.wide.to(wide), torch)
    close(fused.norm(given_fused, norm).wide, plain.norm(given_plain, norm).wide.to(wide), torch)


@many
@given(
    activation=st.sampled_from(Activation),
    width=st.sampled_from([8, 96, 1_025]),
    count=counts,
    half=st.booleans(),
)
def test_gated_activations_are_those_of_pytorch(torch, kernels, activation, width, count, half):
    architecture = architecture_of(activation=activation, gated=True)
    plain, fused = both(torch, kernels, architecture, torch.float32)
    inner = drawn(torch, count, 2 * width)
    if half:  # once rounded, where PyTorch rounds twice
        close(fused.activate(inner.half()), plain.activate(inner.half().float()).half(), torch)
    else:
        close(fused.activate(inner), plain.activate(inner), torch)


@many
@given(count=counts, num_heads=st.sampled_from([1, 2, 12]), head_dim=st.sampled_from([4, 24, 64]))
def test_rotations_are_those_of_pytorch(torch, kernels, count, num_heads, head_dim):
    architecture = architecture_of(num_heads=num_heads, hidden_size=num_heads * head_dim)
    plain, fused = both(torch, kernels, architecture, torch.float16)
    projected = drawn(torch, count, 3 * num_heads * head_dim, dtype=torch.float16)
    angles = drawn(torch, count, 1, head_dim // 2, seed=3)
    rotation = angles.cos(), angles.sin()
    expected = plain.heads(projected.clone(), rotation)
    for one, other in zip(fused.heads(projected.clone(), rotation), expected, strict=True):
        close(one, other, torch)
    for one, other in zip(fused.heads(projected, None), plain.heads(projected, None), strict=True):
        assert one.equal(other)


@many
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    num_types=st.integers(0, 2),
    has_positions=st.booleans(),
    half=st.booleans(),
)
def test_embeddings_are_those_of_pytorch(torch, kernels, lengths, num_types, has_positions, half):
    dtype, width = (torch.float16 if half else torch.float32), 24
    plain, fused = both(torch, kernels, architecture_of(hidden_size=width), dtype)
    tables = EmbeddingTables(
        drawn(torch, 40, width, dtype=dtype),
        drawn(torch, 11, width, seed=1)[2:] if has_positions else None,
        drawn(torch, num_types, width, seed=2) if num_types else None,
        norm_of(torch, width),
    )
    batch = batch_of(random_rows(lengths), [max(1, n // 2) for n in lengths])
    ids, offsets, query_lengths = map(
        torch.from_numpy, (batch.token_ids, batch.offsets, batch.query_lengths)
    )
    packed = PackedTokens(torch, offsets, len(ids), max(lengths))
    expected = plain.embed(tables, ids, query_lengths, packed)
    found = fused.embed(tables, ids, query_lengths, packed)
    assert found.narrow.dtype is dtype
    close(found.wide, expected.wide.to(found.wide.dtype), torch)
    close(found.narrow, expected.narrow.to(dtype), torch)


def encoders(torch, kernels, folder, name, head, dtype):
    architecture = read_architecture(ALL_CONFIGS[name])
    weights = write_encoder(folder, name)
    plain = TorchEncoder(
        torch, architecture, weights, head=head, device=torch.device("cpu"), dtype=dtype
    )
    return plain, plain.with_ops(FusedRowOps(torch, kernels, architecture, dtype)), weights


def outputs(torch, encoder, batch, *, has_empty=False):
    parts = map(torch.from_numpy, (batch.token_ids, batch.offsets, batch.query_lengths))
    with torch.inference_mode():
        found = encoder.forward(*parts, int(batch.lengths.max()), has_empty=has_empty)
    assert found.dtype is torch.float32
    return found.numpy()


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_every_family_gives_the_logits_of_the_reference(torch, kernels, tmp_path, name):
    _, fused, weights = encoders(torch, kernels, tmp_path, name, None, torch.float32)
    rows = random_rows(LENGTHS)
    found = outputs(torch, fused, batch_of(rows, QUERY_LENGTHS))
    architecture, tensors = fused.architecture, float32s(weights)
    pairs = zip(rows, QUERY_LENGTHS, strict=True)
    expected = [encoder_reference.logit(architecture, tensors, *pair) for pair in pairs]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_fused_kernels_change_half_precision_as_much_as_rounding_does(
    torch, kernels, tmp_path, name, head
):
    plain, fused, _ = encoders(torch, kernels, tmp_path, name, HEADS[head], torch.float16)
    batch = batch_of(random_rows(LENGTHS), QUERY_LENGTHS)
    exact = TorchEncoder(
        torch,
        plain.architecture,
        write_encoder(tmp_path, name),
        head=HEADS[head],
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    expected = outputs(torch, exact, batch)
    rounded = np.abs(outputs(torch, plain, batch) - expected).max()
    found = np.abs(outputs(torch, fused, batch) - expected).max()
    # What graphs are held to is 32 units in the last place.
    assert found <= max(2 * rounded, 8 * np.finfo(np.float16).eps)


@pytest.mark.parametrize("head", HEADS)
def test_empty_sequences_at_the_end_harm_no_other(torch, kernels, tmp_path, head):
    _, fused, _ = encoders(torch, kernels, tmp_path, "bert", HEADS[head], torch.float32)
    batch = batch_of(random_rows([5, 3]), [2, 1])
    parts = batch.token_ids, np.array([0, 5, 8, 8, 8], np.int32), np.array([2, 1, 0, 0], np.int32)
    with torch.inference_mode():
        found = fused.forward(*map(torch.from_numpy, parts), 5, has_empty=True)[:2].numpy()
    np.testing.assert_allclose(found, outputs(torch, fused, batch), rtol=1e-5, atol=1e-6)


class CountedKernels:
    """Kernels that do nothing, and how often each is launched."""

    def __init__(self):
        self.launches = Counter()

    def rows_a_program(self, width):
        return 4, 1 << (width - 1).bit_length()

    def blocks(self, count, size=1_024):
        return -(-count // size)

    def __getattr__(self, name):
        def launch(*_, **__):
            self.launches[name] += 1

        return _Grids(launch)


class _Grids(dict):
    """A launch for whatever grid."""

    def __init__(self, launch):
        super().__init__()
        self.launch = launch

    def __missing__(self, grid):
        return self.launch


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_no_step_needs_a_number_that_the_device_has_yet_to_compute(torch, tmp_path, name, head):
    fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor")
    counted = CountedKernels()
    _, fused, _ = encoders(torch, counted, tmp_path, name, HEADS[head], torch.float16)
    # Fake tensors have shapes and no contents, as while a graph is captured.
    with fake_tensor.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        parts = (
            mode.from_tensor(torch.tensor(numbers, dtype=torch.int32))
            for numbers in ([7] * 10, [0, 3, 10], [1, 2])
        )
        found = fused.forward(*parts, 7, has_empty=True)
    assert len(found) == 2
    assert found.dtype is torch.float32
    architecture = fused.architecture
    assert counted.launches["embed_norm"] == 1
    blocks = 2 * architecture.num_layers  # each ends in a sum and a norm
    first = int(architecture.norm_first and architecture.first_attention_norm)
    convolved = int(architecture.convolution is not None)
    assert counted.launches["add_norm"] == blocks + first + convolved


def golden_engine(torch, kernels, name, dtype):
    folder = open_model(name)
    architecture = read_architecture(folder.config)
    plain = TorchEncoder(
        torch,
        architecture,
        folder.open_weights(),
        head=None if name == "twopass-minilm-l6" else folder.head,
        device=torch.device("cpu"),
        dtype=dtype,
    )
    return plain.with_ops(FusedRowOps(torch, kernels, architecture, dtype))


# What engines promise of float16, and of float32 in another order.
@pytest.mark.slow
@pytest.mark.parametrize(("half", "tolerance"), [(True, 2e-2), (False, 1e-4)], ids=["fp16", "f32"])
def test_logits_are_the_golden_ones(torch, kernels, golden, reranker, half, tolerance):
    separator = reranker.tokenizer.template.separator[0]
    batch = batch_of(golden.pair_ids, [ids.index(separator) + 1 for ids in golden.pair_ids])
    dtype = torch.float16 if half else torch.float32
    fused = golden_engine(torch, kernels, "twopass-minilm-l6", dtype)
    found = outputs(torch, fused, batch)
    np.testing.assert_allclose(found, golden.logits, rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(("half", "tolerance"), [(True, 2e-3), (False, 1e-5)], ids=["fp16", "f32"])
def test_embeddings_are_the_golden_ones(torch, kernels, golden, encoder, half, tolerance):
    template = encoder.tokenizer.single
    texts = encoder.tokenizer.encode(golden.texts, 256 - template.num_tokens)
    rows = [[*template.prefix, *texts[i], *template.suffix] for i in range(len(texts))]
    batch = batch_of(rows, [len(row) for row in rows])
    dtype = torch.float16 if half else torch.float32
    fused = golden_engine(torch, kernels, "all-MiniLM-L6-v2", dtype)
    found = outputs(torch, fused, batch)
    np.testing.assert_allclose(found, golden.embeddings, rtol=0, atol=tolerance)


def test_where_triton_is_missing_one_sentence_says_so(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'triton'")

    monkeypatch.setattr(fused_rows.importlib, "import_module", missing)
    with pytest.raises(EngineUnavailableError, match=r"Triton does not load \(No module named"):
        find_kernels()


def test_rows_that_no_program_can_hold_are_refused():
    architecture = architecture_of(hidden_size=16_384)
    with pytest.raises(EngineUnavailableError, match="rows of 16384 columns, at most 8192"):
        FusedRowOps(None, None, architecture, None)
