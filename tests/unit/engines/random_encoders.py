"""Folders of every family's small models of random weights, in the layout the family publishes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from twopass.engines.model.architecture import Architecture
from twopass.engines.model.families import family_of
from twopass.engines.model.weights import ModelWeights

from .small_models import MAX_SEQ_LEN, VOCAB_SIZE, write_json

_SHAPE: dict[str, Any] = {
    "hidden_size": 64,  # two heads of 32 components, which the C++ core computes
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "vocab_size": VOCAB_SIZE,
    "max_position_embeddings": MAX_SEQ_LEN,
    "pad_token_id": 0,
    "architectures": ["XForSequenceClassification"],
    "id2label": {"0": "LABEL_0"},
}

# A config of each family; every form that a family has is in one of them.
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": _SHAPE | {"model_type": "bert", "type_vocab_size": 2, "hidden_act": "gelu_new"},
    "roberta": _SHAPE
    | {
        "model_type": "roberta",
        "pad_token_id": 1,
        "max_position_embeddings": MAX_SEQ_LEN + 2,
        "type_vocab_size": 1,
    },
    "electra": _SHAPE | {"model_type": "electra", "embedding_size": 16, "type_vocab_size": 2},
    "distilbert": {
        "model_type": "distilbert",
        "dim": 64,
        "n_layers": 3,
        "n_heads": 2,
        "hidden_dim": 96,
        "vocab_size": VOCAB_SIZE,
        "max_position_embeddings": MAX_SEQ_LEN,
        "activation": "gelu",
        "architectures": ["DistilBertForSequenceClassification"],
        "id2label": {"0": "LABEL_0"},
    },
    "mpnet": _SHAPE
    | {
        "model_type": "mpnet",
        "pad_token_id": 1,
        "max_position_embeddings": MAX_SEQ_LEN + 2,
        "relative_attention_num_buckets": 32,
    },
    "modernbert": _SHAPE
    | {
        "model_type": "modernbert",
        "num_hidden_layers": 5,  # global, local, local, global, local
        "local_attention": 6,
        "classifier_pooling": "mean",
        "norm_eps": 1e-5,
    },
    "modernbert-biases": _SHAPE
    | {
        "model_type": "modernbert",
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "local_attention": 16,
        "attention_bias": True,
        "mlp_bias": True,
        "norm_bias": True,
        "classifier_bias": True,
        "hidden_activation": "silu",
    },
    "gte": _SHAPE | {"model_type": "new", "type_vocab_size": 2, "rope_theta": 500.0},
    "nomic": _SHAPE | {"model_type": "nomic_bert", "type_vocab_size": 2, "rope_theta": 300.0},
    "jina-v2": _SHAPE
    | {
        "model_type": "bert",
        "position_embedding_type": "alibi",
        "feed_forward_type": "geglu",
        "type_vocab_size": 2,
    },
    "jina-v3": _SHAPE | {"model_type": "jina_embeddings_v3", "type_vocab_size": 1},
}

# The same of DeBERTa, which not every engine computes.
DEBERTA_CONFIGS: dict[str, dict[str, Any]] = {
    "deberta": _SHAPE
    | {
        "model_type": "deberta-v2",
        "relative_attention": True,
        "max_relative_positions": -1,
        "position_buckets": 8,  # fewer than there are distances: far ones share a bucket
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": "p2c|c2p",
        "position_biased_input": False,
        "type_vocab_size": 0,
        "pooler_hidden_act": "gelu",
    },
    "deberta-apart": _SHAPE
    | {
        "model_type": "deberta-v2",
        "relative_attention": True,
        "max_relative_positions": 12,
        "share_att_key": False,
        "pos_att_type": ["c2p"],
        "position_biased_input": True,
        "type_vocab_size": 2,
    },
    "deberta-convolution": _SHAPE
    | {
        "model_type": "deberta-v2",
        "relative_attention": True,
        "position_buckets": 8,
        "share_att_key": True,
        "pos_att_type": ["p2c"],
        "position_biased_input": False,
        "conv_kernel_size": 3,
        "conv_groups": 2,
        "conv_act": "gelu",
    },
}
ALL_CONFIGS = CONFIGS | DEBERTA_CONFIGS

# Names by which a family tells which of its layouts a file has.
_LAYOUTS: dict[str, set[str]] = {
    "roberta": {"classifier.out_proj.weight"},
    "electra": {"classifier.out_proj.weight"},
    "gte": {"encoder.layer.0.attention.qkv_proj.weight"},
    "jina-v2": {"encoder.layer.0.mlp.gated_layers.weight"},
}


def write_encoder(folder: Path, name: str, *, seed: int = 0, **changes: Any) -> ModelWeights:
    """Writes a reranker of a family: `config.json`, `tokenizer.json`, `model.safetensors`.

    Args:
        folder: Made if missing.
        name: Of `ALL_CONFIGS`.
        seed: Of the weights.
        changes: Of the config.

    Returns:
        Its weights, read as engines read them.
    """
    config = ALL_CONFIGS[name] | changes
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer.json", {})
    file = folder / "model.safetensors"
    save_file(_tensors(config, _LAYOUTS.get(name, set()), seed), file)
    return ModelWeights([file], config)


def float32s(weights: ModelWeights) -> Mapping[str, NDArray[np.float32]]:
    """All tensors, as `encoder_reference` takes them."""
    return {name: weights.float32(name) for name in weights}


def _tensors(config: dict[str, Any], layout: set[str], seed: int) -> dict[str, NDArray[np.float32]]:
    family = family_of(config)
    architecture = family.read(config)
    sources = family.sources(config, layout)
    shapes = _shapes(architecture)
    generator = np.random.default_rng(seed)

    def draw(name: str, *shape: int) -> NDArray[np.float32]:
        # As small as trained weights, so that attention spreads over many tokens.
        drawn = generator.normal(0, 0.125 if len(shape) > 1 else 0.25, shape).astype(np.float32)
        return 1 + drawn if "norm" in name and name.endswith("weight") else drawn

    blocks: dict[str, dict[int, NDArray[np.float32]]] = {}
    for name, shape in shapes.items():
        source = sources[name]
        tensor = blocks.setdefault(f"{source.name}.weight", {})
        tensor[source.part] = draw(f"{name}.weight", *shape)
        if source.bias and not name.startswith(_TABLES):
            tensor = blocks.setdefault(f"{source.name}.bias", {})
            tensor[source.part] = draw(f"{name}.bias", shape[0])
    tensors = {
        name: np.concatenate([tensor[part] for part in sorted(tensor)])
        for name, tensor in blocks.items()
    }
    if family.relative_bias is not None:
        tensors[family.relative_bias] = draw("bias", 32, architecture.num_heads) * 8
    return tensors


_TABLES = (
    "embeddings.words",
    "embeddings.positions",
    "embeddings.types",
    "relative.embeddings",
)


def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights of every module a reranker has."""
    hidden, embedding = architecture.hidden_size, architecture.embedding_size
    inner = architecture.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.words": (architecture.vocab_size, embedding),
        "embeddings.norm": (embedding,),
    }
    if architecture.num_positions:
        shapes["embeddings.positions"] = (architecture.num_positions, embedding)
    if architecture.type_vocab_size:
        shapes["embeddings.types"] = (architecture.type_vocab_size, embedding)
    if embedding != hidden:
        shapes["embeddings.projection"] = (hidden, embedding)
    for n in range(architecture.num_layers):
        layer = {f"attention.{x}": (hidden, hidden) for x in ("query", "key", "value", "output")}
        layer |= {"mlp.up": (inner, hidden), "mlp.down": (hidden, inner)}
        layer |= {"attention_norm": (hidden,), "mlp_norm": (hidden,)}
        if architecture.gated:
            layer["mlp.gate"] = (inner, hidden)
        if architecture.disentangled is not None:
            if architecture.disentangled.position_keys:
                layer["attention.position_key"] = (hidden, hidden)
            if architecture.disentangled.position_queries:
                layer["attention.position_query"] = (hidden, hidden)
        if n == 0 and not architecture.first_attention_norm:
            del layer["attention_norm"]
        shapes |= {f"layers.{n}.{name}": shape for name, shape in layer.items()}
    if architecture.norm_first:
        shapes["final_norm"] = (hidden,)
    if architecture.disentangled is not None:
        rows = max(architecture.disentangled.rows) + 1
        shapes |= {"relative.embeddings": (rows, hidden)}
        if architecture.disentangled.norm:
            shapes["relative.norm"] = (hidden,)
    if architecture.convolution is not None:
        convolution = architecture.convolution
        width = hidden // convolution.groups
        shapes["convolution"] = (hidden, width, convolution.kernel_size)
        shapes["convolution_norm"] = (hidden,)
    head = architecture.head
    assert head is not None
    shapes |= {"head.dense": (hidden, hidden), "head.projection": (1, hidden)}
    if head.norm:
        shapes["head.norm"] = (hidden,)
    return shapes
