"""Forms of encoders that differ in what sentence-transformers does around the model.

All are of one small BERT: poolings, Dense modules, prompts, lengths, lower case, and how older
releases spelled the same.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize, Pooling
from torch import nn
from transformers import AutoModel

from twopass.engines.base.model import ModelKind

from . import small_tokenizers
from .bert_forms import bert_config
from .form import Form
from .small_models import with_random_weights
from .writing import edit_json, write_encoder

_POOLINGS = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
_PROMPTS = {"query": "query: ", "document": "passage: "}


def forms() -> Iterator[Form]:
    """Of encoders alone."""
    for name, modules in _modules().items():
        yield Form(
            "sentence-transformers", name, ModelKind.ENCODER, partial(_write, modules=modules)
        )
    for name, options in _spellings().items():
        yield Form("sentence-transformers", name, ModelKind.ENCODER, partial(_write, **options))
    for name, (options, refusal) in _refused().items():
        yield Form(
            "sentence-transformers",
            name,
            ModelKind.ENCODER,
            partial(_write, **options),
            refusal=refusal,
        )


def _write(folder: Path, modules: Callable[[int], Sequence[nn.Module]], **options: Any):
    tokenizer = options.pop("tokenizer", None) or small_tokenizers.bert()
    model = with_random_weights(AutoModel.from_config(bert_config()))
    return write_encoder(folder, model, tokenizer, modules=modules, **options)


def _dense(width: int, output: int, seed: int = 1, **options: Any) -> Dense:
    module: Dense = with_random_weights(Dense(width, output, **options), seed)
    return module


def _modules() -> dict[str, Callable[[int], Sequence[nn.Module]]]:
    found: dict[str, Callable[[int], Sequence[nn.Module]]] = {
        f"pooling {mode}": partial(_pooled, mode) for mode in _POOLINGS
    }
    found["poolings cls and mean"] = partial(_pooled, ("cls", "mean"))
    found["poolings max, mean and last token"] = partial(_pooled, ("max", "mean", "lasttoken"))
    found["normalised"] = lambda width: [Pooling(width, "mean"), Normalize()]
    found["Dense"] = lambda width: [Pooling(width, "mean"), _dense(width, 24)]
    found["Dense without activation and bias"] = lambda width: [
        Pooling(width, "cls"),
        _dense(width, 96, bias=False, activation_function=nn.Identity()),
        Normalize(),
    ]
    found["two Dense after two poolings"] = lambda width: [
        Pooling(width, ("mean", "max")),
        _dense(2 * width, 40, activation_function=nn.GELU()),
        _dense(40, 16, seed=2, activation_function=nn.ReLU()),
    ]
    return found


def _pooled(mode: Any, width: int) -> list[nn.Module]:
    return [Pooling(width, mode)]


def _spellings() -> dict[str, dict[str, Any]]:
    return {
        "cls as before 5.4": {
            "modules": partial(_pooled, "cls"),
            "edits": [edit_json("1_Pooling/config.json", _as_before_5_4)],
        },
        "poolings as before 5.4": {
            "modules": partial(_pooled, ("max", "mean")),
            "edits": [edit_json("1_Pooling/config.json", _as_before_5_4)],
        },
        "pooling without the prompt, of which there is none": {
            "modules": lambda width: [Pooling(width, "mean", include_prompt=False)]
        },
        "pooling in another folder": {"modules": partial(_pooled, "cls"), "edits": [_move_pooling]},
        "prompt of passages": {
            "modules": partial(_pooled, "mean"),
            "prompts": _PROMPTS,
            "prompt": _PROMPTS["document"],
        },
        "lower case before a cased tokenizer": {
            "modules": partial(_pooled, "mean"),
            "tokenizer": small_tokenizers.bert(lower_case=False),
            "transformer": {"do_lower_case": True},
        },
        "sequences cut at 50": {
            "modules": partial(_pooled, "mean"),
            "transformer": {"max_seq_length": 50},
        },
        "float16": {"modules": partial(_pooled, "mean"), "dtype": torch.float16},
    }


def _as_before_5_4(config: dict[str, Any]) -> dict[str, Any]:
    modes = config["pooling_mode"]
    modes = [modes] if isinstance(modes, str) else modes
    keys = {
        "cls": "cls_token",
        "mean": "mean_tokens",
        "max": "max_tokens",
        "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
        "weightedmean": "weightedmean_tokens",
        "lasttoken": "lasttoken",
    }
    flags = {f"pooling_mode_{key}": mode in modes for mode, key in keys.items()}
    return {"word_embedding_dimension": config["embedding_dimension"], **flags}


def _move_pooling(folder: Path) -> None:
    """As `modules.json` may say; an old pooling that nobody reads any more stays behind."""
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").rename(folder / "pooling")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')


def _refused() -> dict[str, tuple[dict[str, Any], str]]:
    return {
        "a LayerNorm after the pooling": (
            {"modules": lambda width: [Pooling(width, "mean"), LayerNorm(width)]},
            "LayerNorm",
        ),
        "a residual Dense": (
            {
                "modules": lambda width: [
                    Pooling(width, "mean"),
                    _dense(width, 24, use_residual=True),
                ]
            },
            "use_residual",
        ),
        "pooling without the prompt": (
            {
                "modules": lambda width: [Pooling(width, "mean", include_prompt=False)],
                "prompts": _PROMPTS,
            },
            "include_prompt",
        ),
    }
