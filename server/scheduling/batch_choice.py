"""Chooses the next batch from the requests in turn."""

import time

import numpy as np

from twopass._core import BatchPlan, plan_padded
from twopass.engines.base.engine import Engine, PaddedLayout
from twopass.engines.base.sequences import Int32s, TokenBatch
from twopass.server.scheduling.fair_queue import FairQueue
from twopass.server.scheduling.jobs import Job

# A padded batch is chosen from this many times its own tokens: enough for lengths to match, and few
# enough that planning stays far below the time a batch computes. Packed ones need no match.
_PADDED_WINDOW_BATCHES = 4


def next_batch(queue: FairQueue, max_tokens: int) -> tuple[list[Job], list[Int32s]]:
    """The jobs in the next batch, and which of each one's waiting rows; nothing is taken yet.

    The batch holds the first job's first waiting row, so nothing waits forever.

    Args:
        queue: Not empty.
        max_tokens: Most tokens of a batch, padded ones counted; a longer row is one of its own.
    """
    layout = queue.first.engine.info.layout
    if not isinstance(layout, PaddedLayout):
        return _window(queue, max_tokens)
    jobs, candidates = _window(queue, max_tokens * _PADDED_WINDOW_BATCHES)
    owners = np.repeat(np.arange(len(jobs)), [len(rows) for rows in candidates])
    rows = np.concatenate(candidates)
    lengths = np.concatenate([job.lengths[r] for job, r in zip(jobs, candidates, strict=True)])
    plan = plan_padded(lengths, np.array(layout.buckets, np.int32), max_tokens)
    chosen = _batch_holding(plan, 0)
    present = np.unique(owners[chosen])
    return [jobs[owner] for owner in present], [
        rows[chosen[owners[chosen] == owner]] for owner in present
    ]


def num_padding_tokens(engine: Engine, batch: TokenBatch) -> int:
    """Tokens that an engine computes beyond those of a batch."""
    layout = engine.info.layout
    if not isinstance(layout, PaddedLayout):
        return 0
    fitting = np.searchsorted(layout.buckets, int(batch.lengths.max()))
    return layout.buckets[int(fitting)] * len(batch) - batch.num_tokens


def _window(queue: FairQueue, room: int) -> tuple[list[Job], list[Int32s]]:
    """The first waiting rows of the first jobs in turn, of at most `room` tokens or one row."""
    first = queue.first
    jobs, candidates = [], []
    now = time.perf_counter()
    for job in queue:
        if job.engine is not first.engine or job.of_tokens is not first.of_tokens:
            continue
        if job is not first and job.is_late(now):
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


def _batch_holding(plan: BatchPlan, row: int) -> Int32s:
    """The rows of the plan's batch that holds `row`."""
    position = int(np.flatnonzero(plan.order == row)[0])
    batch = int(np.searchsorted(plan.batch_offsets, position, side="right")) - 1
    return np.array(plan.order[plan.batch_offsets[batch] : plan.batch_offsets[batch + 1]])
