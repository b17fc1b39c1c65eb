"""An update of the weights: nothing in it waits for the device."""

import importlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra training")
transformers = pytest.importorskip("transformers", reason="needs the extra training")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from twopass.engines.base.sequences import Ragged  # noqa: E402
from twopass.training.computing import attention, packed_encoder  # noqa: E402
from twopass.training.computing.cross_encoder import CrossEncoder  # noqa: E402
from twopass.training.computing.packed_encoder import PackedEncoder, PartTensors  # noqa: E402
from twopass.training.computing.update import Update, schedule  # noqa: E402
from twopass.training.examples.layout import PartArrays, PartSize, lay_out  # noqa: E402
from twopass.training.examples.sampling import StepExamples  # noqa: E402
from twopass.training.options import TrainingOptions  # noqa: E402

OPTIONS = TrainingOptions(steps=100, learning_rate=1e-3, frozen_embeddings=True)
# What has the host read the device, or a shape that only the device knows.
WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "item", "equal", "masked_select", "unique")


class NoWaits(TorchDispatchMode):
    """Raises where the host would wait for the device; counts what is launched."""

    def __init__(self):
        super().__init__()
        self.launches = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().removeprefix("aten::").partition(".")[0]
        kwargs = kwargs or {}
        if name in WAITS:
            raise AssertionError(f"the host waits for {func.name()}")
        if name == "repeat_interleave" and kwargs.get("output_size") is None:
            raise AssertionError("repeat_interleave counts its output")
        result = func(*args, **kwargs)
        devices = {t.device.type for t in args if isinstance(t, torch.Tensor)}
        if devices == {"meta"} and isinstance(result, torch.Tensor):
            assert result.device.type == "meta", f"{func.name()} brings something to the host"
        self.launches += 1
        return result


class Event:
    """A GPU's, imagined."""

    def record(self):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        vocab_size=500,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def parts_of(num_groups=6, tokens=300):
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 6, num_groups)
    lengths = rng.integers(3, 60, sizes.sum())
    step = StepExamples(
        Ragged.from_rows([rng.integers(5, 500, n).astype(np.int32) for n in lengths]),
        np.minimum(lengths, 7).astype(np.int32),
        sizes,
        rng.normal(0, 2, len(lengths)).astype(np.float32),
    )
    size = PartSize(tokens, 8, 64)
    return list(lay_out(step, size, 0)), size


def test_nothing_in_an_update_reads_what_was_computed(folder):
    model = CrossEncoder(folder, frozen_embeddings=True)
    update = Update(model, OPTIONS)
    laid_out, size = parts_of()
    tensors = [torch.from_numpy(part.array) for part in laid_out]
    assert len(tensors) > 1
    with NoWaits():
        for step in range(2):
            update(model.parts(laid_out, tensors, size), step)


def test_on_a_gpu_an_update_waits_for_nothing(folder, monkeypatch):
    """With tensors that have shapes, and nothing in them that could be read."""
    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="needs PyTorch 2.10")
    monkeypatch.setattr(packed_encoder, "packed_kernel", lambda *_: varlen.varlen_attn)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    # Which devices the fused optimiser has a kernel for is asked before it is launched.
    adam = importlib.import_module("torch.optim.adam")
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda *_, **__: None)
    laid_out, _ = parts_of()
    model = CrossEncoder(folder, frozen_embeddings=True)
    model.module.to("meta")
    model.device = torch.device("cuda")
    model._encoder = PackedEncoder(model.module, model.device)
    assert not model._encoder.pads_attention
    update = Update(model, OPTIONS)
    parts = [
        PartTensors(
            part.shape,
            PartArrays.within(torch.from_numpy(part.array).to("meta"), part.shape, torch.float32),
            [],
        )
        for part in laid_out
    ]
    assert len(parts) > 1
    launches = []
    for number in range(1, len(parts) + 1):
        with NoWaits() as counted:
            loss = update(parts[:number], 1)
        launches.append(counted.launches)
        assert loss.is_meta
    assert all(p.grad.dtype is torch.float32 for p in model.parameters())
    # Two layers. Of each part as many, and beside them the same few for all weights together.
    a_part = np.diff(launches[1:])
    assert len(set(a_part.tolist())) == 1
    assert launches[0] < 2 * a_part[0]


def test_the_kernel_for_unequal_lengths_wants_a_gpu_and_heads_that_it_knows(monkeypatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert attention.packed_kernel(cpu, 32) is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert attention.packed_kernel(gpu, 32) is None
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert attention.packed_kernel(gpu, 12) is None
    assert attention.packed_kernel(gpu, 264) is None
    assert attention.packed_kernel(gpu, 32) is not None


def test_weights_move_by_what_all_parts_say_together(folder):
    """Whatever the parts, the update is the same but for rounding."""
    ends = []
    for tokens in (1, 300, 10_000):
        model = CrossEncoder(folder, frozen_embeddings=True)
        update = Update(model, OPTIONS)
        laid_out, size = parts_of(tokens=tokens)
        tensors = [torch.from_numpy(part.array) for part in laid_out]
        loss = update(model.parts(laid_out, tensors, size), 3)
        ends.append((float(loss), [p.detach().clone() for p in model.parameters()]))
    for loss, weights in ends[1:]:
        assert loss == pytest.approx(ends[0][0], rel=1e-2)
        moved = [
            float((a - b).norm() / (1e-9 + b.norm()))
            for a, b in zip(weights, ends[0][1], strict=True)
        ]
        assert np.mean(moved) < 0.01


def updated(model, update, step=0):
    laid_out, size = parts_of()
    tensors = [torch.from_numpy(part.array) for part in laid_out]
    parts = model.parts(laid_out, tensors, size)
    update(parts, step)
    return parts


def test_a_step_computes_with_what_the_last_update_made(folder):
    model = CrossEncoder(folder, frozen_embeddings=True)
    first, *_ = updated(model, Update(model, OPTIONS))
    with torch.no_grad():
        before = model.logits(first)
        model.begin_step()
        after = model.logits(first)
        copied_anew = PackedEncoder(model.module, model.device).logits(first)
    assert not torch.equal(before, after)
    assert torch.equal(after, copied_anew)


def test_gradients_together_are_no_longer_than_one(folder):
    model = CrossEncoder(folder, frozen_embeddings=True)
    with torch.no_grad():
        model.module.classifier.weight *= 1_000
    update = Update(model, OPTIONS)
    parts = updated(model, update)
    clipped = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    update.gradients(parts)
    whole = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    assert float(clipped) == pytest.approx(1, rel=1e-3)
    assert whole > 2


@pytest.mark.parametrize("step", [0, 50, 99])
def test_no_weight_moves_further_than_the_learning_rate_of_the_step(folder, step):
    model = CrossEncoder(folder, frozen_embeddings=True)
    start = torch.cat([p.detach().flatten() for p in model.parameters()])
    updated(model, Update(model, OPTIONS), step)
    moved = (torch.cat([p.detach().flatten() for p in model.parameters()]) - start).abs().max()
    # The first update of Adam is the learning rate itself, and weight decay is a hundredth of it.
    rate = OPTIONS.learning_rate * schedule(step, OPTIONS.steps)
    assert float(moved) == pytest.approx(rate, rel=0.05)


def test_the_learning_rate_rises_then_falls_to_nothing():
    rates = [schedule(step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.96])
    assert rates[-1] == pytest.approx(0.01)
    assert rates[5:] == sorted(rates[5:], reverse=True)
