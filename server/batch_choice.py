"""Chooses the next batch from the requests in turn."""

import time

import numpy as np

from twopass._core import BatchPlan, plan_packed, plan_padded
from twopass.engines.base import Encoder, Int32s, PaddedLayout, Reranker
from twopass.server.fair_queue import FairQueue
from twopass.server.jobs import Job

# A padded batch is chosen from this many times its own tokens: enough for lengths to match, and few
# enough that planning stays far below the time a batch computes. Packed ones need no match.
_PADDED_WINDOW_BATCHES = 4


def next_batch(queue: FairQueue) -> tuple[list[Job], list[Int32s]]:
    """The jobs in the next batch, and which of each one's waiting rows; nothing is taken yet.

    The batch holds the first job's first waiting row, so nothing waits forever.
    """
    jobs, candidates = _window(queue)
    owners = np.repeat(np.arange(len(jobs)), [len(rows) for rows in candidates])
    rows = np.concatenate(candidates)
    lengths = np.concatenate([job.lengths[r] for job, r in zip(jobs, candidates, strict=True)])
    chosen = _batch_holding(_plan(jobs[0].engine, lengths), 0)
    present = np.unique(owners[chosen])
    return [jobs[owner] for owner in present], [
        rows[chosen[owners[chosen] == owner]] for owner in present
    ]


def num_padding_tokens(engine: Reranker | Encoder, lengths: Int32s) -> int:
    """Tokens that an engine computes beyond those of a batch."""
    layout = engine.info.layout
    if not isinstance(layout, PaddedLayout):
        return 0
    fitting = np.searchsorted(layout.buckets, int(lengths.max()))
    return layout.buckets[int(fitting)] * len(lengths) - int(lengths.sum())


def _window(queue: FairQueue) -> tuple[list[Job], list[Int32s]]:
    """The waiting rows from which a batch is chosen: those of the first jobs in turn."""
    first = queue.first
    info = first.engine.info
    num_batches = _PADDED_WINDOW_BATCHES if isinstance(info.layout, PaddedLayout) else 1
    room = info.max_batch_tokens * num_batches
    jobs, candidates = [], []
    now = time.perf_counter()
    for job in queue:
        if job.engine is not first.engine or (job is not first and job.is_late(now)):
            continue
        rows = job.waiting[: _num_within(job, room)]
        if job is first and not len(rows):
            rows = job.waiting[:1]
        if not len(rows):
            break
        room -= int(job.lengths[rows].sum())
        jobs.append(job)
        candidates.append(rows)
    return jobs, candidates


def _num_within(job: Job, max_tokens: int) -> int:
    """How many of the job's next rows hold at most `max_tokens` together."""
    if max_tokens <= 0:
        return 0
    # No row is shorter than a token, so more rows than tokens need not be summed.
    totals = np.cumsum(job.lengths[job.waiting[:max_tokens]])
    return int(np.searchsorted(totals, max_tokens, side="right"))


def _plan(engine: Reranker | Encoder, lengths: Int32s) -> BatchPlan:
    info = engine.info
    if isinstance(info.layout, PaddedLayout):
        buckets = np.array(info.layout.buckets, np.int32)
        return plan_padded(lengths, buckets, info.max_batch_tokens)
    return plan_packed(lengths, info.max_batch_tokens)


def _batch_holding(plan: BatchPlan, row: int) -> Int32s:
    """The rows of the plan's batch in which `row` is."""
    position = int(np.flatnonzero(plan.order == row)[0])
    batch = int(np.searchsorted(plan.batch_offsets, position, side="right")) - 1
    return np.array(plan.order[plan.batch_offsets[batch] : plan.batch_offsets[batch + 1]])
