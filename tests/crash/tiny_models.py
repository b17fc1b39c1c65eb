"""An encoder and a reranker of a few thousand random weights: a server with them starts at once."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from ..unit.engines.small_models import VOCAB_SIZE, random_tensors, small_config, write_model

_SPECIALS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class TinyModels:
    """Folders of the two models."""

    encoder: Path
    reranker: Path


def write_tiny_models(folder: Path) -> TinyModels:
    """Writes both models, each with a tokenizer that knows single letters and digits."""
    found = TinyModels(folder / "tiny-encoder", folder / "tiny-reranker")
    config = small_config()
    for path, kind in ((found.encoder, "encoder"), (found.reranker, "reranker")):
        write_model(path, config, random_tensors(config), settings={"kind": kind})
        _tokenizer().save(str(path / "tokenizer.json"))
    return found


def _tokenizer() -> Tokenizer:
    entries = (*_SPECIALS, *_LETTERS)[:VOCAB_SIZE]
    vocabulary = {entry: position for position, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.add_special_tokens([AddedToken(entry, special=True) for entry in _SPECIALS])
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(entry, vocabulary[entry]) for entry in ("[CLS]", "[SEP]")],
    )
    return tokenizer
