"""Writes models as transformers and sentence-transformers do, and asks those what they compute."""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from .form import Expected
from .small_tokenizers import MAX_LENGTH
from .texts import PAIRS, TEXTS

Edit = Callable[[Path], None]


def edit_json(file: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Edit:
    """An edit of a folder that replaces what one of its JSON files holds."""

    def edit(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(change(json.loads(path.read_text()))), encoding="utf-8")

    return edit


def write_model(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    dtype: torch.dtype = torch.float32,
    num_shards: int = 1,
    native_names: bool = False,
) -> None:
    """Writes a model and its tokenizer by `save_pretrained`.

    Args:
        folder: Made if missing.
        model: The model; its weights are rounded to `dtype`.
        tokenizer: Its tokenizer.
        dtype: Of the file.
        num_shards: About how many files the weights are in.
        native_names: Whether tensors are named as in transformers' classes, not as they were first
            published.
    """
    with torch.no_grad():  # parameters alone: frequencies of rotary positions are never rounded
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))
    stored = deepcopy(model).to(dtype)
    stored.config.dtype = dtype
    size = sum(p.numel() * p.element_size() for p in stored.parameters())
    stored.save_pretrained(
        folder, max_shard_size=size // num_shards + 1, save_original_format=not native_names
    )
    tokenizer.save_pretrained(folder)


def expected_logits(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Expected:
    """What a reranker computes of every pair, each alone."""
    model = model.eval()
    token_ids, logits = [], []
    for query, passage in PAIRS:
        pair = tokenizer(
            query, passage, truncation="only_second", max_length=MAX_LENGTH, return_tensors="pt"
        )
        token_ids.append(pair["input_ids"][0].tolist())
        with torch.inference_mode():
            logits.append(model(**pair).logits[0, 0].item())
    return Expected(token_ids, np.array(logits, np.float32))


def expected_embeddings(
    model: SentenceTransformer, texts: Sequence[str] = TEXTS, prompt: str = ""
) -> Expected:
    """What an encoder computes of every text, each alone."""
    model = model.eval()
    rows = [
        model.tokenizer(prompt + text, truncation=True, max_length=model.max_seq_length)
        for text in texts
    ]
    with torch.inference_mode():
        values = [
            model.encode(text, prompt=prompt or None, normalize_embeddings=True) for text in texts
        ]
    return Expected([row["input_ids"] for row in rows], np.array(values, np.float32))


def write_reranker(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    edits: Sequence[Edit] = (),
    prepare: Callable[[nn.Module], None] = lambda _: None,
    **options: Any,
) -> Expected:
    """Writes a sequence classifier; returns its logits.

    Args:
        folder: Where to.
        model: The classifier.
        tokenizer: Its tokenizer.
        prepare: Makes the reference compute what the edits say.
        edits: Made to the folder after it was written, to spell it as others do.
        options: Of `write_model`.
    """
    write_model(folder, model, tokenizer, **options)
    prepare(model)
    expected = expected_logits(model, tokenizer)
    for edit in edits:
        edit(folder)
    return expected


def write_encoder(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    modules: Callable[[int], Sequence[nn.Module]] | None = None,
    prompts: Mapping[str, str] | None = None,
    prompt: str = "",
    transformer: Mapping[str, Any] | None = None,
    edits: Sequence[Edit] = (),
    prepare: Callable[[nn.Module], None] = lambda _: None,
    **options: Any,
) -> Expected:
    """Writes an encoder, with or without the files of sentence-transformers; returns embeddings.

    Args:
        folder: Where to.
        model: The model, with whatever head.
        tokenizer: Its tokenizer.
        modules: Gives sentence-transformers' modules after the transformer, from the width of its
            vectors; None writes none of its files, which means the mean of all tokens' vectors.
        prompts: By name, as `config_sentence_transformers.json` has them.
        prompt: Put before the texts whose embeddings are returned.
        transformer: Options of sentence-transformers' `Transformer`.
        edits: Made to the folder after it was written.
        prepare: Makes the reference compute what the edits say.
        options: Of `write_model`.
    """
    with TemporaryDirectory() as plain:
        write_model(Path(plain) if modules else folder, model, tokenizer, **options)
        module = Transformer(
            plain if modules else str(folder),
            model_kwargs={"dtype": torch.float32},
            **{"max_seq_length": MAX_LENGTH} | dict(transformer or {}),
        )
        prepare(module)
        width = module.get_embedding_dimension()
        after = modules(width) if modules else [Pooling(width, "mean")]
        sentence = SentenceTransformer(
            modules=[module, *after], prompts=dict(prompts or {}), device="cpu"
        )
        if modules:
            stored = deepcopy(sentence).to(options.get("dtype", torch.float32))
            stored.save(str(folder), create_model_card=False)
        expected = expected_embeddings(sentence, prompt=prompt)
    for edit in edits:
        edit(folder)
    return expected


def classifier_of(config: Any) -> PreTrainedModel:
    """An empty reranker of a configuration."""
    config.num_labels = 1
    return AutoModelForSequenceClassification.from_config(config)
