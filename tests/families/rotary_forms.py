"""Forms of the families with rotary positions: ModernBERT, GTE, NomicBERT, Jina's embeddings v3.

Of GTE and NomicBERT most models are published with code of their own, whose configurations use
other words than transformers' classes. `save_pretrained` writes tensors as those models have them;
here the configuration is rewritten too, in the words of the published code.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    GteConfig,
    JinaEmbeddingsV3Config,
    ModernBertConfig,
    NomicBertConfig,
    PretrainedConfig,
)

from twopass.engines.base.model import ModelKind

from . import small_tokenizers
from .form import Form
from .small_models import HIDDEN_SIZE, INTERMEDIATE_SIZE, NUM_HEADS, NUM_LAYERS, with_random_weights
from .small_tokenizers import MAX_LENGTH
from .writing import classifier_of, edit_json, write_encoder, write_reranker

_HEAD_DIM = HIDDEN_SIZE // NUM_HEADS
# A token sees 8 to either side in local layers; texts have up to 128.
_LOCAL_ATTENTION = 16

_SHAPE: dict[str, Any] = {
    "hidden_size": HIDDEN_SIZE,
    "num_attention_heads": NUM_HEADS,
    "intermediate_size": INTERMEDIATE_SIZE,
    "num_hidden_layers": NUM_LAYERS,
    "max_position_embeddings": MAX_LENGTH,
}


def forms() -> Iterator[Form]:
    """Of all four families."""
    yield from _modernbert_forms()
    yield from _gte_forms()
    yield from _nomic_forms()
    yield from _jina_forms()


# --- ModernBERT -----------------------------------------------------------------------------------


def _modernbert_config(**changes: Any) -> PretrainedConfig:
    tokenizer = small_tokenizers.modernbert()
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "cls_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
    }
    shape = {"vocab_size": len(tokenizer), "local_attention": _LOCAL_ATTENTION}
    return ModernBertConfig(**_SHAPE | special | shape | changes)


def _modernbert_reranker(folder, options=None, **changes):
    model = with_random_weights(classifier_of(_modernbert_config(**changes)))
    return write_reranker(folder, model, small_tokenizers.modernbert(), **(options or {}))


def _modernbert_encoder(folder, auto=AutoModel, options=None, **changes):
    model = with_random_weights(auto.from_config(_modernbert_config(**changes)))
    return write_encoder(folder, model, small_tokenizers.modernbert(), **(options or {}))


_ALL_BIASES = {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True}


def _modernbert_forms() -> Iterator[Form]:
    for pooling in ("cls", "mean"):
        for name, biases in (("without biases", {}), ("with all biases", _ALL_BIASES)):
            write = partial(_modernbert_reranker, classifier_pooling=pooling, **biases)
            yield Form("modernbert", f"{pooling} classifier {name}", ModelKind.RERANKER, write)
    options = {"edits": [edit_json("config.json", _modernbert_as_first_published)]}
    rerankers = {
        "config as first published": {"options": options},
        "other thetas": {"rope_parameters": _rope_parameters(30_000.0, 500.0)},
        "other thetas as first published": {
            "rope_parameters": _rope_parameters(30_000.0, 500.0),
            "options": options,
        },
        "every second layer global": {
            "layer_types": ["full_attention", "sliding_attention"] * (NUM_LAYERS // 2)
        },
        "global layers alone": {"layer_types": ["full_attention"] * NUM_LAYERS},
        "local layers alone": {"layer_types": ["sliding_attention"] * NUM_LAYERS},
        "activations silu and relu": {
            "hidden_activation": "silu",
            "classifier_activation": "relu",
        },
        "bfloat16 in shards": {"options": {"dtype": torch.bfloat16, "num_shards": 3}},
    }
    for name, changes in rerankers.items():
        write = partial(_modernbert_reranker, **changes)
        yield Form("modernbert", name, ModelKind.RERANKER, write)
    yield Form("modernbert", "model alone", ModelKind.ENCODER, _modernbert_encoder)
    masked = partial(_modernbert_encoder, auto=AutoModelForMaskedLM)
    yield Form("modernbert", "masked LM head", ModelKind.ENCODER, masked)


def _rope_parameters(global_theta: float, local_theta: float) -> dict[str, Any]:
    return {
        "full_attention": {"rope_type": "default", "rope_theta": global_theta},
        "sliding_attention": {"rope_type": "default", "rope_theta": local_theta},
    }


def _modernbert_as_first_published(config: dict[str, Any]) -> dict[str, Any]:
    """As transformers 4.48 wrote it: ModernBERT-base and all of its first descendants."""
    rope = config.pop("rope_parameters")
    layer_types = config.pop("layer_types")
    for key in ("cls_token_id", "sep_token_id", "dtype"):
        config.pop(key, None)
    return config | {
        "global_rope_theta": rope["full_attention"]["rope_theta"],
        "local_rope_theta": rope["sliding_attention"]["rope_theta"],
        "global_attn_every_n_layers": layer_types.index("full_attention", 1),
        "position_embedding_type": "absolute",
        "layer_norm_eps": 1e-5,
        "reference_compile": False,
        "torch_dtype": "float32",
    }


# --- GTE ------------------------------------------------------------------------------------------


def _gte_config(**changes: Any) -> PretrainedConfig:
    vocabulary = {"vocab_size": len(small_tokenizers.xlm_roberta()), "pad_token_id": 1}
    return GteConfig(**_SHAPE | vocabulary | changes)


def _gte_reranker(folder, options=None, **changes):
    model = with_random_weights(classifier_of(_gte_config(**changes)))
    return write_reranker(folder, model, small_tokenizers.xlm_roberta(), **(options or {}))


def _gte_encoder(folder, auto=AutoModel, options=None, **changes):
    model = with_random_weights(auto.from_config(_gte_config(**changes)))
    return write_encoder(folder, model, small_tokenizers.xlm_roberta(), **(options or {}))


def _gte_forms() -> Iterator[Form]:
    masked = partial(_gte_encoder, auto=AutoModelForMaskedLM)
    yield Form("gte", "classifier", ModelKind.RERANKER, _gte_reranker)
    yield Form("gte", "model alone", ModelKind.ENCODER, _gte_encoder)
    yield Form("gte", "masked LM head", ModelKind.ENCODER, masked)
    native = {"native_names": True}
    for name, write, kind in (
        ("classifier", _gte_reranker, ModelKind.RERANKER),
        ("model", _gte_encoder, ModelKind.ENCODER),
    ):
        yield Form("gte", f"{name}, transformers' names", kind, partial(write, options=native))
        without = partial(write, type_vocab_size=0)
        yield Form("gte", f"{name} without token types", kind, without)
        for scaling in (None, {"type": "ntk", "factor": 2.0}, {"type": "ntk", "factor": 8.0}):
            theta = 20_000.0
            options = {
                "edits": [edit_json("config.json", partial(_as_new, theta=theta, scaling=scaling))],
                "prepare": partial(_turn_by, _published_frequencies(theta, scaling)),
            }
            words = "not scaled" if scaling is None else f"scaled {scaling['factor']:g} times"
            yield Form(
                "gte",
                f"{name}, own code, {words}",
                kind,
                partial(write, options=options),
                refused_by={"transformers": "custom code"},
            )


def _as_new(config: dict[str, Any], theta: float, scaling: Any) -> dict[str, Any]:
    """As gte-multilingual-base and gte-base-en-v1.5 have it."""
    config.pop("rope_parameters")
    name = config["architectures"][0].replace("Gte", "New")
    return config | {
        "model_type": "new",
        "architectures": [name],
        "auto_map": {"AutoConfig": "configuration.NewConfig", "AutoModel": "modeling.NewModel"},
        "layer_norm_type": "layer_norm",
        "logn_attention_clip1": False,
        "logn_attention_scale": False,
        "pack_qkv": True,
        "position_embedding_type": "rope",
        "rope_scaling": scaling,
        "rope_theta": theta,
        "unpad_inputs": False,
        "use_memory_efficient_attention": False,
    }


def _published_frequencies(theta: float, scaling: Any) -> torch.Tensor:
    """By `NTKScalingRotaryEmbedding` of the published code, https://kexue.fm/archives/9706 (6)."""
    exponents = torch.arange(0, _HEAD_DIM, 2).float() / _HEAD_DIM
    if scaling is None:
        return 1.0 / theta**exponents
    factor = scaling["factor"]
    return 1.0 / (theta * factor) ** exponents / factor ** (2 / _HEAD_DIM)


def _turn_by(frequencies: torch.Tensor, model: nn.Module) -> None:
    """Gives a model's rotary positions other frequencies."""
    for module in model.modules():
        if hasattr(module, "original_inv_freq"):
            module.inv_freq = frequencies


# --- NomicBERT, Jina's embeddings v3 --------------------------------------------------------------


def _nomic_config(**changes: Any) -> PretrainedConfig:
    vocabulary = {"vocab_size": len(small_tokenizers.bert()), "pad_token_id": 0}
    return NomicBertConfig(**_SHAPE | vocabulary | changes)


def _nomic_reranker(folder, options=None, **changes):
    model = with_random_weights(classifier_of(_nomic_config(**changes)))
    return write_reranker(folder, model, small_tokenizers.bert(), **(options or {}))


def _nomic_encoder(folder, auto=AutoModel, options=None, **changes):
    model = with_random_weights(auto.from_config(_nomic_config(**changes)))
    return write_encoder(folder, model, small_tokenizers.bert(), **(options or {}))


def _nomic_forms() -> Iterator[Form]:
    masked = partial(_nomic_encoder, auto=AutoModelForMaskedLM)
    yield Form("nomic_bert", "classifier", ModelKind.RERANKER, _nomic_reranker)
    yield Form("nomic_bert", "model alone", ModelKind.ENCODER, _nomic_encoder)
    yield Form("nomic_bert", "masked LM head", ModelKind.ENCODER, masked)
    native = partial(_nomic_encoder, options={"native_names": True})
    yield Form("nomic_bert", "model, transformers' names", ModelKind.ENCODER, native)
    theta = 10_000.0
    options = {
        "edits": [edit_json("config.json", partial(_as_nomic, theta=theta))],
        "prepare": partial(_turn_by, _published_frequencies(theta, None)),
    }
    own = partial(_nomic_encoder, options=options)
    yield Form(
        "nomic_bert",
        "model, own code",
        ModelKind.ENCODER,
        own,
        refused_by={"transformers": "can't load it|custom code"},
    )


def _as_nomic(config: dict[str, Any], theta: float) -> dict[str, Any]:
    """As nomic-embed-text-v1 has it: GPT-2's words."""
    return {
        "model_type": "nomic_bert",
        "architectures": ["NomicBertModel"],
        "auto_map": {
            "AutoConfig": "configuration_hf_nomic_bert.NomicBertConfig",
            "AutoModel": "modeling_hf_nomic_bert.NomicBertModel",
        },
        "activation_function": "swiglu",
        "attn_pdrop": 0.0,
        "bos_token_id": None,
        "causal": False,
        "dense_seq_output": True,
        "embd_pdrop": 0.0,
        "eos_token_id": None,
        "fused_bias_fc": True,
        "fused_dropout_add_ln": True,
        "initializer_range": 0.02,
        "layer_norm_epsilon": config["layer_norm_eps"],
        "max_trained_positions": MAX_LENGTH,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "n_embd": config["hidden_size"],
        "n_head": config["num_attention_heads"],
        "n_inner": config["intermediate_size"],
        "n_layer": config["num_hidden_layers"],
        "n_positions": MAX_LENGTH,
        "pad_vocab_size_multiple": 64,
        "parallel_block": False,
        "parallel_block_tied_norm": False,
        "prenorm": False,
        "qkv_proj_bias": False,
        "reorder_and_upcast_attn": False,
        "resid_pdrop": 0.0,
        "rotary_emb_base": theta,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None,
        "scale_attn_by_inverse_layer_idx": False,
        "scale_attn_weights": True,
        "summary_activation": None,
        "torch_dtype": "float32",
        "type_vocab_size": 2,
        "use_cache": True,
        "use_flash_attn": True,
        "use_rms_norm": False,
        "use_xentropy": True,
        "vocab_size": config["vocab_size"],
    }


def _jina_config(**changes: Any) -> PretrainedConfig:
    vocabulary = {"vocab_size": len(small_tokenizers.xlm_roberta()), "pad_token_id": 1}
    return JinaEmbeddingsV3Config(**_SHAPE | vocabulary | changes)


def _jina_reranker(folder, options=None):
    model = with_random_weights(classifier_of(_jina_config()))
    return write_reranker(folder, model, small_tokenizers.xlm_roberta(), **(options or {}))


def _jina_encoder(folder, auto=AutoModel, options=None):
    model = with_random_weights(auto.from_config(_jina_config()))
    return write_encoder(folder, model, small_tokenizers.xlm_roberta(), **(options or {}))


def _jina_forms() -> Iterator[Form]:
    family, native = "jina_embeddings_v3", {"native_names": True}
    masked = partial(_jina_encoder, auto=AutoModelForMaskedLM)
    yield Form(family, "classifier", ModelKind.RERANKER, _jina_reranker)
    yield Form(family, "model alone", ModelKind.ENCODER, _jina_encoder)
    yield Form(family, "masked LM head", ModelKind.ENCODER, masked)
    for name, write, kind in (
        ("classifier", _jina_reranker, ModelKind.RERANKER),
        ("model", _jina_encoder, ModelKind.ENCODER),
    ):
        yield Form(family, f"{name}, transformers' names", kind, partial(write, options=native))
