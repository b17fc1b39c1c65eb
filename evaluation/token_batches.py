"""Batches of token ids from texts, to measure engines without a server."""

from collections.abc import Sequence

import numpy as np

from twopass._core import assemble_pairs
from twopass.engines.base import Int32s, ModelKind, ModelSpec, Ragged, TokenBatch, Tokenizer


def token_batch(
    spec: ModelSpec, tokenizer: Tokenizer, query: str, passages: Sequence[str]
) -> TokenBatch:
    """Makes a batch: for a reranker a query's pairs, for an encoder passages; cuts long ones."""
    texts = tokenizer.encode(passages, spec.max_seq_len)
    template = tokenizer.template
    if spec.kind is ModelKind.ENCODER:
        room = spec.max_seq_len - template.num_single_tokens
        rows = [
            np.array([*template.prefix, *texts[i][:room], *template.suffix], np.int32)
            for i in range(len(texts))
        ]
        singles = Ragged.from_rows(rows)
        return TokenBatch(singles.token_ids, singles.offsets, singles.lengths)
    query_ids = tokenizer.encode([query], spec.max_query_tokens)[0]
    token_ids, offsets, query_lengths, _ = assemble_pairs(
        query_ids,
        texts.token_ids,
        texts.offsets,
        _array(template.prefix),
        _array(template.separator),
        _array(template.suffix),
        spec.max_seq_len,
    )
    return TokenBatch(token_ids, offsets, query_lengths)


def _array(values: Sequence[int]) -> Int32s:
    return np.array(values, np.int32)
