"""Every family's configuration becomes one description, or is refused by name."""

from typing import Any

import pytest

from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.architecture import Activation, HeadPooling
from twopass.engines.model.families import read_architecture

_SHAPE = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 100,
    "max_position_embeddings": 32,
}


def _config(model_type: str, **changes: Any) -> dict[str, Any]:
    return {"model_type": model_type} | _SHAPE | changes


def test_roberta_counts_positions_from_after_its_padding() -> None:
    architecture = read_architecture(_config("xlm-roberta", pad_token_id=1))
    assert (architecture.num_positions, architecture.position_offset) == (32, 2)
    assert architecture.max_seq_len == 30


def test_electra_projects_its_embeddings_and_has_a_head_of_gelu() -> None:
    architecture = read_architecture(_config("electra", embedding_size=16))
    assert (architecture.embedding_size, architecture.hidden_size) == (16, 64)
    assert architecture.head is not None
    assert architecture.head.activation is Activation.GELU


def test_distilbert_has_no_token_types() -> None:
    config = {"model_type": "distilbert", "dim": 64, "n_layers": 2, "n_heads": 2}
    architecture = read_architecture(config | {"hidden_dim": 96, "vocab_size": 100})
    assert (architecture.type_vocab_size, architecture.num_layers) == (0, 2)
    assert architecture.max_seq_len == 512


def test_every_third_layer_of_modernbert_sees_all_and_the_others_half_the_band_to_each_side() -> (
    None
):
    architecture = read_architecture(_config("modernbert", local_attention=16))
    assert [layer.window for layer in architecture.layers] == [None, 8, 8, None]
    wide, local = architecture.layers[0].rotary, architecture.layers[1].rotary
    assert wide is not None
    assert local is not None
    assert wide[1] == pytest.approx(160_000 ** (-2 / 32))
    assert local[1] == pytest.approx(10_000 ** (-2 / 32))
    assert architecture.norm_first
    assert not architecture.first_attention_norm


def test_older_and_newer_spellings_of_modernbert_mean_the_same() -> None:
    older = _config(
        "modernbert",
        global_rope_theta=500.0,
        local_rope_theta=100.0,
        global_attn_every_n_layers=2,
        classifier_pooling="mean",
    )
    newer = _config(
        "modernbert",
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 500.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
        },
        layer_types=["full_attention", "sliding_attention"] * 2,
        classifier_pooling="mean",
    )
    assert read_architecture(older) == read_architecture(newer)
    head = read_architecture(older).head
    assert head is not None
    assert head.pooling is HeadPooling.MEAN


def test_the_hub_s_words_for_nomic_bert_and_those_of_transformers_mean_the_same() -> None:
    native = _config("nomic_bert", type_vocab_size=2, layer_norm_eps=1e-12)
    hub = {
        "model_type": "nomic_bert",
        "n_embd": 64,
        "n_head": 2,
        "n_inner": 96,
        "n_layer": 4,
        "n_positions": 32,
        "vocab_size": 100,
        "type_vocab_size": 2,
        "layer_norm_epsilon": 1e-12,
        "rotary_emb_base": 1000,
        "activation_function": "swiglu",
    }
    assert read_architecture(hub) == read_architecture(native)


def test_gte_s_stretched_positions_raise_the_base_and_lower_all_frequencies() -> None:
    scaling = {"type": "ntk", "factor": 8.0}
    found = read_architecture(_config("new", rope_theta=20_000, rope_scaling=scaling))
    frequencies = found.layers[0].rotary
    assert frequencies is not None
    assert frequencies[0] == pytest.approx(8 ** (-2 / 32))
    assert frequencies[3] == pytest.approx(160_000 ** (-6 / 32) * 8 ** (-2 / 32))


def test_a_bert_with_alibi_is_jina_s() -> None:
    architecture = read_architecture(_config("bert", position_embedding_type="alibi"))
    assert architecture.gated
    assert (architecture.num_positions, architecture.relative_distance) == (0, 31)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (_config("bert", position_embedding_type="relative_key"), "position_embedding_type"),
        (_config("bert", hidden_act="mish"), "hidden_act"),
        (_config("bert", num_attention_heads=3), "num_attention_heads"),
        (_config("bert", is_decoder=True), "is_decoder"),
        (_config("gte", rope_parameters={"rope_type": "yarn"}), "yarn"),
        (_config("new", rope_scaling={"type": "dynamic"}), "dynamic"),
        (_config("new", layer_norm_type="rms_norm"), "layer_norm_type"),
        (_config("nomic_bert", n_embd=64, prenorm=True), "prenorm"),
        (_config("mpnet", relative_attention_num_buckets=64), "relative_attention_num_buckets"),
        (_config("modernbert", classifier_pooling="max"), "classifier_pooling"),
        (_config("xlnet"), "--engine"),
    ],
)
def test_what_is_not_computed_is_refused_by_its_key(config: dict[str, Any], named: str) -> None:
    if named == "--engine":
        named = "the engine transformers runs"
    with pytest.raises(UnsupportedModelError, match=named):
        read_architecture(config)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": None},
        {"num_hidden_layers": 0},
        {"vocab_size": "100"},
        {"layer_norm_eps": 2},
        {"intermediate_size": True},
    ],
)
def test_a_value_out_of_range_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=f"config.json: {next(iter(change))}"):
        read_architecture(_config("bert", **change))


def test_layer_types_must_be_one_for_each_layer() -> None:
    with pytest.raises(ModelError, match="layer_types"):
        read_architecture(_config("modernbert", layer_types=["full_attention"]))
