"""The forward pass in PyTorch as a GPU sees it: never waited for."""

import pytest

from twopass.engines.gpu.torch_encoder import TorchEncoder
from twopass.engines.model.families import read_architecture
from twopass.engines.model.pooling import EmbeddingHead, Pooling

from ..random_encoders import CONFIGS, DEBERTA_CONFIGS, write_encoder

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")

ALL_CONFIGS = CONFIGS | DEBERTA_CONFIGS
HEADS = {"reranker": None, "encoder": EmbeddingHead(tuple(Pooling))}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_no_step_needs_a_number_that_the_device_has_yet_to_compute(tmp_path, name, kind):
    fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor")
    encoder = TorchEncoder(
        torch,
        read_architecture(ALL_CONFIGS[name]),
        write_encoder(tmp_path, name),
        head=HEADS[kind],
        device=torch.device("cpu"),
        dtype=torch.float16,
    )
    # Fake tensors have shapes and no contents: asking for a number, or for how many there are of a
    # kind, raises an error.
    with fake_tensor.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        token_ids, offsets, query_lengths = (
            mode.from_tensor(torch.tensor(numbers, dtype=torch.int32))
            for numbers in ([7] * 10, [0, 3, 10], [1, 2])
        )
        outputs = encoder.forward(token_ids, offsets, query_lengths, 7)
    assert len(outputs) == 2
    assert outputs.dtype is torch.float32
