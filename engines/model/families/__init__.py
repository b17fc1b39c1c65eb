"""Families of encoders: how each one's `config.json` and tensors say what all of them are made of.

A file a family: configuration in, an `Architecture` out, and where its tensors lie under the
canonical names of `ModelWeights`. What engines need to know of a family ends here.
"""

from collections.abc import Mapping
from typing import Any

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.installing import how_to_install
from twopass.engines.model.architecture import Architecture
from twopass.engines.model.families import (
    bert,
    deberta,
    distilbert,
    gte,
    jina,
    modernbert,
    mpnet,
    nomic,
)
from twopass.engines.model.families.family import Family

_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(bert.MODEL_TYPES, bert.FAMILY),
    "distilbert": distilbert.FAMILY,
    "mpnet": mpnet.FAMILY,
    "deberta-v2": deberta.FAMILY,
    "modernbert": modernbert.FAMILY,
    "gte": gte.FAMILY,
    "new": gte.HUB_FAMILY,
    "nomic_bert": nomic.FAMILY,
    "jina_embeddings_v3": nomic.JINA_V3_FAMILY,
}


def family_of(config: Mapping[str, Any]) -> Family:
    """The family of a `config.json`.

    Raises:
        UnsupportedModelError: None of ours; names the ways out.
    """
    model_type = config.get("model_type")
    if model_type == "bert" and config.get("position_embedding_type") == "alibi":
        return jina.FAMILY
    family = _FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if family is None:
        raise UnsupportedModelError(
            f"config.json: model_type is {model_type!r}, known are {', '.join(_FAMILIES)}; "
            "the engine transformers runs what AutoModel runs "
            f"({how_to_install('transformers')}), the engine onnxruntime an exported model.onnx in "
            "the folder"
        )
    return family


def read_architecture(config: Mapping[str, Any]) -> Architecture:
    """Reads a model's `config.json`.

    Raises:
        UnsupportedModelError: It describes no encoder of ours; names the key, the value and the
            ways out.
        ModelError: A key is missing, or its value is outside its range.
    """
    return family_of(config).read(config)
