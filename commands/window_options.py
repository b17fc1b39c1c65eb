"""How documents of a new collection are split: options of `index` and `collections create`."""

from twopass.client import Chunking
from twopass.commands.terminal.failures import USAGE, exit_with

WINDOW_TOKENS = (
    "Split documents into windows of this many tokens; unset: of as many as the encoder reads."
)
OVERLAP_TOKENS = (
    "Tokens that neighbouring windows share, beside --window-tokens; unset: a quarter of a window."
)
WHOLE_DOCUMENTS = "Don't split documents: of long ones the encoder reads the beginning alone."


def chunking(window_tokens: int | None, overlap_tokens: int | None) -> Chunking | None:
    """The windows that were asked for; None for those of the encoder's own size.

    An overlap of windows that were not asked for ends the command.
    """
    if window_tokens is not None:
        overlap = window_tokens // 4 if overlap_tokens is None else overlap_tokens
        return Chunking(window_tokens, overlap)
    if overlap_tokens is not None:
        exit_with("--overlap-tokens: needs --window-tokens beside it", USAGE)
    return None
