"""Tokenizers of the families beside BERT's, with vocabularies of a few entries."""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

_LETTERS = "abcdefghijklmnopqrstuvwxyz.,!"


def byte_level(file: Path) -> Path:
    """Writes a byte-level BPE tokenizer as RoBERTa has, its pairs `<s> q </s></s> p </s>`."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ" * n, "Ġ" * n) for n in (1, 2, 4, 8, 16)] + [("a", "b"), ("Ġ", "ab")]
    entries = ["<s>", "<pad>", "</s>", *symbols, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({entry: i for i, entry in enumerate(entries)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _write(tokenizer, file)


def metaspace(file: Path) -> Path:
    """Writes a unigram tokenizer as XLM-RoBERTa has: spaces become part of the word after them."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -3.0)]
    pieces += [(letter, -4.0) for letter in _LETTERS] + [("▁ab", -2.0), ("ab", -2.5)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Replace("  ", " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return _write(tokenizer, file)


def _write(tokenizer: Tokenizer, file: Path) -> Path:
    specials = ["<s>", "<pad>", "</s>"]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in specials])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    # What a training run left behind must not reach the server.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    content = json.loads(tokenizer.to_str())
    file.write_text(json.dumps(content), encoding="utf-8")
    return file
