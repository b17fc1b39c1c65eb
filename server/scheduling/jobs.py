"""A request's sequences in the arbiter: joined into batches, and their outputs parted again."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twopass._core import gather_packed
from twopass.engines.base.engine import BatchTerms, Engine, Urgency
from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.engines.errors import DeviceError, NonFiniteOutputError
from twopass.server.telemetry.tracing import BatchSpan, is_recording

# Most sequences without a finite output that an error names.
_MAX_NAMED_ROWS = 5


@dataclass(frozen=True, slots=True)
class Computed:
    """The engine's output for one request's sequences.

    Attributes:
        output: `[num_sequences]` or `[num_sequences, output_width]`, in the order of the sequences;
            of tokens `[num_tokens, token_width]`.
        queue_seconds: Time in which none of its sequences was in an engine.
        engine_seconds: Time in which at least one was.
    """

    output: Float32s
    queue_seconds: float
    engine_seconds: float


@dataclass(slots=True, eq=False)
class Job:
    """One request's sequences.

    Attributes:
        engine: The engine that computes them.
        batch: All sequences.
        lengths: Their lengths in tokens, int32 `[num_sequences]`.
        done: Resolved when every output is computed.
        waiting: Rows that no batch has taken yet, in the order in which batches take them.
        submitted: When the job came, seconds of `time.perf_counter`.
        deadline: When nobody waits any more, seconds of `time.perf_counter`; None for never.
        seconds_per_token: Expected engine time of a token when the job came.
        of_tokens: Whether the vectors of tokens are wanted, rather than an output of each sequence.
        first_suffice: Whether the first rows alone are of use where there is no time for all.
        finished: Whether a row's output is computed, bool `[num_sequences]`.
        waiting_tokens: Tokens of the waiting rows.
        virtual_finish: Its place in the order; see `FairQueue`.
        output: Filled row by row; None before the first batch is back.
        num_in_flight: Batches in the engine that hold rows of this job.
        began: When the first of the batches in flight entered the engine.
        engine_seconds: Time in which at least one batch was in the engine.
        is_traced: Whether the call it belongs to is traced.
        batches: The tracer's handles of the batches that held rows of this job.
        flights: The batches in the engine that hold rows of this job.
        takes_any: Whether values that are not finite are delivered too.
    """

    engine: Engine
    batch: TokenBatch
    lengths: Int32s
    done: asyncio.Future[None]
    waiting: Int32s
    submitted: float
    deadline: float | None
    seconds_per_token: float
    of_tokens: bool = False
    first_suffice: bool = False
    finished: NDArray[np.bool_] = field(init=False)
    waiting_tokens: int = field(init=False)
    virtual_finish: float = 0.0
    output: Float32s | None = None
    num_in_flight: int = 0
    began: float = 0.0
    engine_seconds: float = 0.0
    is_traced: bool = field(default_factory=is_recording)
    batches: list[BatchSpan] = field(default_factory=list)
    flights: list["Flight"] = field(default_factory=list)
    takes_any: bool = False

    def __post_init__(self) -> None:
        self.finished = np.zeros(len(self.batch), np.bool_)
        self.waiting_tokens = int(self.lengths[self.waiting].sum())

    @property
    def waiting_seconds(self) -> float:
        """How long the engine is expected to take for the waiting rows."""
        return self.waiting_tokens * self.seconds_per_token

    @property
    def num_leading_finished(self) -> int:
        """How many rows are finished from the first on, without a gap."""
        return len(self.finished) if self.finished.all() else int(np.argmin(self.finished))

    def is_late(self, now: float) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.deadline <= now

    def take(self, rows: Int32s) -> int:
        """Removes rows from those that wait, and returns how many tokens they hold."""
        num_tokens = int(self.lengths[rows].sum())
        rest = self.waiting[len(rows) :]
        if not np.array_equal(self.waiting[: len(rows)], rows):  # mostly the first ones are taken
            rest = self.waiting[~np.isin(self.waiting, rows)]
        self.waiting = rest
        self.waiting_tokens -= num_tokens
        return num_tokens

    def enter_engine(self) -> None:
        """Notes that one more batch holds rows of this job."""
        if self.num_in_flight == 0:
            self.began = time.perf_counter()
        self.num_in_flight += 1

    def leave_engine(self) -> None:
        """Notes that one of its batches is back."""
        self.num_in_flight -= 1
        if self.num_in_flight == 0:
            self.engine_seconds += time.perf_counter() - self.began

    def num_outputs(self, rows: Int32s) -> int:
        """How many numbers or vectors are the output of some rows."""
        return int(self.lengths[rows].sum()) if self.of_tokens else len(rows)

    def take_output(self, rows: Int32s, output: Float32s) -> None:
        """Takes the output of some rows; a no-op where the job has ended."""
        if self.done.done():
            return
        if self.output is None:
            length = self.batch.num_tokens if self.of_tokens else len(self.batch)
            self.output = np.empty((length, *output.shape[1:]), np.float32)
        self.output[self._tokens_of(rows) if self.of_tokens else rows] = output
        self.finished[rows] = True
        if self.finished.all():
            self.done.set_result(None)

    def _tokens_of(self, rows: Int32s) -> Int32s:
        """Places of the tokens of some rows in the batch, row after row."""
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths, dtype=np.int32)
        within = np.arange(ends[-1], dtype=np.int32) - np.repeat(ends - lengths, lengths)
        places: Int32s = np.repeat(self.batch.offsets[rows], lengths) + within
        return places

    def fail(self, error: BaseException) -> None:
        """Ends the job with an error; a no-op where it has ended."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True, eq=False)
class Flight:
    """A batch in an engine.

    Attributes:
        jobs: The jobs that it holds rows of.
        future: The engine's.
        can_be_given_up: Whether cancelling the future tells the engine that nobody waits.
    """

    jobs: Sequence[Job]
    future: Future[Float32s]
    can_be_given_up: bool

    def give_up_if_unwanted(self) -> None:
        """Tells the engine that nobody waits for the batch, where that is so."""
        if self.can_be_given_up and all(job.done.done() for job in self.jobs):
            self.future.cancel()


def terms_of(jobs: Sequence[Job], urgency: Urgency) -> BatchTerms:
    """How the batch of some jobs is wanted: until the last of them is late."""
    ends = [job.deadline for job in jobs]
    known = [end for end in ends if end is not None]
    end = max(known) if len(known) == len(ends) else None
    return BatchTerms(urgency, end, of_tokens=jobs[0].of_tokens)


def first_sequences(batch: TokenBatch, num_sequences: int) -> TokenBatch:
    """The first sequences of a batch, as views."""
    offsets = batch.offsets[: num_sequences + 1]
    return TokenBatch(batch.token_ids[: offsets[-1]], offsets, batch.query_lengths[:num_sequences])


def gather(jobs: Sequence[Job], rows: Sequence[Int32s]) -> TokenBatch:
    """Joins the chosen rows of several jobs into one batch, job after job."""
    parts = [
        TokenBatch(*gather_packed(j.batch.token_ids, j.batch.offsets, j.batch.query_lengths, r))
        for j, r in zip(jobs, rows, strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(part.num_tokens for part in parts)])
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return TokenBatch(
        np.concatenate([part.token_ids for part in parts]),
        np.concatenate([*offsets, starts[-1:]]).astype(np.int32),
        np.concatenate([part.query_lengths for part in parts]),
    )


def deliver(
    jobs: Sequence[Job], rows: Sequence[Int32s], future: Future[Float32s]
) -> BaseException | None:
    """Hands each job its part of a batch's output.

    A failure of the engine fails every job of the batch, a value that is not finite only the job
    whose sequence it belongs to, and where it takes any value not even that.

    Returns:
        The error, if there was one.
    """
    for job in jobs:
        job.leave_engine()
    if future.cancelled():  # nobody waited any more
        return None
    counts = [job.num_outputs(mine) for job, mine in zip(jobs, rows, strict=True)]
    output = _output(future, sum(counts))
    if isinstance(output, BaseException):
        for job in jobs:
            job.fail(output)
        return output
    is_finite = np.asarray(np.isfinite(output.reshape(len(output), -1)).all(axis=1))
    error, start = None, 0
    for job, mine, count in zip(jobs, rows, counts, strict=True):
        part = slice(start, start + count)
        start += count
        if is_finite[part].all() or job.takes_any:
            job.take_output(mine, output[part])
        if not is_finite[part].all():
            owners = np.repeat(mine, job.lengths[mine]) if job.of_tokens else mine
            error = _non_finite(job, np.unique(owners[~is_finite[part]]))
            job.fail(error)  # unless it has taken them
    return error


def _output(future: Future[Float32s], num_outputs: int) -> Float32s | BaseException:
    """The output of a batch, or the error of one that was not computed."""
    if (error := future.exception()) is not None:
        return error
    output = future.result()
    if len(output) != num_outputs:
        return DeviceError(f"the engine returned {len(output)} outputs, not {num_outputs}")
    return output


def _non_finite(job: Job, rows: Int32s) -> NonFiniteOutputError:
    named = ", ".join(map(str, np.sort(rows)[:_MAX_NAMED_ROWS].tolist()))
    more = f" and {len(rows) - _MAX_NAMED_ROWS} more" if len(rows) > _MAX_NAMED_ROWS else ""
    return NonFiniteOutputError(
        f"the engine computed a value that is not finite for sequence {named}{more} of "
        f"{len(job.batch)}, counted from 0: either it overflows {job.engine.info.precision}, or "
        "the device is at fault; serve the model in a wider precision if texts like it are to work"
    )


def computed(job: Job, num_rows: int) -> Computed:
    """The output of the first rows of a job that has ended, and its times."""
    assert job.output is not None
    total = time.perf_counter() - job.submitted
    output = job.output if job.of_tokens else job.output[:num_rows]
    return Computed(output, max(0.0, total - job.engine_seconds), job.engine_seconds)
