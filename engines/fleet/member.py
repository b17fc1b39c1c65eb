"""A member of a fleet: what it holds, and how fast it has been."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from twopass.engines.base.engine import (
    BatchTerms,
    DistantEngine,
    Engine,
    TokenEngine,
    token_width_of,
)
from twopass.engines.base.sequences import Float32s, TokenBatch

# A measurement of this many seconds of computation ago counts half.
_HALF_LIFE_SECONDS = 1.0
# A member that has answered nothing for so long is taken to be twice as fast as it was, after twice
# as long four times, up to the fastest one's speed: a slow one is tried again, since what slowed it
# may be gone.
_FORGET_SECONDS = 10.0
# While nothing waits the fastest gets everything. Once a slow one would be taken for so many times
# as fast as that, it gets one batch all the same: a member of a third of the speed after 46 s.
_CURIOUS = 8.0
# A batch is overdue after so many times the time that the member is expected to take for it.
_OVERDUE_FACTOR = 8.0


@dataclass(slots=True, eq=False)
class Errand:
    """A batch on its way through a fleet: given to one member, and to others where need be.

    Attributes:
        batch: The batch.
        terms: How it is wanted.
        answer: What the fleet was asked for.
        tried: Members that it was ever given to; none gets it twice.
        holders: Those of them that may still answer, each with its future.
        num_losses: How many members were lost with it.
        failure: The last error it met.
    """

    batch: TokenBatch
    terms: BatchTerms
    answer: Future[Float32s] = field(default_factory=Future)
    tried: set["Member"] = field(default_factory=set)
    holders: dict["Member", Future[Float32s] | None] = field(default_factory=dict)
    num_losses: int = 0
    failure: BaseException | None = None


@dataclass(frozen=True, slots=True)
class MemberState:
    """A member as it is at a moment, to be shown.

    Attributes:
        name: What it is called.
        engine: The engine's name.
        precision: Its precision.
        device: Its instruction set or GPU.
        is_suspected: Whether it owes an answer for longer than its speed explains, and so is given
            nothing while others are there.
        num_held: Batches it holds.
        num_batches: Batches it has computed since it became a member.
        num_tokens: Their tokens.
        tokens_per_second: Its measured speed; 0 where it is not measured yet.
    """

    name: str
    engine: str
    precision: str
    device: str
    is_suspected: bool
    num_held: int
    num_batches: int
    num_tokens: int
    tokens_per_second: float


class Member:
    """One engine of a fleet. The fleet's lock guards all of it but `submit`.

    Attributes:
        name: What it is called in messages and metrics.
        engine: The engine.
        held: The errands it has got and not answered, each with the time it got it, oldest first.
        is_suspected: See `MemberState`.
        last_given: When it got its last batch.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self.engine = engine
        self.token_width = token_width_of(engine)
        self.held: dict[Errand, float] = {}
        self.is_suspected = False
        self.last_given = 0.0
        self._held_tokens = 0
        self._last_answer = 0.0
        self._seconds = self._tokens = 0.0
        self._num_batches = self._num_tokens = 0

    def submit(self, batch: TokenBatch, terms: BatchTerms) -> Future[Float32s]:
        """Hands the engine a batch in the way it takes them."""
        if isinstance(self.engine, DistantEngine):
            return self.engine.submit_on(batch, terms)
        if not terms.of_tokens:
            return self.engine.submit(batch)
        assert isinstance(self.engine, TokenEngine)
        return self.engine.submit_tokens(batch)

    @property
    def seconds_per_token(self) -> float | None:
        """Its measured speed; None before a batch was timed."""
        return self._seconds / self._tokens if self._tokens else None

    def seconds_until_done(self, num_tokens: int, now: float, best: float) -> float:
        """When it is expected to be done with a batch that it got now, in seconds from now.

        Args:
            num_tokens: Tokens of the batch.
            now: The time.
            best: Seconds a token of the fastest member: what one that is not measured is taken for.
        """
        pace = self.seconds_per_token
        if pace is None:
            pace = best
        elif not self.held:
            pace *= 0.5 ** ((now - self._last_answer) / _FORGET_SECONDS)
            pace = max(pace, best if pace * _CURIOUS > best else best * (1 - 1e-3))
        return (self._held_tokens + num_tokens) * pace

    def take(self, errand: Errand, now: float) -> None:
        """Notes that it gets a batch."""
        self.held[errand] = self.last_given = now
        self._held_tokens += errand.batch.num_tokens

    def drop(self, errand: Errand) -> None:
        """Notes that it holds a batch no more; a no-op where it does not."""
        if self.held.pop(errand, None) is not None:
            self._held_tokens -= errand.batch.num_tokens

    def answered(self, errand: Errand, now: float) -> None:
        """Notes that it has computed a batch, and learns from how long that took."""
        given = self.held.get(errand, now)
        self.drop(errand)
        self.is_suspected = False
        self._num_batches += 1
        self._num_tokens += errand.batch.num_tokens
        # Of batches that overlap each counts from the end of the one before.
        seconds = max(now - max(given, self._last_answer), 1e-6)
        kept = 0.5 ** (seconds / _HALF_LIFE_SECONDS)
        if given - self._last_answer > _FORGET_SECONDS:
            kept = 0.0  # what it was before such a pause says nothing of it now
        self._seconds = self._seconds * kept + seconds
        self._tokens = self._tokens * kept + errand.batch.num_tokens
        self._last_answer = now

    def overdue(self, now: float, *, least: float, unmeasured: float) -> bool:
        """Whether it owes an answer for longer than its speed explains.

        Args:
            now: The time.
            least: Seconds within which nothing is overdue.
            unmeasured: The same for a member whose speed is unknown.
        """
        oldest = next(iter(self.held), None)
        if oldest is None:
            return False
        waited = now - max(self.held[oldest], self._last_answer)
        pace = self.seconds_per_token
        if pace is None:
            return waited > unmeasured
        return waited > max(least, _OVERDUE_FACTOR * pace * oldest.batch.num_tokens)

    def seconds_owed(self, now: float) -> float:
        """For how long it has owed its oldest answer; 0 where it holds nothing."""
        return now - next(iter(self.held.values()), now)

    def state(self) -> MemberState:
        """What is shown of it."""
        info, pace = self.engine.info, self.seconds_per_token
        return MemberState(
            name=self.name,
            engine=info.engine,
            precision=info.precision,
            device=info.device,
            is_suspected=self.is_suspected,
            num_held=len(self.held),
            num_batches=self._num_batches,
            num_tokens=self._num_tokens,
            tokens_per_second=1 / pace if pace else 0.0,
        )
