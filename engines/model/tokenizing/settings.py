"""What the files beside `tokenizer.json` say of a tokenizer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SPECIAL_TOKENS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
    "additional_special_tokens",
    "extra_special_tokens",
)
_IN_BRACKETS = re.compile(r"[<\[{(|].+[>\]})|]", re.DOTALL)
# Classes of transformers that have no token types where `model_input_names` is not written. Others
# have them, or say so: then it is for the template in `tokenizer.json` to tell.
_WITHOUT_TYPES = frozenset(
    {
        "Bart",
        "Barthez",
        "BigBird",
        "Blenderbot",
        "Camembert",
        "CodeLlama",
        "Cohere",
        "DistilBert",
        "Esm",
        "GPT2",
        "GPTNeoX",
        "Gemma",
        "LED",
        "Llama",
        "Longformer",
        "Luke",
        "M2M100",
        "MBart",
        "MBart50",
        "MPNet",
        "Nllb",
        "Pegasus",
        "Phobert",
        "Qwen2",
        "Roberta",
        "T5",
        "TokenizersBackend",
        "XLMRoberta",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSettings:
    """What a folder says of its tokenizer beside `tokenizer.json`.

    Attributes:
        lowercase: Whether texts are put into lower case before anything else.
        normalizer: Fields of `tokenizer.json`'s BertNormalizer that are otherwise than it says.
        add_prefix_space: Whether byte-level tokenizers read a space before a text that has none;
            None where nothing says.
        bos_token: The token that stands before a text even where `tokenizer.json` does not say so;
            "" for none.
        eos_token: The token that stands after it, likewise.
        max_length: Tokens of a sequence, special ones included; None where nothing says.
        input_names: What the model is given; None where nothing says. Without "token_type_ids"
            all tokens are of type 0.
        special_tokens: Tokens that no text yields, beside those that `tokenizer.json` marks.
    """

    lowercase: bool = False
    normalizer: tuple[tuple[str, bool | None], ...] = ()
    add_prefix_space: bool | None = None
    bos_token: str = ""
    eos_token: str = ""
    max_length: int | None = None
    input_names: tuple[str, ...] | None = None
    special_tokens: tuple[str, ...] = ()

    @property
    def has_types(self) -> bool:
        """Whether the model is given token types, as far as the settings say."""
        return self.input_names is None or "token_type_ids" in self.input_names


def default_input_names(tokenizer_class: object) -> tuple[str, ...] | None:
    """What transformers gives the model of a tokenizer's class; None where the class leaves it."""
    if not isinstance(tokenizer_class, str):
        return None
    family = tokenizer_class.removesuffix("Fast").removesuffix("Tokenizer")
    return ("input_ids", "attention_mask") if family in _WITHOUT_TYPES else None


def special_tokens_of(*files: Mapping[str, Any]) -> tuple[str, ...]:
    """The special tokens that `tokenizer_config.json` or `special_tokens_map.json` name.

    Without those that look like text: where padding is "!", say, texts still have their "!".
    """
    named = {
        token for file in files for name in _SPECIAL_TOKENS for token in _tokens(file.get(name))
    }
    return tuple(sorted(filter(_IN_BRACKETS.fullmatch, named)))


def token_of(name: str, *files: Mapping[str, Any]) -> str:
    """The token that one of these files names first; "" for none."""
    return next((token for file in files for token in _tokens(file.get(name))), "")


def _tokens(value: object) -> Iterator[str]:
    """Tokens as the files spell them: a text, an object with its content, or several of them."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        yield from (
            _tokens(value["content"])
            if "content" in value
            else (token for each in value.values() for token in _tokens(each))
        )
    elif isinstance(value, list):
        for each in value:
            yield from _tokens(each)
