"""The engine without a server: how long the same pairs take in this process."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twopass._core import BatchPlan, gather_packed, plan_packed, plan_padded
from twopass.benchmarks.workload import CandidateTexts
from twopass.engines.base.engine import EngineInfo, PaddedLayout
from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Int32s, TokenBatch
from twopass.server.search.second_pass import max_pair_tokens


def score(reranker: LoadedReranker, candidates: Sequence[CandidateTexts]) -> int:
    """Tokenises and scores candidate sets as fast as the engine goes; returns how many pairs.

    A thread tokenises one set after another, ahead of the engine; every batch is queued as soon as
    it is made. So the engine waits for the first set alone.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="tokenizer") as tokenizing:
        sets = tokenizing.map(lambda texts: pairs_of(reranker, texts), candidates)
        logits = [
            reranker.engine.submit(batch)
            for pairs in sets
            for batch in _batches(pairs, reranker.engine.info)
        ]
        return sum(len(future.result()) for future in logits)


def pairs_of(reranker: LoadedReranker, texts: CandidateTexts) -> TokenBatch:
    """The pairs of a query with each passage, as the reranker reads them."""
    spec, tokenizer = reranker.spec, reranker.tokenizer
    query = reranker.read_query(texts.query)
    passages = tokenizer.encode(texts.passages, spec.max_seq_len)
    most = max_pair_tokens(reranker, query)
    return query.template.assemble(query.token_ids, passages, most)[0]


def _batches(pairs: TokenBatch, info: EngineInfo) -> Iterator[TokenBatch]:
    """A set's pairs by length, in batches of the size the engine asks for."""
    plan = _plan(pairs.lengths, info)
    for begin, end in zip(plan.batch_offsets[:-1], plan.batch_offsets[1:], strict=True):
        rows = np.array(plan.order[begin:end])
        yield TokenBatch(*gather_packed(pairs.token_ids, pairs.offsets, pairs.query_lengths, rows))


def _plan(lengths: Int32s, info: EngineInfo) -> BatchPlan:
    if isinstance(info.layout, PaddedLayout):
        return plan_padded(lengths, _array(info.layout.buckets), info.max_batch_tokens)
    return plan_packed(lengths, info.max_batch_tokens)


def _array(values: Sequence[int]) -> Int32s:
    return np.array(values, np.int32)
