"""The texts of candidates' nearest windows, for a reranker whose tokenizer is another one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twopass.engines.base.sequences import Int32s
from twopass.engines.base.tokenizer import Tokenizer
from twopass.index.stopping import Stop
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.search.candidates import Candidates


@dataclass(frozen=True, slots=True, eq=False)
class WindowCut:
    """Where the windows of some candidates are.

    Attributes:
        candidates: The candidates.
        positions: Which of them, int32 `[n]`.
        window_tokens: Tokens of a window and its head, as the collection's schema says.
    """

    candidates: Candidates
    positions: Int32s
    window_tokens: int


async def window_texts(
    tokenizing: Tokenizing,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    cut: WindowCut,
    stop: Stop,
) -> list[str]:
    """The texts of windows, each after its head; whole texts where no window is known.

    Args:
        tokenizing: Finds tokens in texts.
        tokenizer: That of the collection, whose tokens windows are counted in.
        texts: The passages, `[n]`.
        cut: Where the windows are.
        stop: Ends the work.
    """
    windows = cut.candidates.windows
    if windows is None:
        return list(texts)
    heads = cut.candidates.heads_at(cut.positions, cut.window_tokens)
    spans = await tokenizing.spans(tokenizer, texts, windows[cut.positions], stop)
    ends = await tokenizing.spans(
        tokenizer, texts, np.stack([np.zeros_like(heads), heads], axis=1), stop
    )
    return [
        f"{text[:end]} {text[slice(*span)]}".lstrip()
        for text, span, (_, end) in zip(texts, spans, ends, strict=True)
    ]
