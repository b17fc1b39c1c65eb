"""Batches of token ids from texts, to measure engines without a server."""

from collections.abc import Sequence

from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.base.tokenizer import TextTokenizer


def token_batch(
    spec: ModelSpec, tokenizer: TextTokenizer, query: str, passages: Sequence[str]
) -> TokenBatch:
    """Makes a batch: for a reranker a query's pairs, for an encoder passages; cuts long ones."""
    if spec.kind is ModelKind.ENCODER:
        after_prefix = tokenizer.after(spec.passage_prefix)
        rows = after_prefix.encode(passages, spec.max_seq_len)
        return after_prefix.single.assemble(rows, spec.max_seq_len)[0]
    texts = tokenizer.encode(passages, spec.max_seq_len)
    query_ids = tokenizer.encode([query], spec.max_query_tokens)[0]
    return tokenizer.template.assemble(query_ids, texts, spec.max_seq_len)[0]
