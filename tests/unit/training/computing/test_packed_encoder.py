"""The forward and the backward pass over sequences end to end, beside transformers' own, padded."""

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra training")
transformers = pytest.importorskip("transformers", reason="needs the extra training")

from twopass.engines.base.sequences import Ragged  # noqa: E402
from twopass.training.computing import cross_encoder, packed_encoder  # noqa: E402
from twopass.training.computing.attention import PackedAttention, PaddedAttention, attend  # noqa: E402
from twopass.training.computing.cross_encoder import CrossEncoder  # noqa: E402
from twopass.training.computing.devices import Computing  # noqa: E402
from twopass.training.computing.objective import listwise_loss  # noqa: E402
from twopass.training.examples.layout import PartSize, lay_out, rectangles  # noqa: E402
from twopass.training.examples.sampling import StepExamples  # noqa: E402
from twopass.training.pairs import TrainingError  # noqa: E402

PAD = 1
SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 500,
    "pad_token_id": PAD,
}
MODELS = {
    "BERT": lambda: transformers.BertForSequenceClassification(
        transformers.BertConfig(**SHAPE, max_position_embeddings=64, num_labels=1)
    ),
    "RoBERTa": lambda: transformers.RobertaForSequenceClassification(
        transformers.RobertaConfig(
            **SHAPE, max_position_embeddings=66, type_vocab_size=1, num_labels=1
        )
    ),
    "ELECTRA": lambda: transformers.ElectraForSequenceClassification(
        transformers.ElectraConfig(
            **SHAPE, embedding_size=32, max_position_embeddings=64, num_labels=1
        )
    ),
    "DistilBERT": lambda: transformers.DistilBertForSequenceClassification(
        transformers.DistilBertConfig(
            dim=64, hidden_dim=128, n_layers=2, n_heads=2, vocab_size=500, pad_token_id=PAD,
            max_position_embeddings=64, num_labels=1,
        )
    ),
}  # fmt: skip
WITHOUT_TYPES = {"RoBERTa", "DistilBERT"}
OTHERS = {
    "DeBERTa": lambda: transformers.DebertaV2ForSequenceClassification(
        transformers.DebertaV2Config(
            **SHAPE, max_position_embeddings=64, num_labels=1, relative_attention=True,
            pos_att_type=["p2c", "c2p"],
        )
    ),
    "MPNet": lambda: transformers.MPNetForSequenceClassification(
        transformers.MPNetConfig(**SHAPE, max_position_embeddings=66, num_labels=1)
    ),
    "ModernBERT": lambda: transformers.ModernBertForSequenceClassification(
        transformers.ModernBertConfig(
            **SHAPE, max_position_embeddings=64, num_labels=1, bos_token_id=2, eos_token_id=3,
            cls_token_id=2, sep_token_id=3,
        )
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """A random model of a family, with norms and biases that do something."""

    def make(family):
        folder = tmp_path_factory.mktemp(family)
        torch.manual_seed(0)
        model = (MODELS | OTHERS)[family]()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def in_float32(monkeypatch):
    """Products in float32, so that what differs by rounding alone is nearly equal."""

    def autocast(device, dtype):
        return original(device, dtype=dtype, enabled=False)

    original = torch.autocast
    monkeypatch.setattr(torch, "autocast", autocast)
    monkeypatch.setattr(packed_encoder, "PRODUCTS", torch.float32)


def step_of(seed, num_groups=7, *, has_types=True):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, num_groups)
    lengths = rng.integers(3, 60, sizes.sum())
    return StepExamples(
        Ragged.from_rows([rng.integers(5, 500, n).astype(np.int32) for n in lengths]),
        np.minimum(lengths, 7 if has_types else 60).astype(np.int32),
        sizes,
        rng.normal(0, 2, len(lengths)).astype(np.float32),
    )


def loss_and_gradients(model, step, size):
    parts = list(lay_out(step, size, PAD))
    model.begin_step()
    total = 0.0
    tensors = [torch.from_numpy(part.array) for part in parts]
    for part in model.parts(parts, tensors, size):
        loss = listwise_loss(
            model.logits(part), part.arrays.rows, part.arrays.teaching, teacher_weight=0.3
        )
        model.backward(loss)
        total += float(loss.detach())
    return total, {
        name: parameter.grad.clone()
        for name, parameter in model.module.named_parameters()
        if parameter.requires_grad and parameter.grad is not None
    }


SIZES = [
    PartSize(1, 1, 10**6),
    PartSize(300, 8, 0),
    PartSize(500, 128, 64),
    PartSize(9_000, 128, 0),
]


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("family", MODELS)
def test_loss_and_gradients_are_those_of_the_padded_module(folder_of, family, frozen):
    folder = folder_of(family)
    plain = CrossEncoder(
        folder, frozen_embeddings=frozen, pad_id=PAD, computing=Computing(packed=False)
    )
    packed = CrossEncoder(folder, frozen_embeddings=frozen, pad_id=PAD)
    assert packed.is_packed
    assert not plain.is_packed
    for seed, size in enumerate(SIZES):
        step = step_of(seed, has_types=family not in WITHOUT_TYPES)
        # Group by group, in one rectangle each, which is how the loss is defined.
        expected, gradients = loss_and_gradients(plain, step, SIZES[0])
        for model in (packed, plain):
            loss, found = loss_and_gradients(model, step, size)
            assert loss == pytest.approx(expected, rel=1e-5)
            assert found.keys() == gradients.keys()
            for name, gradient in gradients.items():
                torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_in_bfloat16_it_is_as_near_to_float32_as_autocast(folder_of, monkeypatch):
    folder, step = folder_of("BERT"), step_of(3)
    found = {}
    for packed in (True, False):
        model = CrossEncoder(
            folder, frozen_embeddings=True, pad_id=PAD, computing=Computing(packed=packed)
        )
        found[packed] = loss_and_gradients(model, step, SIZES[2])[1]
    monkeypatch.setattr(packed_encoder, "PRODUCTS", torch.float32)
    exact = loss_and_gradients(
        CrossEncoder(folder, frozen_embeddings=True, pad_id=PAD), step, SIZES[2]
    )[1]

    def distance(gradients):
        return sum(float((gradients[n] - exact[n]).norm()) for n in exact) / sum(
            float(exact[n].norm()) for n in exact
        )

    assert distance(found[True]) < 1.3 * distance(found[False])


@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",
        pytest.param(
            "inductor",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler"),
            ],
        ),
    ],
)
def test_what_is_compiled_computes_the_same(folder_of, monkeypatch, backend):
    """Traced whole, without a break; by the compiler's first half, and by all of it."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f: compile_(f, backend=backend, fullgraph=True))
    folder = folder_of("BERT")
    models = [
        CrossEncoder(
            folder, frozen_embeddings=True, pad_id=PAD, computing=Computing(compiled=compiled)
        )
        for compiled in (False, True)
    ]
    for seed in range(3):
        (loss, plain), (same, compiled) = (
            loss_and_gradients(model, step_of(seed), SIZES[1]) for model in models
        )
        assert same == pytest.approx(loss, rel=1e-3)
        for name, gradient in plain.items():
            torch.testing.assert_close(compiled[name], gradient, rtol=0.05, atol=0.02)


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("family", OTHERS)
def test_a_family_of_other_terms_is_padded(folder_of, family, device, monkeypatch):
    """By the attention that transformers has for it on either device, computed here on a CPU."""
    attention = cross_encoder._attention(torch.device(device))
    monkeypatch.setattr(cross_encoder, "_attention", lambda _: attention)
    model = CrossEncoder(folder_of(family), frozen_embeddings=True, pad_id=PAD)
    assert not model.is_packed
    step = step_of(0, has_types=family not in {"MPNet", "ModernBERT"})
    # Group by group, in one rectangle each, which is how the loss is defined.
    expected, gradients = loss_and_gradients(model, step, SIZES[0])
    assert gradients
    for size in SIZES[1:]:
        loss, found = loss_and_gradients(model, step, size)
        assert loss == pytest.approx(expected, rel=1e-4)
        for name, gradient in gradients.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-2, atol=1e-4, msg=name)


@pytest.mark.parametrize("family", [*MODELS, *OTHERS])
def test_two_passes_of_one_step_are_the_same_since_nothing_is_dropped(folder_of, family):
    computing = Computing(packed=False)
    model = CrossEncoder(folder_of(family), frozen_embeddings=True, pad_id=PAD, computing=computing)
    step = step_of(1, has_types=False)
    (first, gradients), (second, others) = (
        loss_and_gradients(model, step, SIZES[1]) for _ in range(2)
    )
    assert first == second
    assert all(torch.equal(gradients[name], others[name]) for name in gradients)


def test_layers_of_families_that_are_built_otherwise_are_kept_whole(folder_of):
    with pytest.raises(TrainingError, match="layers: those of modernbert can't be dropped"):
        CrossEncoder(folder_of("ModernBERT"), frozen_embeddings=True, layers=1)
    small = CrossEncoder(folder_of("DistilBERT"), frozen_embeddings=True, layers=1)
    assert len(small.module.distilbert.transformer.layer) == 1


def plain_attention(query, key, value, offsets, *_):
    """The packed kernel's arguments, computed sequence by sequence."""
    found = []
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        heads = [x[begin:end].transpose(0, 1)[None] for x in (query, key, value)]
        found.append(attend(*heads, torch.zeros(1))[0].transpose(0, 1))
    return torch.cat(found)


@pytest.mark.parametrize("per_rectangle", [0, 200, 10**6])
def test_attention_in_rectangles_is_that_of_each_sequence_alone(per_rectangle):
    torch.manual_seed(0)
    lengths = np.array([70, 66, 65, 33, 32, 31, 7, 1, 1, 32, 9])
    offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    positions = torch.cat([torch.arange(n) for n in lengths]).int()
    projections = torch.randn(int(offsets[-1]), 3 * 16, requires_grad=True)
    outward = torch.randn(int(offsets[-1]), 16)
    padded = PaddedAttention(2, offsets, positions, rectangles(lengths, per_rectangle))
    packed = PackedAttention(plain_attention, 2, offsets, 70)
    found, gradients = [], []
    for attention in (padded, packed):
        context = attention(projections)
        found.append(context.detach())
        gradients.append(torch.autograd.grad((context * outward).sum(), projections)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
