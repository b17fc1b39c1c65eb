"""What a tokenizer is to the server."""

from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

from twopass.engines.base.sequences import Int32s, PairTemplate, Ragged, SingleTemplate


class Tokenizer(Protocol):
    """Turns texts into token ids, without special tokens. Safe to call from several threads."""

    fingerprint: str
    """Equal for two tokenizers exactly when they give equal ids: token ids are stored under it."""

    pad_id: int

    @property
    def template(self) -> PairTemplate:
        """Where special tokens go in a pair; only a reranker's tokenizer surely has one."""

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises texts; a row is cut after `max_tokens` tokens.

        Args:
            texts: Any Unicode without lone surrogates; an empty text has no tokens.
            max_tokens: At least 1.
        """

    def places(self, text: str) -> Int32s:
        """Where each token of a text stands in it, int32 `[num_tokens, 2]`.

        Returns:
            The first character and one past the last, in code points; the tokens are `encode`'s.
        """

    def pieces(self, text: str, max_chars: int) -> list[str]:
        """Parts of a text, which joined are the text, and whose tokens joined are its tokens.

        Args:
            text: Any text.
            max_chars: Length of a part at most, in code points, where the text can be cut so.

        Returns:
            At least one part; the text itself where no place to cut is proved.
        """

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest id of a token."""

    def token(self, token_id: int) -> str:
        """What a token is called in the vocabulary; "" for an id that no token has."""

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that tokens stand for.

        Args:
            token_ids: Each at least 0 and below `vocabulary_size`.
            skip_special: Whether special tokens are left out.
        """


@runtime_checkable
class QuickTokenizer(Protocol):
    """A tokenizer that may tell the tokens of most texts in less time than a cache of them takes.

    Text of ASCII alone takes it about a microsecond for each ten tokens.
    """

    @property
    def is_quick(self) -> bool:
        """Whether it is; `encode_quickly` is called only where it is."""

    def encode_quickly(self, texts: Sequence[str], max_tokens: int) -> tuple[Ragged, list[int]]:
        """Does what `Tokenizer.encode` does, as far as it is quick.

        Returns:
            The rows, and which of them are empty since their texts are left to `encode`.
        """


class Prompt(Protocol):
    """What a decoder reads around a query and a passage. Safe to call from several threads.

    The model's tokenizer tokenises passages as they stand in the prompt.
    """

    takes_instruction: bool
    """Whether a request may say by an instruction what makes a passage relevant."""

    beside_query: tuple[tuple[int, ...], tuple[int, ...]]
    """Line breaks that are tokenised with a query, before it and after it: they stay where it is
    cut, so that the prompt keeps its form."""

    def encode_queries(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises queries as they stand in the prompt; as `Tokenizer.encode`."""

    def num_instruction_tokens(self, instruction: str, max_tokens: int) -> int:
        """How many tokens an instruction has, counted up to `max_tokens`."""

    def pair_template(self, instruction: str) -> PairTemplate:
        """What stands around query and passage.

        Args:
            instruction: What makes a passage relevant; "" for the model's own. Only where
                `takes_instruction`.
        """


@runtime_checkable
class TextTokenizer(Tokenizer, Protocol):
    """The tokenizer of an encoder, which reads single texts, perhaps after a prefix."""

    single: SingleTemplate
    """What stands around a text; the tokens of `prefix` that no text changes among it."""

    prefix: str
    """The text that stands before every text; "" for none."""

    num_prefix_tokens: int
    """Tokens at the beginning of a row that are the prefix's; 0 where all are in `single`."""

    def after(self, prefix: str) -> "TextTokenizer":
        """The tokenizer of texts that stand after a prefix, with which they are tokenised.

        The tokens before a text and a row of `encode` together are those of prefix and text
        tokenised as one string: where a tokenizer joins a space with the word after it, "query: "
        and "How" have other tokens apart. Where the tokens of a text are provably the same after
        the prefix as alone, the fingerprint is this tokenizer's; else it is one of its own, since
        token ids of the one are not those of the other.

        Args:
            prefix: Follows special tokens directly; "" gives this tokenizer.
        """


def as_quick(tokenizer: Tokenizer) -> QuickTokenizer | None:
    """A tokenizer as one that is quick at most texts; None where it is none."""
    quick = cast("QuickTokenizer", tokenizer)
    return quick if getattr(quick, "is_quick", False) else None
