"""How long work will take, learned from past work: tokens a second, tokens a character."""

import time
from collections.abc import Sequence
from math import inf

# A measurement of this many seconds of computation ago counts half.
_HALF_LIFE_SECONDS = 1.0
# Assumed until a batch has been timed, and forgotten soon after.
_INITIAL_TOKENS_PER_SECOND = 5_000.0
_INITIAL_WEIGHT_SECONDS = 1e-3
# The same for texts. English has 4 to 5 characters a token; too few tokens refuse nobody wrongly.
_HALF_LIFE_CHARS = 100_000.0
_INITIAL_TOKENS_PER_CHAR = 0.2
_INITIAL_WEIGHT_CHARS = 1_000.0
# After so long a pause the speed is measured anew, by so many full batches: the processor may have
# been shared with others before, or the GPU's clock has to rise again.
_FRESH_SECONDS = 60.0
_FRESH_BATCHES = 3


class ServiceTime:
    """The measured speed of one engine.

    Batches count by their time, so that a single query does not speak for full batches.

    Attributes:
        is_measured: Whether enough full batches have been timed, ever.
    """

    def __init__(self) -> None:
        self._seconds = _INITIAL_WEIGHT_SECONDS
        self._tokens = _INITIAL_TOKENS_PER_SECOND * _INITIAL_WEIGHT_SECONDS
        self._num_full = 0  # timed since the last pause
        self._measured_full_at = -inf
        self.is_measured = False

    @property
    def is_fresh(self) -> bool:
        """Whether full batches have been timed lately, and enough of them."""
        return self._num_full >= _FRESH_BATCHES and not self._is_after_pause

    @property
    def tokens_per_second(self) -> float:
        """The speed, above 0."""
        return self._tokens / self._seconds

    def seconds(self, num_tokens: int) -> float:
        """How long so many tokens are expected to take."""
        return num_tokens / self.tokens_per_second

    def measured(self, num_tokens: int, seconds: float, *, is_full: bool = False) -> None:
        """Takes a batch into account.

        Args:
            num_tokens: Its tokens.
            seconds: How long it took.
            is_full: Whether it was large enough to tell how long large requests take.
        """
        if is_full:
            self._note_full()
        seconds = max(seconds, 1e-6)
        kept = 0.5 ** (seconds / _HALF_LIFE_SECONDS)
        self._seconds = self._seconds * kept + seconds
        self._tokens = self._tokens * kept + num_tokens

    @property
    def _is_after_pause(self) -> bool:
        return time.perf_counter() - self._measured_full_at >= _FRESH_SECONDS

    def _note_full(self) -> None:
        """Counts a full batch; after a pause the first takes all weight from those before."""
        if self._is_after_pause:
            self._num_full = 0
            self._tokens *= _INITIAL_WEIGHT_SECONDS / self._seconds
            self._seconds = _INITIAL_WEIGHT_SECONDS
        self._num_full += 1
        self._measured_full_at = time.perf_counter()
        self.is_measured = self.is_measured or self.is_fresh


class TokenDensity:
    """Tokens per character of the texts that one tokenizer has read lately.

    A text is read only up to `most` tokens: those beyond are not counted.
    """

    def __init__(self) -> None:
        self._chars = _INITIAL_WEIGHT_CHARS
        self._tokens = _INITIAL_TOKENS_PER_CHAR * _INITIAL_WEIGHT_CHARS

    def tokens(self, num_chars: Sequence[int], most: int) -> int:
        """How many tokens texts of so many characters each are expected to have in all."""
        density = self._tokens / self._chars
        if not num_chars or max(num_chars) * density <= most:
            return round(sum(num_chars) * density)
        return round(sum(min(chars * density, most) for chars in num_chars))

    def measured(self, num_chars: Sequence[int], num_tokens: Sequence[int], most: int) -> None:
        """Takes tokenised texts into account, except those cut, whose length is unknown."""
        if max(num_tokens, default=0) >= most:
            whole = [
                (chars, tokens)
                for chars, tokens in zip(num_chars, num_tokens, strict=True)
                if tokens < most
            ]
            num_chars, num_tokens = [c for c, _ in whole], [t for _, t in whole]
        total = sum(num_chars)
        kept = 0.5 ** (total / _HALF_LIFE_CHARS)
        self._chars = self._chars * kept + total
        self._tokens = self._tokens * kept + sum(num_tokens)
