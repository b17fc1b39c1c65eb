"""Every family on the engine of the C++ core, held to the plain reference."""

import itertools

import numpy as np
import pytest

from twopass.engines.base.engine import Precision
from twopass.engines.cpu.engine import CpuEngine
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import open_model

from .. import encoder_reference
from ..random_encoders import CONFIGS, float32s, write_encoder
from ..small_models import batch_of, random_rows

# Around the blocks of 32 and 64 tokens, and beyond every window by far.
LENGTHS = (1, 2, 5, 31, 33, 64, 65, 130, 200)
# Beside logits of some 0.1 to 2. bfloat16 has 8 bits, int8 half a step of 1/127 of the largest
# number in a row, in some 20 products one after the other.
TOLERANCES = {Precision.F32: 1e-4, Precision.BF16: 0.05, Precision.INT8: 0.15}
WINDOWS = (2, 6, 64, 128)


def written(path, name, **changes):
    """A folder with room for the lengths, its architecture and tensors."""
    if name != "jina-v2":  # whose table of biases is as long as its positions say
        changes = {"max_position_embeddings": 210} | changes
    weights = write_encoder(path, name, **changes)
    folder = open_model(str(path))
    return folder, read_architecture(folder.config), float32s(weights)


def computed(folder, rows, query_lengths, precision, num_threads):
    engine = CpuEngine(folder, num_threads=num_threads, precision=precision)
    alone = [
        engine.submit(batch_of([r], [q])).result() for r, q in zip(rows, query_lengths, strict=True)
    ]
    together = engine.submit(batch_of(rows, query_lengths)).result()
    engine.close()
    np.testing.assert_array_equal(together, np.concatenate(alone))  # bit for bit
    return together


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("name", CONFIGS)
def test_logits_of_every_family_are_those_of_the_reference(tmp_path, name, precision):
    folder, architecture, tensors = written(tmp_path, name)
    rows = random_rows([n for n in LENGTHS if n <= architecture.max_seq_len])
    query_lengths = [max(1, len(row) // 3) for row in rows]
    logits = computed(folder, rows, query_lengths, precision, num_threads=2)
    pairs = zip(rows, query_lengths, strict=True)
    expected = [encoder_reference.logit(architecture, tensors, r, q) for r, q in pairs]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCES[precision])


@pytest.mark.parametrize(("window", "num_heads"), list(itertools.product(WINDOWS, (1, 2))))
def test_a_window_hides_what_is_further_away(tmp_path, window, num_heads):
    changes = {"local_attention": window, "num_attention_heads": num_heads}
    folder, architecture, tensors = written(tmp_path, "modernbert", **changes)
    rows = random_rows(LENGTHS)
    logits = computed(folder, rows, [1] * len(rows), Precision.F32, num_threads=2)
    expected = [encoder_reference.logit(architecture, tensors, row, 1) for row in rows]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
