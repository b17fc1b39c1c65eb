"""`tokenizer.json`, read with what the files beside it say."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twopass.engines.base.sequences import SingleTemplate
from twopass.engines.errors import ModelError
from twopass.engines.model.tokenizing.settings import TokenizerSettings

# Files of tokenizers that are not read, and what made them.
_OTHER_FILES = {
    "vocab.txt": "WordPiece",
    "vocab.json": "byte-level BPE",
    "merges.txt": "byte-level BPE",
    "sentencepiece.bpe.model": "SentencePiece",
    "spiece.model": "SentencePiece",
    "spm.model": "SentencePiece",
    "tokenizer.model": "SentencePiece",
}


def require_tokenizer(file: Path) -> None:
    """Refuses a model folder without a tokenizer that is read, and says how one is made.

    Raises:
        ModelError: The file is missing.
    """
    if file.is_file():
        return
    others = [name for name in _OTHER_FILES if (file.parent / name).is_file()]
    if not others:
        raise ModelError(
            f"{file}: missing; a model folder holds config.json, tokenizer.json and weights"
        )
    raise ModelError(
        f"{file}: missing, there is {' and '.join(others)} ({_OTHER_FILES[others[0]]}), which is "
        'not read; write it once where transformers is installed: python -c "from transformers '
        f"import AutoTokenizer as T; T.from_pretrained('{file.parent}').save_pretrained("
        f"'{file.parent}')\""
    )


def read_tokenizer(
    file: Path, settings: TokenizerSettings, control: Collection[str] = ()
) -> dict[str, Any]:
    """Reads `tokenizer.json` as the settings change it, without truncation and padding.

    Args:
        file: The file.
        settings: What the files beside it say.
        control: Added tokens that are special, though they are not marked.

    Raises:
        ModelError: The file is missing or damaged.
    """
    require_tokenizer(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        # Truncation and padding are ours: what is stored must be whole and unpadded.
        content["truncation"] = content["padding"] = None
        _mark_special(content, {*settings.special_tokens, *control})
        _change_normalizer(content, settings)
        _change_pre_tokenizer(content, settings)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{file}: not a tokenizer ({error})") from error
    assert isinstance(content, dict)
    return content


def with_bos_and_eos(
    single: SingleTemplate, content: Mapping[str, Any], settings: TokenizerSettings
) -> SingleTemplate:
    """What stands around a text, with the ends of sequences that the settings ask for.

    What `tokenizer.json` puts there already is not put twice.
    """
    ids = dict(named_ids(content))
    prefix, suffix = single.prefix, single.suffix
    bos, eos = ids.get(settings.bos_token), ids.get(settings.eos_token)
    if bos is not None and bos not in prefix:
        prefix = (bos, *prefix)
    if eos is not None and eos not in suffix:
        suffix = (*suffix, eos)
    return replace(single, prefix=prefix, suffix=suffix)


def named_ids(content: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Every token and its id."""
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, dict):
        yield from vocabulary.items()
    else:
        yield from ((piece, id_) for id_, (piece, _) in enumerate(vocabulary))
    yield from ((token["content"], token["id"]) for token in content.get("added_tokens") or ())


def _mark_special(content: dict[str, Any], names: Collection[str]) -> None:
    """Marks tokens as special, in the vocabulary too, as transformers does when it loads them."""
    if not names:
        return
    added = content.setdefault("added_tokens", [])
    for token in added:
        token["special"] = token["special"] or token["content"] in names
    known = {token["content"] for token in added}
    missing = [pair for pair in named_ids(content) if pair[0] in names and pair[0] not in known]
    if not missing:
        return
    added += [
        {
            "id": id_,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token, id_ in sorted(missing, key=lambda pair: pair[1])
    ]
    added.sort(key=lambda token: token["id"])


def _change_normalizer(content: dict[str, Any], settings: TokenizerSettings) -> None:
    normalizer: dict[str, Any] = content.get("normalizer") or {}
    if normalizer and normalizer["type"] == "BertNormalizer":
        normalizer |= dict(settings.normalizer)
    if settings.lowercase and not _lowercases(normalizer):
        # As sentence-transformers does, before all else.
        others = normalizer["normalizers"] if _is_sequence(normalizer) else [normalizer]
        steps = [{"type": "Lowercase"}, *(each for each in others if each)]
        content["normalizer"] = {"type": "Sequence", "normalizers": steps}


def _change_pre_tokenizer(content: dict[str, Any], settings: TokenizerSettings) -> None:
    if settings.add_prefix_space is None or not (pre_tokenizer := content.get("pre_tokenizer")):
        return
    steps = pre_tokenizer["pretokenizers"] if _is_sequence(pre_tokenizer) else [pre_tokenizer]
    for step in steps:
        if step["type"] == "ByteLevel":
            step["add_prefix_space"] = settings.add_prefix_space


def _lowercases(normalizer: Mapping[str, Any]) -> bool:
    if _is_sequence(normalizer):
        return any(map(_lowercases, normalizer["normalizers"]))
    if normalizer.get("type") == "BertNormalizer":
        return bool(normalizer.get("lowercase"))
    return normalizer.get("type") == "Lowercase"


def _is_sequence(step: Mapping[str, Any]) -> bool:
    return step.get("type") == "Sequence"
