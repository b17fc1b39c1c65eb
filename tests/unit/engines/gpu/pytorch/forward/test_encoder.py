"""The forward pass in PyTorch as a GPU sees it: never waited for, and in filled-up shapes."""

import numpy as np
import pytest

from twopass.engines.gpu.pytorch.forward.encoder import TorchEncoder
from twopass.engines.gpu.pytorch.graphs.inputs import InputBlock
from twopass.engines.gpu.pytorch.graphs.keys import GraphKey
from twopass.engines.model.families import read_architecture
from twopass.engines.model.pooling import EmbeddingHead, Pooling

from ....random_encoders import CONFIGS, DEBERTA_CONFIGS, write_encoder
from ....small_models import MAX_SEQ_LEN, VOCAB_SIZE, batch_of, random_rows

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")

ALL_CONFIGS = CONFIGS | DEBERTA_CONFIGS
HEADS = {"reranker": None, "encoder": EmbeddingHead(tuple(Pooling))}


def encoder_of(folder, name, kind, dtype):
    return TorchEncoder(
        torch,
        read_architecture(ALL_CONFIGS[name]),
        write_encoder(folder, name),
        head=HEADS[kind],
        device=torch.device("cpu"),
        dtype=dtype,
    )


@pytest.mark.parametrize("has_empty", [False, True], ids=["as it is", "filled up"])
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_no_step_needs_a_number_that_the_device_has_yet_to_compute(tmp_path, name, kind, has_empty):
    fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor")
    encoder = encoder_of(tmp_path, name, kind, torch.float16)
    # Fake tensors have shapes and no contents: asking for a number, or for how many there are of a
    # kind, raises an error.
    with fake_tensor.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        token_ids, offsets, query_lengths = (
            mode.from_tensor(torch.tensor(numbers, dtype=torch.int32))
            for numbers in ([7] * 10, [0, 3, 10], [1, 2])
        )
        outputs = encoder.forward(token_ids, offsets, query_lengths, 7, has_empty=has_empty)
    assert len(outputs) == 2
    assert outputs.dtype is torch.float32


LENGTHS = [MAX_SEQ_LEN, 3, 17, 1, 9]
# Padding sequences and empty ones; empty ones alone; the very batch.
KEYS = [
    GraphKey(sum(LENGTHS) + 40, 12, MAX_SEQ_LEN),
    GraphKey(sum(LENGTHS), 9, MAX_SEQ_LEN),
    GraphKey(sum(LENGTHS), len(LENGTHS), MAX_SEQ_LEN),
]


def filled(encoder, key, batch, *, pad_id=0):
    """What a graph of a key would compute for a batch's rows."""
    layout = InputBlock(key)
    block = np.full(layout.size, -1, np.int32)
    layout.fill(block, batch, np.arange(len(batch), dtype=np.int32))
    ids = block[layout.token_ids]
    ids[batch.num_tokens :] = pad_id
    parts = (ids, block[layout.offsets], block[layout.query_lengths])
    with torch.inference_mode():
        outputs = encoder.forward(*map(torch.from_numpy, parts), key.longest, has_empty=True)
    assert len(outputs) == key.sequences
    return outputs[: len(batch)].numpy()


def alone(encoder, batch):
    parts = (batch.token_ids, batch.offsets, batch.query_lengths)
    with torch.inference_mode():
        return encoder.forward(*map(torch.from_numpy, parts), int(batch.lengths.max())).numpy()


@pytest.mark.parametrize("key", KEYS, ids=["padding", "empty", "full"])
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_padding_changes_no_bit_of_a_row_whatever_it_is(tmp_path, name, kind, key):
    encoder = encoder_of(tmp_path, name, kind, torch.float32)
    batch = batch_of(random_rows(LENGTHS), [max(1, n // 3) for n in LENGTHS])
    found = filled(encoder, key, batch)
    np.testing.assert_array_equal(found, filled(encoder, key, batch, pad_id=VOCAB_SIZE - 1))
    # A product of more rows may be added up in another order, by one unit in the last place.
    np.testing.assert_allclose(found, alone(encoder, batch), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_a_longest_sequence_that_is_not_there_changes_rounding_at_most(tmp_path, name, kind):
    encoder = encoder_of(tmp_path, name, kind, torch.float32)
    lengths = [5, 3, 11, 1]
    batch = batch_of(random_rows(lengths), [max(1, n // 3) for n in lengths])
    found = filled(encoder, GraphKey(32, 8, MAX_SEQ_LEN), batch)
    np.testing.assert_allclose(found, alone(encoder, batch), rtol=1e-4, atol=1e-5)
