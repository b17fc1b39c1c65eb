"""DeBERTa's configuration becomes rows of positions by distance, or is refused by name."""

from typing import Any

import pytest

from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.architecture import Activation, Convolution, Disentangled
from twopass.engines.model.families import read_architecture

# As mixedbread-ai/mxbai-rerank-base-v1 and microsoft/deberta-v3-base publish it.
_V3 = {
    "model_type": "deberta-v2",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 128_100,
    "max_position_embeddings": 512,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "max_relative_positions": -1,
    "position_biased_input": False,
    "type_vocab_size": 0,
}


def _disentangled(**changes: Any) -> Disentangled:
    found = read_architecture(_V3 | changes).disentangled
    assert found is not None
    return found


def test_version_3_reads_positions_by_both_terms_and_has_no_table_of_places() -> None:
    architecture = read_architecture(_V3)
    assert (architecture.num_positions, architecture.type_vocab_size) == (0, 0)
    found = _disentangled()
    assert (found.norm, found.position_keys, found.position_queries) == (True, True, True)
    assert found.num_terms == 3


@pytest.mark.parametrize(
    # What `make_log_bucket_position` of transformers 5.24.0 gives for 256 buckets and 512 places.
    ("distance", "bucket"),
    [
        (0, 0),
        (1, 1),
        (128, 128),
        (131, 131),
        (200, 169),
        (300, 207),
        (511, 255),
        (512, 256),
        (-1, -1),
        (-128, -128),
        (-129, -129),
        (-300, -207),
        (-511, -255),
    ],
)
def test_far_distances_share_rows_as_in_transformers(distance: int, bucket: int) -> None:
    rows = _disentangled().rows
    assert len(rows) == 2 * 512 + 1
    assert rows[512 + distance] == min(max(bucket + 256, 0), 511)


def test_without_buckets_every_distance_has_a_row_up_to_the_last() -> None:
    rows = _disentangled(position_buckets=-1, max_relative_positions=3).rows
    assert rows[512 - 5 : 512 + 6] == (0, 0, 0, 1, 2, 3, 4, 5, 5, 5, 5)


def test_the_largest_models_of_version_2_convolve_the_embeddings() -> None:
    changes = {"conv_kernel_size": 3, "conv_act": "gelu"}
    convolution = read_architecture(_V3 | changes).convolution
    assert convolution == Convolution(3, 1, Activation.GELU)
    assert read_architecture(_V3).convolution is None


def test_without_relative_attention_content_is_all() -> None:
    assert read_architecture(_V3 | {"relative_attention": False}).disentangled is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"conv_kernel_size": 2}, UnsupportedModelError),
        ({"embedding_size": 384}, UnsupportedModelError),
        ({"attention_head_size": 32}, UnsupportedModelError),
        ({"pos_att_type": "p2p"}, ModelError),
        ({"position_buckets": 4096}, ModelError),
    ],
    ids=str,
)
def test_what_is_not_computed_is_refused_by_its_key(
    change: dict[str, Any], error: type[ModelError]
) -> None:
    with pytest.raises(error, match=f"config.json: {next(iter(change))} is"):
        read_architecture(_V3 | change)
