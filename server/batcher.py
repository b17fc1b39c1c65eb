"""Feeds the engines of one device: one arbiter decides which pairs go into the next batch.

There is no timer: a batch forms while the one before it computes, from whatever waits then.
Queries to embed come before pairs to rerank, and those before documents to ingest; within a kind
the requests take turns, and the pairs of a batch are alike in length. What was cancelled or is late
leaves the queue before an engine sees it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from twopass._core import BatchPlan, plan_packed, plan_padded
from twopass.engines.base import Encoder, Float32s, Int32s, PaddedLayout, Reranker, TokenBatch
from twopass.server.errors import LateError, OverloadedError
from twopass.server.jobs import Job, deliver, gather

# A batch is chosen from this many times its own tokens: enough for lengths to match, and few enough
# that planning stays far below the time a batch computes.
_WINDOW_BATCHES = 4
# Assumed until the first batch has been timed.
_INITIAL_TOKENS_PER_SECOND = 5_000.0
# Weight of the newest batch in the measured speed.
_SPEED_SMOOTHING = 0.1


class Priority(IntEnum):
    """What is computed first when several kinds wait."""

    QUERY = 0
    RERANK = 1
    INGEST = 2


@dataclass(frozen=True, slots=True)
class Computed:
    """What the engine made of one request's sequences.

    Attributes:
        output: In the order of the sequences; `[num_sequences]` or `[num_sequences, hidden_size]`.
        queue_seconds: Time in which none of its sequences was in an engine.
        engine_seconds: Time in which at least one was.
    """

    output: Float32s
    queue_seconds: float
    engine_seconds: float


class Batcher:
    """The arbiter of one device. Lives on one event loop; engines answer from their own threads."""

    def __init__(self, *, max_queued_pairs: int) -> None:
        """Starts with an empty queue.

        Args:
            max_queued_pairs: Most pairs and texts of requests admitted and not answered.
        """
        self._max_queued = max_queued_pairs
        self._num_admitted = 0
        self._queues = {priority: deque[Job]() for priority in Priority}
        self._num_in_flight = 0
        self._tokens_per_second = _INITIAL_TOKENS_PER_SECOND
        self._waiting_tokens = 0

    @contextmanager
    def admitted(self, num_pairs: int) -> Iterator[None]:
        """Holds places in the queue for a whole request, or refuses it at once.

        Raises:
            OverloadedError: There are fewer places than pairs.
        """
        if self._num_admitted + num_pairs > self._max_queued:
            raise OverloadedError(
                f"queue: {num_pairs:,} places asked for, {self._max_queued - self._num_admitted:,} "
                f"of {self._max_queued:,} are free; try again later or send fewer candidates",
                retry_after=self._waiting_tokens / self._tokens_per_second,
            )
        self._num_admitted += num_pairs
        try:
            yield
        finally:
            self._num_admitted -= num_pairs

    async def compute(
        self,
        engine: Reranker | Encoder,
        batch: TokenBatch,
        priority: Priority,
        *,
        deadline: float | None = None,
    ) -> Computed:
        """Runs every sequence through an engine, in batches shared with other requests.

        Args:
            engine: One of this device.
            batch: The request's sequences, none longer than the engine takes.
            priority: What kind of request this is.
            deadline: Seconds of `time.perf_counter` after which the result is worthless.

        Raises:
            LateError: The deadline came first.
            EngineError: The engine failed on one of the sequences.
        """
        job = Job(
            engine=engine,
            batch=batch,
            lengths=batch.lengths,
            done=asyncio.get_running_loop().create_future(),
            waiting=np.argsort(-batch.lengths, kind="stable").astype(np.int32),
            submitted=time.perf_counter(),
            num_unfinished=len(batch),
        )
        if len(batch) == 0:
            return Computed(np.zeros(0, np.float32), 0.0, 0.0)
        if deadline is not None and deadline <= job.submitted:
            raise LateError("the deadline had run out before the engine was asked")
        queue = self._queues[priority]
        queue.append(job)
        self._waiting_tokens += batch.num_tokens
        self._dispatch()
        try:
            async with asyncio.timeout(None if deadline is None else deadline - job.submitted):
                await job.done
        except TimeoutError:
            raise LateError("the deadline ran out while the engine was at work") from None
        finally:
            self._withdraw(job, queue)
        assert job.output is not None
        total = time.perf_counter() - job.submitted
        return Computed(job.output, max(0.0, total - job.engine_seconds), job.engine_seconds)

    def _withdraw(self, job: Job, queue: deque[Job]) -> None:
        """Takes off the queue what is left of a job: after success nothing, else the rest."""
        if len(job.waiting):
            self._waiting_tokens -= int(job.lengths[job.waiting].sum())
            job.waiting = job.waiting[:0]
        if job in queue:
            queue.remove(job)

    def _dispatch(self) -> None:
        """Gives the device batches while it takes any."""
        while queue := next((q for q in self._queues.values() if q), None):
            engine = queue[0].engine
            if self._num_in_flight >= engine.info.max_in_flight:
                return
            self._submit(engine, *self._next_batch(queue))

    def _next_batch(self, queue: deque[Job]) -> tuple[list[Job], list[Int32s]]:
        """Takes the next batch off a queue: the jobs in it, and each one's rows.

        The batch is the one of the window's plan that holds the first job's longest waiting row, so
        the first in turn is always served and nothing waits forever.
        """
        engine = queue[0].engine
        jobs = [job for job in queue if job.engine is engine]
        share = _WINDOW_BATCHES * engine.info.max_batch_tokens // len(jobs)
        candidates = [job.waiting[: _rows_within(job, share)] for job in jobs]
        owners = np.repeat(np.arange(len(jobs)), [len(rows) for rows in candidates])
        rows = np.concatenate(candidates)
        lengths = np.concatenate([job.lengths[r] for job, r in zip(jobs, candidates, strict=True)])
        chosen = _batch_holding(_plan(engine, lengths), 0)
        taken_jobs, taken_rows = [], []
        for owner in np.unique(owners[chosen]):
            job, mine = jobs[owner], rows[chosen[owners[chosen] == owner]]
            job.waiting = job.waiting[~np.isin(job.waiting, mine)]
            self._waiting_tokens -= int(job.lengths[mine].sum())
            queue.remove(job)
            if len(job.waiting):
                queue.append(job)
            taken_jobs.append(job)
            taken_rows.append(mine)
        return taken_jobs, taken_rows

    def _submit(self, engine: Reranker | Encoder, jobs: list[Job], rows: list[Int32s]) -> None:
        batch = gather(jobs, rows)
        for job in jobs:
            job.enter_engine()
        self._num_in_flight += 1
        loop = asyncio.get_running_loop()
        began = time.perf_counter()

        def answer(future: Future[Float32s]) -> None:
            self._num_in_flight -= 1
            self._measure(batch.num_tokens, time.perf_counter() - began)
            deliver(jobs, rows, future)
            self._dispatch()

        try:
            submitted = engine.submit(batch)
        except Exception as error:  # an engine that is closed or broken refuses in its own way
            submitted = Future()
            submitted.set_exception(error)
        submitted.add_done_callback(lambda future: loop.call_soon_threadsafe(answer, future))

    def _measure(self, num_tokens: int, seconds: float) -> None:
        speed = num_tokens / max(seconds, 1e-6)
        self._tokens_per_second += _SPEED_SMOOTHING * (speed - self._tokens_per_second)


def _rows_within(job: Job, max_tokens: int) -> int:
    """How many of the job's waiting rows, at least one, hold at most `max_tokens` together."""
    # No row is shorter than a token, so more rows than tokens need not be summed.
    totals = np.cumsum(job.lengths[job.waiting[:max_tokens]])
    return max(1, int(np.searchsorted(totals, max_tokens, side="right")))


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
