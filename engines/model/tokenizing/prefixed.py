"""Texts that stand after a prefix, tokenised together with it."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from twopass.engines.base.sequences import Int32s, PairTemplate, Ragged, SingleTemplate

if TYPE_CHECKING:
    from twopass.engines.model.tokenizer import HuggingFaceTokenizer

# More tokens than a prefix can have.
_ALL_TOKENS = 2**31 - 1


class PrefixedTokenizer:
    """The tokenizer of texts after a prefix; implements `TextTokenizer`.

    `single.prefix` and a row together are the library's ids of prefix and text as one string, for
    any text. How many tokens stand in the one and how many in the other is a matter of what is
    proved: those that no text changes stand in `single.prefix`, and the row has the rest of the
    prefix, as " How" after "query:". Where nothing is proved, the rows have all of it.
    """

    def __init__(self, tokenizer: "HuggingFaceTokenizer", prefix: str) -> None:
        """Tokenises the prefix.

        Args:
            tokenizer: The tokenizer of texts without a prefix.
            prefix: Not empty.
        """
        self.prefix = prefix
        self._tokenizer = tokenizer
        self._is_alike = tokenizer.boundaries.keeps_tokens_after(prefix)
        kept = len(prefix) if self._is_alike else tokenizer.boundaries.last_in(prefix)
        unchanged = tokenizer.encode([prefix[:kept]], _ALL_TOKENS)[0]
        self._num_unchanged = len(unchanged)
        rest = prefix[kept:]
        self.num_prefix_tokens = 0
        if rest.strip():
            whole = tokenizer.encode([prefix], _ALL_TOKENS)[0]
            self.num_prefix_tokens = len(whole) - len(unchanged)
        before = tokenizer.single
        self.single: SingleTemplate = replace(
            before,
            prefix=(*before.prefix, *unchanged.tolist()),
            num_zero_types=before.num_zero_types,
        )
        self.pad_id = tokenizer.pad_id
        self.fingerprint = tokenizer.fingerprint
        if not self._is_alike:
            named = f"{tokenizer.fingerprint}\n{prefix}"
            self.fingerprint = hashlib.sha256(named.encode()).hexdigest()[:16]

    @property
    def template(self) -> PairTemplate:
        """Where special tokens go in a pair of texts, which have no prefix."""
        return self._tokenizer.template

    def after(self, prefix: str) -> "HuggingFaceTokenizer | PrefixedTokenizer":
        """The tokenizer of texts after another prefix, or none."""
        return self._tokenizer.after(prefix)

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest id of a token."""
        return self._tokenizer.vocabulary_size

    def token(self, token_id: int) -> str:
        """What a token is called in the vocabulary; "" for an id that no token has."""
        return self._tokenizer.token(token_id)

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that tokens stand for, among them those of a prefix."""
        return self._tokenizer.decode(token_ids, skip_special=skip_special)

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises texts after the prefix; a row is cut after `max_tokens` tokens."""
        if self._is_alike:
            return self._tokenizer.encode(texts, max_tokens)
        wholes = [self.prefix + text for text in texts]
        return _without_first(
            self._tokenizer.encode(wholes, self._num_unchanged + max_tokens), self._num_unchanged
        )

    def places(self, text: str) -> Int32s:
        """Where each token of a text stands in it; those of the prefix are empty, at its start."""
        if self._is_alike:
            return self._tokenizer.places(text)
        places = self._tokenizer.places(self.prefix + text)[self._num_unchanged :]
        in_text: Int32s = np.maximum(places - np.int32(len(self.prefix)), 0)
        return in_text

    def pieces(self, text: str, max_chars: int) -> list[str]:
        """Parts of a text whose tokens joined are its own, where the prefix is apart from them."""
        return self._tokenizer.pieces(text, max_chars) if self._is_alike else [text]


def _without_first(rows: Ragged, count: int) -> Ragged:
    """Rows without their first tokens, of which each has at least so many."""
    if count == 0:
        return rows
    is_kept = np.ones(len(rows.token_ids), np.bool_)
    is_kept[rows.offsets[:-1, None] + np.arange(count, dtype=np.int32)] = False
    offsets = rows.offsets - count * np.arange(len(rows.offsets), dtype=np.int32)
    return Ragged(rows.token_ids[is_kept], offsets)
