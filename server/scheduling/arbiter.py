"""Feeds the engines of one device: one arbiter decides which pairs go into the next batch.

There is no timer: a batch forms while the one before it computes, from whatever waits then.
Queries to embed come before pairs to rerank, pairs before documents to ingest, and these before
pairs of shadow comparisons; within a kind `FairQueue` has the order. A request that can't be done
by its deadline, by the measured speed of the engine, is refused when it comes; one that was
cancelled or is late leaves before an engine sees it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeAlias

import numpy as np

from twopass.engines.base.engine import BatchTerms, Engine, TokenEngine, as_distant
from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.server.errors import LateError, OverloadedError
from twopass.server.scheduling.admission import Admission, Places
from twopass.server.scheduling.backlog import Backlog, Priority
from twopass.server.scheduling.batch_choice import num_padding_tokens
from twopass.server.scheduling.jobs import (
    Computed,
    Flight,
    Job,
    computed,
    deliver,
    first_sequences,
    gather,
    terms_of,
)
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.tracing import Attributes, Tracer, record

__all__ = ["Arbiter", "Computed", "Priority"]

_NO_LIMIT = 2**62
# Places may be held by sets whose candidates are still coming, of which nothing waits yet. Clients
# that obey a millisecond would use up all their tries at once.
_MIN_RETRY_SECONDS = 0.1
_STAGES = {
    Priority.QUERY: "embed",
    Priority.RERANK: "rerank",
    Priority.INGEST: "embed",
    Priority.SHADOW: "rerank",
}

OnFailure: TypeAlias = Callable[[Engine, BaseException], None]
"""Called with an engine and the error for which it did not compute a batch."""


class Arbiter:
    """The arbiter of one device. Lives on one event loop; engines answer from their own threads.

    Attributes:
        backlog: The requests that wait, and the batches under way.
        on_failure: Called after every batch that was not computed.
    """

    def __init__(
        self,
        *,
        max_queued_pairs: int,
        max_queued_tokens: int = _NO_LIMIT,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """Starts with an empty queue.

        Args:
            max_queued_pairs: Most pairs and texts of requests admitted and not answered.
            max_queued_tokens: Most tokens that wait for an engine.
            metrics: Where batches and refusals are counted; None not to count them.
            tracer: Traces every batch that holds rows of a traced call; None to trace none.
        """
        self._metrics = metrics or Metrics()
        self._tracer = tracer
        self.on_failure: OnFailure = lambda _engine, _error: None
        self._max_queued = max_queued_pairs
        self._places = Places()
        self.backlog = Backlog(self._metrics, max_tokens=max_queued_tokens)

    def admitted(
        self,
        num_pairs: int,
        *,
        engine: Engine | None = None,
        num_tokens: int = 0,
        deadline: float | None = None,
    ) -> Admission:
        """Takes places in the queue for a whole request, or refuses it at once.

        Args:
            num_pairs: How many places to take.
            engine: The engine that will compute the pairs; None not to check their time.
            num_tokens: How many tokens they have, as far as is known before tokenising.
            deadline: Deadline of pairs to rerank, seconds of `time.perf_counter`; None for never.

        Raises:
            OverloadedError: There are fewer free places than pairs.
            LateError: The deadline has passed.
            NeverInTimeError: The pairs would be late even on an idle engine.
            WouldBeLateError: The pairs would be late for what waits before them.
        """
        taken = self._places
        if num_pairs > self._max_queued:
            self._metrics.rejected("queue_pairs")
            raise OverloadedError(
                f"queue: {num_pairs:,} places asked for, it has {self._max_queued:,} in all "
                "(max_queued_pairs); send fewer candidates or texts at once",
                retry_after=None,
                limit_name="max_queued_pairs",
                limit=self._max_queued,
                value=num_pairs,
            )
        if taken.num_pairs + num_pairs > self._max_queued:
            self._metrics.rejected("queue_pairs")
            raise OverloadedError(
                f"queue: {num_pairs:,} places asked for, {self._max_queued - taken.num_pairs:,} "
                f"of {self._max_queued:,} are free; try again later or send fewer candidates",
                retry_after=max(_MIN_RETRY_SECONDS, self.backlog.retry_after()),
                limit_name="max_queued_pairs",
                limit=self._max_queued,
                value=num_pairs,
            )
        if engine is None:
            return Admission(taken, num_pairs, 0.0)
        seconds = self.backlog.service_times[engine].seconds(num_tokens)
        self.backlog.ensure_ever_in_time(engine, seconds, deadline)
        self.backlog.ensure_in_time(
            Priority.RERANK, seconds, deadline, arriving_seconds=taken.seconds_arriving
        )
        return Admission(taken, num_pairs, seconds)

    @property
    def is_idle(self) -> bool:
        """Whether nobody's work is admitted, waits or is computed."""
        return not (
            self._places.num_pairs or self.backlog.num_in_flight or self.backlog.waiting_tokens
        )

    @property
    def num_admitted(self) -> int:
        """Number of places that are taken."""
        return self._places.num_pairs

    async def compute(
        self,
        engine: Engine,
        batch: TokenBatch,
        priority: Priority,
        *,
        deadline: float | None = None,
        first_suffice: bool = False,
        always_has_room: bool = False,
        of_tokens: bool = False,
        takes_any: bool = False,
    ) -> Computed:
        """Runs sequences through an engine, in batches shared with other requests.

        Args:
            engine: An engine of this device.
            batch: The request's sequences, none longer than the engine takes.
            priority: What kind of request this is.
            deadline: Seconds of `time.perf_counter` after which the result is worthless; None for
                never.
            first_suffice: Whether to compute the first sequences alone where there is no time for
                all.
            always_has_room: Whether its tokens may wait however many already do; for probes, which
                are few.
            of_tokens: Whether to compute the vectors of tokens, rather than an output of each
                sequence; of a `TokenEngine` only, and not where the first suffice.
            takes_any: Whether values that are not finite are returned as they are, rather than
                an error; for a caller that looks itself whose they are.

        Returns:
            The output of all sequences; if the first suffice, of at least the first one.

        Raises:
            OverloadedError: There is no room for so many tokens.
            WouldBeLateError: The deadline would come first for what waits before.
            NeverInTimeError: The deadline would come first even on an idle engine.
            LateError: The deadline came first.
            EngineError: The engine failed on one of the sequences.
        """
        if len(batch) == 0:
            return Computed(np.zeros(0, np.float32), 0.0, 0.0)
        if first_suffice and deadline is not None:
            batch = first_sequences(batch, self._num_fitting(engine, batch, priority, deadline))
            order = np.arange(len(batch), dtype=np.int32)
        else:
            order = np.argsort(-batch.lengths, kind="stable").astype(np.int32)
        if not always_has_room:
            self.backlog.ensure_room(batch.num_tokens)
        job = self._job(engine, batch, order, deadline)
        job.first_suffice = first_suffice
        job.of_tokens = of_tokens
        job.takes_any = takes_any
        if not first_suffice:
            self.backlog.ensure_ever_in_time(engine, job.waiting_seconds, deadline)
            self.backlog.ensure_in_time(priority, job.waiting_seconds, deadline)
        try:
            await self._run(job, priority)
        except LateError:
            if not first_suffice or job.num_leading_finished == 0:
                raise
        return computed(job, job.num_leading_finished)

    def _num_fitting(
        self, engine: Engine, batch: TokenBatch, priority: Priority, deadline: float
    ) -> int:
        """How many sequences, at least one, would be done before the deadline."""
        seconds = np.cumsum(batch.lengths) * self.backlog.service_times[engine].seconds(1)
        left = self.backlog.seconds_left(priority, deadline)
        num_fitting = int(np.searchsorted(seconds, left, side="right"))
        if num_fitting == 0:
            self.backlog.ensure_ever_in_time(engine, float(seconds[0]), deadline)
            self.backlog.ensure_in_time(priority, float(seconds[0]), deadline)
        return max(1, num_fitting)

    def _job(
        self,
        engine: Engine,
        batch: TokenBatch,
        order: Int32s,
        deadline: float | None,
    ) -> Job:
        now = time.perf_counter()
        if deadline is not None and deadline <= now:
            raise LateError("the deadline had run out before the engine was asked")
        return Job(
            engine=engine,
            batch=batch,
            lengths=batch.lengths,
            done=asyncio.get_running_loop().create_future(),
            waiting=order,
            submitted=now,
            deadline=deadline,
            seconds_per_token=self.backlog.service_times[engine].seconds(1),
        )

    async def _run(self, job: Job, priority: Priority) -> None:
        """Waits until every row of the job is computed."""
        self.backlog.add(job, priority)
        self._dispatch()
        remaining = None if job.deadline is None else job.deadline - job.submitted
        try:
            async with asyncio.timeout(remaining):
                await job.done
        except TimeoutError:
            raise LateError("the deadline ran out while the engine was at work") from None
        finally:
            self.backlog.withdraw(job, priority)
            for flight in job.flights:
                flight.give_up_if_unwanted()
            self._record(job, priority)

    def _give_up_if_hopeless(self, job: Job, priority: Priority) -> None:
        """Ends a job that can no longer be in time, before more of it enters an engine."""
        if not job.done.done() and (error := self.backlog.hopeless(job)) is not None:
            self.backlog.withdraw(job, priority)
            job.fail(error)

    def _record(self, job: Job, priority: Priority) -> None:
        """Records the stage of the job's sequences in the trace of the call."""
        attributes: Attributes = {
            "model": self._metrics.model_of(job.engine),
            "sequences": len(job.batch),
            "tokens": job.batch.num_tokens,
            "engine_seconds": job.engine_seconds,
        }
        record(_STAGES[priority], job.submitted, attributes=attributes, batches=job.batches)

    def _dispatch(self) -> None:
        """Gives batches to the engines while they take any."""
        while (priority := self.backlog.most_urgent()) is not None:
            engine = self.backlog.queues[priority].first.engine
            if self.backlog.num_before(priority) >= engine.info.max_in_flight:
                return
            self._submit(priority, engine, *self.backlog.take_batch(priority))

    def _submit(
        self,
        priority: Priority,
        engine: Engine,
        jobs: list[Job],
        rows: list[Int32s],
    ) -> None:
        batch = gather(jobs, rows)
        for job in jobs:
            job.enter_engine()
        loop = asyncio.get_running_loop()
        self.backlog.batch_entered(engine, priority, batch.num_tokens)
        began = time.perf_counter()

        def answer(future: Future[Float32s]) -> None:
            for job in jobs:
                job.flights.remove(flight)
            is_given_up = future.cancelled()
            self.backlog.batch_left(
                engine, priority, batch.num_tokens, began, is_given_up=is_given_up
            )
            if not is_given_up:
                self._metrics.batch_computed(
                    engine,
                    len(batch),
                    batch.num_tokens,
                    num_padding_tokens(engine, batch),
                    time.perf_counter() - began,
                )
            if self._tracer is not None and any(job.is_traced for job in jobs):
                sizes = {"sequences": len(batch), "tokens": batch.num_tokens, "calls": len(jobs)}
                model = self._metrics.model_of(engine)
                span = self._tracer.batch(model, began, time.perf_counter(), sizes)
                for job in jobs:
                    job.batches.append(span)
            error = deliver(jobs, rows, future)
            if error is not None:
                self.on_failure(engine, error)
            for job in jobs:
                self._give_up_if_hopeless(job, priority)
            self._dispatch()

        try:
            submitted = _submitted(engine, batch, terms_of(jobs, priority))
        except Exception as error:  # an engine that is closed or broken refuses in its own way
            submitted = Future()
            submitted.set_exception(error)
        flight = Flight(jobs, submitted, as_distant(engine) is not None)
        for job in jobs:
            job.flights.append(flight)
        submitted.add_done_callback(lambda future: loop.call_soon_threadsafe(answer, future))


def _submitted(engine: Engine, batch: TokenBatch, terms: BatchTerms) -> Future[Float32s]:
    if (distant := as_distant(engine)) is not None:
        return distant.submit_on(batch, terms)
    if not terms.of_tokens:
        return engine.submit(batch)
    assert isinstance(engine, TokenEngine)
    return engine.submit_tokens(batch)
