"""Where in a text a tokenizer surely begins a new token, whatever stands before or after.

What is read of `tokenizer.json` is a proof, not a guess: where nothing is proved, texts are
tokenised whole, which is slower and always right.
"""

import base64
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from tokenizers.normalizers import Precompiled

# Patterns that never match across a space that follows another character: their words begin with
# at most one space, and runs of white space match alone. In order: GPT-2, Llama 3, Qwen 2, GPT-4o,
# and Qwen 3.5, whose words hold marks too.
_SPLITTING_PATTERNS = frozenset(
    {
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
        r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    }
)
# Pre-tokenisers that drop white space and cut the rest into words.
_DROP_SPACES = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
# Those that cut a text at characters of one kind, wherever they stand.
_BY_CHARACTER = frozenset({"Digits", "Punctuation"})
# Normalisers that change characters one by one, or those with the marks that follow them.
_BY_CHARACTERS = frozenset(
    {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents"}
)
_KNOWN_PAIRS = 1_024
_WORDS_BEFORE_SPACE = re.compile(r".*\S(?= )", re.DOTALL)


class TokenBoundaries:
    """What a `tokenizer.json` proves about where its tokens begin.

    Attributes:
        at_spaces: Whether tokens before a space, which follows another character, are what they
            would be if the text ended there.
        at_white_space: Whether that holds for line breaks and tabs too.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Reads what is there to read.

        Args:
            content: `tokenizer.json`.
        """
        self._model: Mapping[str, Any] = content["model"]
        self._normalizers = list(_steps(content.get("normalizer"), "normalizers"))
        self._pre_tokenizers = list(_steps(content.get("pre_tokenizer"), "pretokenizers"))
        added = content.get("added_tokens") or ()
        # Special tokens are text in a text, so that none is looked for.
        self._added = [
            token["content"].replace("▁", " ") for token in added if not token["special"]
        ]
        self._is_regular = all(_is_regular(each) for each in self._normalizers)
        words = list(self._pre_tokenizers)
        while words and words[0]["type"] in _BY_CHARACTER:
            del words[0]
        first = words[0] if words else {"type": None}
        has_splits = self._is_regular and _splits_at_spaces(first)
        self.at_spaces = has_splits and not any(" " in token.lstrip() for token in self._added)
        drops_spaces = first["type"] in _DROP_SPACES or first["type"] == "ByteLevel"
        self.at_white_space = (
            self.at_spaces and drops_spaces and not any(map(_has_white_space, self._added))
        )
        self._straddles = lru_cache(_KNOWN_PAIRS)(self._has_piece_across)
        self._parts_at_spaces = self.at_spaces and self.keeps_tokens_after(" ")

    def pieces(self, text: str, max_chars: int) -> list[str]:
        """Parts of a text whose tokens joined are its own; see `Tokenizer`.

        A part ends before a space, so neither what is before nor what is after changes its tokens.
        """
        parts, start = [], 0
        while self._parts_at_spaces and len(text) - start > max_chars:
            words = _WORDS_BEFORE_SPACE.match(text, start, start + max_chars)
            if words is None:
                break
            parts.append(words[0])
            start = words.end()
        return [*parts, text[start:]]

    def last_in(self, prefix: str) -> int:
        """How many characters of a prefix have tokens that no text after the prefix changes.

        Args:
            prefix: Stands before a text.

        Returns:
            The place of a space; 0 where no place is proved.
        """
        kept = prefix.rstrip(" ")
        while kept:
            if len(kept) < len(prefix) and self._begins_token(kept[-1]):
                return len(kept)
            kept = kept[: kept.rfind(" ")].rstrip(" ") if " " in kept else ""
        return 0

    def keeps_tokens_after(self, prefix: str) -> bool:
        """Whether every text has the same tokens after a prefix as alone."""
        if self._added or not self._is_regular or not all(map(_is_local, self._normalizers)):
            return False
        first, *others = self._pre_tokenizers or [{"type": None}]
        if first["type"] not in _DROP_SPACES or not all(map(_treats_words_alike, others)):
            return False
        if prefix[-1] == " ":
            return True
        # Each is a word of its own; but other normalisers join "=" and a mark after it.
        is_bert = {"BertNormalizer"}.issuperset(each["type"] for each in self._normalizers)
        return is_bert and first["type"] == "BertPreTokenizer" and _is_punctuation(prefix[-1])

    def _begins_token(self, char: str) -> bool:
        """Whether a space after a character, and what follows it, never join what is before."""
        if not char.isascii() or not char.isprintable():
            return False
        if any(f"{char} ".lower() in token.lower() for token in self._added):
            return False
        return self.at_spaces or not self._straddles(char)

    def _has_piece_across(self, char: str) -> bool:
        """Whether a piece of the vocabulary may hold a character and the space after it."""
        model = self._model
        if (
            not self._is_regular
            or not all(map(_is_idle, self._pre_tokenizers))
            or model.get("type") not in ("BPE", "Unigram")
            or model.get("continuing_subword_prefix")
            or model.get("end_of_word_suffix")
        ):
            return True
        vocabulary = model["vocab"]
        pieces = vocabulary if isinstance(vocabulary, dict) else [piece for piece, _ in vocabulary]
        # A space that is no piece is unknown, and joined to what is unknown before it.
        if "▁" not in pieces:
            return True
        pairs = {f"{c}{space}" for c in (char, char.lower()) for space in "▁ "}
        return any(pair in piece for piece in pieces for pair in pairs)


def _steps(stage: Mapping[str, Any] | None, name: str) -> Iterator[Mapping[str, Any]]:
    """The steps of a normaliser or pre-tokeniser, which may be sequences of them."""
    if stage is None:
        return
    if stage["type"] == "Sequence":
        for each in stage[name]:
            yield from _steps(each, name)
    else:
        yield stage


def _is_regular(normalizer: Mapping[str, Any]) -> bool:
    """Whether what is before a space is normalised alike, whatever follows."""
    kind = normalizer["type"]
    if kind == "Replace":
        return set(_pattern(normalizer).replace("{2,}", "")) <= {" "} or _is_quote(normalizer)
    return kind in _BY_CHARACTERS or kind in ("Precompiled", "Prepend", "Strip")


def _is_local(normalizer: Mapping[str, Any]) -> bool:
    """Whether the beginning of a text is normalised alike after a space as alone."""
    kind = normalizer["type"]
    if kind == "Precompiled":
        return _keeps_marks_apart(normalizer["precompiled_charsmap"])
    return kind in _BY_CHARACTERS or kind == "Strip" or (kind == "Replace")


@lru_cache(4)
def _keeps_marks_apart(charsmap: str) -> bool:
    """Whether marks that follow a space are normalised as they are alone.

    The library looks for a character with its marks as a whole, for a space too.
    """
    normalizer = Precompiled(base64.b64decode(charsmap))
    return all(
        normalizer.normalize_str(f"x {mark}") == f"x {normalizer.normalize_str(mark)}"
        for mark in _marks()
    )


@lru_cache(1)
def _marks() -> tuple[str, ...]:
    characters = map(chr, range(0x300, 0x20000))
    kinds = ("Mn", "Mc", "Me", "Cf")
    return tuple(c for c in characters if unicodedata.category(c) in kinds)


def _is_quote(replacement: Mapping[str, Any]) -> bool:
    """Whether it is one of ALBERT's: two quotation marks become one character."""
    return _pattern(replacement) in ("``", "''")


def _pattern(step: Mapping[str, Any]) -> str:
    pattern = step["pattern"]
    return str(pattern.get("String", pattern.get("Regex", "?")))


def _splits_at_spaces(pre_tokenizer: Mapping[str, Any]) -> bool:
    match pre_tokenizer["type"]:
        case "ByteLevel":
            return bool(pre_tokenizer.get("use_regex", True))
        case "Metaspace":
            return bool(pre_tokenizer.get("split", True))
        case "Split":
            return (
                "Regex" in pre_tokenizer["pattern"]
                and pre_tokenizer["behavior"] == "Isolated"
                and not pre_tokenizer.get("invert")
                and _pattern(pre_tokenizer) in _SPLITTING_PATTERNS
            )
        case kind:
            return bool(kind in _DROP_SPACES)


def _is_idle(pre_tokenizer: Mapping[str, Any]) -> bool:
    """Whether it cuts nowhere, or at spaces alone: elsewhere pieces decide.

    Gemma's cuts after spaces, none of which its normaliser has left.
    """
    if pre_tokenizer["type"] == "Metaspace":
        return True
    is_split = pre_tokenizer["type"] == "Split"
    return bool(is_split and pre_tokenizer["pattern"] == {"String": " "})


def _treats_words_alike(pre_tokenizer: Mapping[str, Any]) -> bool:
    """Whether it makes the same of a word wherever in the text it stands."""
    kind = pre_tokenizer["type"]
    if kind == "Metaspace":
        return bool(pre_tokenizer.get("prepend_scheme", "always") != "first")
    return bool(kind in _BY_CHARACTER or kind == "ByteLevel")


def _is_punctuation(char: str) -> bool:
    is_ascii = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return is_ascii or unicodedata.category(char).startswith("P")


def _has_white_space(token: str) -> bool:
    return any(char.isspace() for char in token.strip())
