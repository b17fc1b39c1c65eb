import pytest

from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.families import read_architecture

from ..small_models import MAX_SEQ_LEN, small_config


def test_bert_counts_positions_from_zero():
    architecture = read_architecture(small_config("bert"))
    assert architecture.position_offset == 0
    assert architecture.max_seq_len == MAX_SEQ_LEN
    assert architecture.head_dim == 4


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta"])
def test_roberta_counts_positions_from_after_its_padding(model_type):
    architecture = read_architecture(small_config(model_type))
    assert architecture.position_offset == 2
    assert architecture.max_seq_len == MAX_SEQ_LEN


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("gelu", "gelu"),
        ("gelu_new", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("swish", "silu"),
    ],
)
def test_activations_are_known_by_all_their_names(written, meant):
    assert read_architecture(small_config(hidden_act=written)).activation == meant


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "xlnet"),
        ("model_type", None),
        ("model_type", {}),
        ("hidden_act", {}),
        ("position_embedding_type", "relative_key"),
        ("hidden_act", "mish"),
    ],
)
def test_what_is_not_supported_is_named_with_its_value(key, value):
    with pytest.raises(UnsupportedModelError, match=rf"config\.json: {key} is {value!r}"):
        read_architecture(small_config(**{key: value}))


@pytest.mark.parametrize(
    "key", ["hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings"]
)
def test_a_missing_key_is_named(key):
    config = small_config()
    del config[key]
    with pytest.raises(ModelError, match=rf"config\.json: {key} is missing"):
        read_architecture(config)


@pytest.mark.parametrize("value", ["8", 8.0, True, 0, -4, [8]])
@pytest.mark.parametrize("key", ["hidden_size", "vocab_size", "type_vocab_size"])
def test_what_is_no_size_is_named_with_its_value(key, value):
    with pytest.raises(ModelError, match=rf"config\.json: {key} is .*a whole number of at least 1"):
        read_architecture(small_config(**{key: value}))


@pytest.mark.parametrize(("key", "value"), [("layer_norm_eps", "1e-12"), ("layer_norm_eps", -1.0)])
def test_what_is_no_epsilon_is_named(key, value):
    with pytest.raises(ModelError, match=f"layer_norm_eps is {value!r}"):
        read_architecture(small_config(**{key: value}))


@pytest.mark.parametrize("value", ["1", -1])
def test_a_family_that_counts_from_its_padding_has_to_say_which_it_is(value):
    with pytest.raises(ModelError, match=f"pad_token_id is {value!r}"):
        read_architecture(small_config("roberta", pad_token_id=value))


def test_heads_share_the_hidden_size_evenly():
    with pytest.raises(UnsupportedModelError, match="not a multiple of num_attention_heads 3"):
        read_architecture(small_config(num_attention_heads=3))
