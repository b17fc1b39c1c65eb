"""The requests that wait for the engines of one device, and how long they will take."""

import time
from collections import Counter, defaultdict
from math import inf
from typing import TypeAlias

from twopass.engines.base.engine import Engine, Urgency, as_paced
from twopass.engines.base.sequences import Int32s
from twopass.server.errors import (
    LateError,
    NeverInTimeError,
    OverloadedError,
    WouldBeLateError,
)
from twopass.server.scheduling.batch_choice import next_batch
from twopass.server.scheduling.fair_queue import FairQueue
from twopass.server.scheduling.jobs import Job
from twopass.server.scheduling.service_time import ServiceTime
from twopass.server.telemetry.metrics import Metrics

# A request is refused when its time would be shorter than this many times the estimate: what comes
# later and is smaller may go before it, and the speed is never quite steady. In `make overload` 14
# of 1,000 answers were late at 1.15, and what was computed for them was lost; at 1.25 4 were.
_CAUTION = 1.25
# A request that would be late on an idle device too is refused, or given up, only where its time is
# shorter than the estimate by this factor: so far an estimate may be wrong, and what is let through
# measures the speed anew.
_DOUBT = 2.0
# A batch with this share of the tokens that make a full one tells how long full ones take.
_FULL_SHARE = 0.5


Priority: TypeAlias = Urgency
"""What is computed first when several kinds wait."""


class Backlog:
    """The requests that wait, by kind, and the batches under way."""

    def __init__(self, metrics: Metrics, *, max_tokens: int) -> None:
        """Starts empty.

        Args:
            metrics: Where refusals are counted.
            max_tokens: Most tokens that may wait.
        """
        self._metrics = metrics
        self.queues = {priority: FairQueue() for priority in Priority}
        self.waiting_tokens = 0
        self.in_flight: Counter[Engine] = Counter()
        self._num_queries_in_flight = 0
        self.service_times: defaultdict[Engine, ServiceTime] = defaultdict(ServiceTime)
        self._max_tokens = max_tokens
        self._free_at = 0.0  # when the batches in flight are expected back
        self._last_answers: defaultdict[Engine, float] = defaultdict(float)

    @property
    def num_in_flight(self) -> int:
        """Batches in all engines of the device."""
        return self.in_flight.total()

    def num_before(self, priority: Priority) -> int:
        """Batches in flight that count against the limit for a batch of this kind.

        Batches of queries are short, so they wait only for each other.
        """
        return self._num_queries_in_flight if priority is Priority.QUERY else self.num_in_flight

    def add(self, job: Job, priority: Priority) -> None:
        """Queues a job."""
        self.queues[priority].add(job)
        self.waiting_tokens += job.waiting_tokens

    def withdraw(self, job: Job, priority: Priority) -> None:
        """Drops the rows of a job that still wait, if any do."""
        if len(job.waiting):
            self.queues[priority].withdraw(job)
            self.waiting_tokens -= job.take(job.waiting)

    def most_urgent(self) -> Priority | None:
        """The first kind with a request that is not late; drops late requests before it."""
        now = time.perf_counter()
        for priority, queue in self.queues.items():
            while len(queue):
                if not queue.first.is_late(now):
                    return priority
                self.withdraw(queue.first, priority)  # its own timeout tells the caller
        return None

    def take_batch(self, priority: Priority) -> tuple[list[Job], list[Int32s]]:
        """Takes the next batch of a kind: the jobs in it, and each one's rows."""
        queue = self.queues[priority]
        jobs, rows = next_batch(queue, self._batch_tokens(queue.first.engine))
        for job, mine in zip(jobs, rows, strict=True):
            num_tokens = job.take(mine)
            self.waiting_tokens -= num_tokens
            queue.served(num_tokens * job.seconds_per_token)
            if not len(job.waiting):
                queue.remove(job)
        return jobs, rows

    def _batch_tokens(self, engine: Engine) -> int:
        """How many tokens make a batch, at the engine's speed of the last seconds."""
        info = engine.info
        if info.batch_seconds == inf:
            return info.max_batch_tokens
        in_time = int(self.service_times[engine].tokens_per_second * info.batch_seconds)
        return min(max(in_time, info.min_batch_tokens), info.max_batch_tokens)

    def batch_entered(self, engine: Engine, priority: Priority, num_tokens: int) -> None:
        """Notes that an engine has got a batch."""
        self.in_flight[engine] += 1
        self._num_queries_in_flight += priority is Priority.QUERY
        now = time.perf_counter()
        self._free_at = max(now, self._free_at) + self.service_times[engine].seconds(num_tokens)

    def batch_left(
        self,
        engine: Engine,
        priority: Priority,
        num_tokens: int,
        began: float,
        *,
        is_given_up: bool = False,
    ) -> None:
        """Notes that an engine has returned a batch, and learns from how long that took.

        Args:
            engine: The engine.
            priority: What the batch was for.
            num_tokens: Its tokens.
            began: When the engine got it.
            is_given_up: Whether it was not computed, since nobody waited any more.
        """
        self.in_flight[engine] -= 1
        self._num_queries_in_flight -= priority is Priority.QUERY
        now = time.perf_counter()
        if not self.num_in_flight:
            self._free_at = now  # sooner or later than was expected
        if is_given_up:
            return
        # Of batches that overlap each counts from the end of the one before.
        began = max(began, self._last_answers[engine])
        is_full = num_tokens >= _FULL_SHARE * self._batch_tokens(engine)
        seconds = now - began
        paced = as_paced(engine)
        if paced is not None and (speed := paced.tokens_per_second):
            # Where one of several engines is at work, its time says little of all of them together.
            seconds = num_tokens / speed
        self.service_times[engine].measured(num_tokens, seconds, is_full=is_full)
        self._last_answers[engine] = now

    def seconds_before(
        self, priority: Priority, own_seconds: float, deadline: float | None
    ) -> float:
        """Time until a request that came now would have its turn.

        Args:
            priority: The kind of the request.
            own_seconds: Expected time of the request's own work.
            deadline: The request's deadline, seconds of `time.perf_counter`; None for never.
        """
        more_urgent = sum(queue.seconds for p, queue in self.queues.items() if p < priority)
        same = self.queues[priority].seconds_before(own_seconds, deadline)
        return self._seconds_in_flight() + more_urgent + same

    def retry_after(self) -> float:
        """Seconds until all requests that wait now are done."""
        return self._seconds_in_flight() + sum(queue.seconds for queue in self.queues.values())

    def _seconds_in_flight(self) -> float:
        return max(0.0, self._free_at - time.perf_counter()) if self.num_in_flight else 0.0

    def ensure_room(self, num_tokens: int) -> None:
        """Refuses more tokens than may wait.

        Raises:
            OverloadedError: There is no room; the message says how many tokens may wait.
        """
        if num_tokens > self._max_tokens:
            self._metrics.rejected("queue_tokens")
            raise OverloadedError(
                f"queue: room for {num_tokens:,} tokens asked for, it has {self._max_tokens:,} in "
                "all (max_queued_tokens); send fewer candidates or texts at once",
                retry_after=None,
                limit_name="max_queued_tokens",
                limit=self._max_tokens,
                value=num_tokens,
            )
        if self.waiting_tokens + num_tokens > self._max_tokens:
            self._metrics.rejected("queue_tokens")
            num_free = max(0, self._max_tokens - self.waiting_tokens)
            raise OverloadedError(
                f"queue: room for {num_tokens:,} tokens asked for, {num_free:,} of "
                f"{self._max_tokens:,} are free; "
                "try again later or send fewer candidates",
                retry_after=self.retry_after(),
                limit_name="max_queued_tokens",
                limit=self._max_tokens,
                value=num_tokens,
            )

    def ensure_in_time(
        self,
        priority: Priority,
        own_seconds: float,
        deadline: float | None,
        *,
        arriving_seconds: float = 0.0,
    ) -> None:
        """Refuses a request that would be late for what waits before it.

        An idle device accepts any request; see `ensure_ever_in_time`.

        Args:
            priority: The kind of the request.
            own_seconds: Expected time of the request's own work.
            deadline: The request's deadline, seconds of `time.perf_counter`; None for never.
            arriving_seconds: Expected time of admitted work that will be queued before it.

        Raises:
            LateError: The deadline has passed, so trying again is useless.
            WouldBeLateError: The request would be late; the message says how long it would take.
        """
        if deadline is None:
            return
        left = _seconds_left(deadline)
        if self.num_in_flight == 0:
            return
        work = arriving_seconds + own_seconds
        if _CAUTION * (self.retry_after() + work) <= left:
            return  # in time even if it were the last: no need to look who is before it
        needed = _CAUTION * (self.seconds_before(priority, work, deadline) + work)
        if needed > left:
            self._metrics.rejected("deadline")
            raise WouldBeLateError(
                f"deadline: {left * 1000:,.0f} ms are left, about "
                f"{needed * 1000:,.0f} ms are needed with what waits before; try again later",
                retry_after=needed - left,
            )

    def ensure_ever_in_time(
        self, engine: Engine, own_seconds: float, deadline: float | None
    ) -> None:
        """Refuses a request that would be late even if nothing waited before it.

        An idle engine whose speed has not been measured for a while accepts the request, which
        measures the speed; `hopeless` ends it then.

        Args:
            engine: The engine that would compute it.
            own_seconds: Expected time of the request's own work.
            deadline: The request's deadline, seconds of `time.perf_counter`; None for never.

        Raises:
            LateError: The deadline has passed.
            NeverInTimeError: The request would be late; the message says how long it would take.
        """
        if deadline is None:
            return
        left = _seconds_left(deadline)
        speed = self.service_times[engine]
        is_known = speed.is_fresh or (speed.is_measured and self.num_in_flight > 0)
        if is_known and own_seconds > _DOUBT * left:
            raise self._never_in_time(own_seconds, left)

    def hopeless(self, job: Job) -> LateError | OverloadedError | None:
        """Why a job under way is given up; None where it may still be in time.

        A job is given up when its waiting rows would take much longer than there is time, by the
        speed of the batches before: the caller learns it now, and others get the device.
        """
        if job.deadline is None or job.first_suffice or not len(job.waiting):
            return None
        left = job.deadline - time.perf_counter()
        speed = self.service_times[job.engine]
        rest = speed.seconds(job.waiting_tokens)
        if left <= 0 or not speed.is_fresh or rest <= _DOUBT * left:
            return None  # a late job's own timeout tells the caller
        total, given = speed.seconds(job.batch.num_tokens), job.deadline - job.submitted
        if total > given:
            return self._never_in_time(total, given)
        self._metrics.rejected("deadline")
        return WouldBeLateError(
            f"deadline, given up: {left * 1000:,.0f} ms are left, about {rest * 1000:,.0f} ms are "
            "needed, since others were served before; try again later",
            retry_after=self.retry_after(),
        )

    def _never_in_time(self, needed: float, left: float) -> NeverInTimeError:
        self._metrics.rejected("never_in_time")
        return NeverInTimeError(
            f"deadline: {left * 1000:,.0f} ms are left, about {needed * 1000:,.0f} ms are needed "
            f"on an idle device, so that about {left / needed:.0%} of it would be done; send fewer "
            "candidates or texts at once, or give more time"
        )

    def seconds_left(self, priority: Priority, deadline: float) -> float:
        """Seconds of its own work that a request that came now would get before a deadline."""
        left = (deadline - time.perf_counter()) / _CAUTION
        return left - self.seconds_before(priority, 0.0, deadline)


def _seconds_left(deadline: float) -> float:
    """Seconds until a deadline, above 0.

    Raises:
        LateError: The deadline has passed.
    """
    left = deadline - time.perf_counter()
    if left <= 0:
        raise LateError("the deadline ran out before the work was begun")
    return left
