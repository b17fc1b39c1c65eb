"""Many engines of one model as one: every batch is computed once, by whichever is done first.

A batch goes to the member that is expected to be done with it first. Batches are pure, so one whose
member is lost, or owes it for longer than its speed explains, goes to another, and the first answer
counts. Members come and go at any time. Where none is left batches fail at once, as those of an
engine that failed.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial

from twopass.engines.base.engine import (
    BatchTerms,
    DistantEngine,
    Engine,
    EngineInfo,
    PackedLayout,
    SharingEngine,
)
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import (
    DeviceError,
    EngineBusyError,
    EngineUnavailableError,
    InputTooLongError,
    MisfitError,
    OutOfDeviceMemoryError,
)
from twopass.engines.fleet.figures import Class, Promise, info_of
from twopass.engines.fleet.member import Errand, Member, MemberState

_logger = logging.getLogger("twopass.engines")

# Within this time nothing is overdue: pauses of a busy machine are shorter.
_LEAST_OVERDUE_SECONDS = 1.0
# The first batches of a member may compile or read its weights from a disk.
_UNMEASURED_OVERDUE_SECONDS = 10.0
# A batch that as many members were lost with may itself be what they were lost for, so it is given
# to no further one.
_MAX_LOSSES = 3
# Errors that tell of the batch or of the moment, not of the member.
_ELSEWHERE = (OutOfDeviceMemoryError, EngineBusyError)


class Fleet:
    """An `Engine` and `TokenEngine` of several. Safe to use from several threads.

    Attributes:
        model: The model's id, for messages.
        on_lost: Called with the name of a member that the fleet found to fail or to hang, and the
            error; it is no member any more. Called from any thread.
    """

    def __init__(
        self,
        model: str,
        *,
        max_seq_len: int,
        is_mixed: bool = False,
        hang_seconds: float = 30.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begins without members.

        Args:
            model: The model's id.
            max_seq_len: What `info` says until there is a member.
            is_mixed: Whether members may be of any engine and precision. Their outputs differ then
                by which of them computed a batch; else each fits the first, so that they don't as
                far as the engine promises it.
            hang_seconds: A member that owes an answer for so long is lost.
            clock: Seconds, ascending; those of `BatchTerms.end`.
        """
        self.model = model
        self.on_lost: Callable[[str, BaseException], None] = lambda _name, _error: None
        self._is_mixed = is_mixed
        self._hang_seconds = hang_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._members: dict[str, Member] = {}
        self._leaving: set[Member] = set()  # those that still hold something
        self._promise: Promise | None = None
        self._info = EngineInfo("", "", "", max_seq_len, PackedLayout(), max_batch_tokens=1)

    @property
    def info(self) -> EngineInfo:
        """The figures of all members as one; of those that were there last where none is left."""
        return self._info

    @property
    def output_width(self) -> int:
        """Numbers for each sequence; 0 until there was a member."""
        return self._promise.output_width if self._promise else 0

    @property
    def token_width(self) -> int:
        """Components of a token's vector; see `TokenEngine`."""
        return self._promise.token_width if self._promise else 0

    @property
    def num_shared_tokens(self) -> int:
        """Tokens that members did not compute again; 0 of those that don't tell."""
        with self._lock:
            engines = [member.engine for member in self._members.values()]
        return sum(e.num_shared_tokens for e in engines if isinstance(e, SharingEngine))

    @property
    def tokens_per_second(self) -> float:
        """The speed of all members together; see `PacedEngine`.

        One that has computed nothing yet is taken to be as fast as the others are on average.
        """
        with self._lock:
            members = list(self._members.values())
            paces = [pace for m in members if (pace := m.seconds_per_token) is not None]
        if not paces:
            return 0.0
        return sum(1 / pace for pace in paces) * len(members) / len(paces)

    @property
    def members(self) -> list[MemberState]:
        """The members as they are now, by name."""
        with self._lock:
            return [self._members[name].state() for name in sorted(self._members)]

    @property
    def engines(self) -> dict[str, Engine]:
        """The members' engines, by name."""
        with self._lock:
            return {name: member.engine for name, member in self._members.items()}

    def join(self, name: str, engine: Engine) -> None:
        """Makes an engine a member; under the name of a member, in its place.

        What the former one holds it may still answer.

        Raises:
            MisfitError: It does not compute what the others compute; says what differs.
        """
        with self._lock:
            others = [member for member in self._members.values() if member.name != name]
            self._ensure_fits(engine, others)
            self._promise = self._promise or Promise.of(engine)
            self._let_go(self._members.get(name))
            self._members[name] = Member(name, engine)
            self._refigure()

    def leave(self, name: str) -> Engine | None:
        """Gives a member nothing more; what it holds it may still answer.

        Returns:
            Its engine, which is not closed; None where there is no such member.
        """
        with self._lock:
            member = self._members.pop(name, None)
            self._let_go(member)
            self._refigure()
        return None if member is None else member.engine

    def lose(self, name: str, error: BaseException) -> Engine | None:
        """Takes a member out that does not answer; what it holds goes to others.

        Args:
            name: The member's name.
            error: Why, for batches that nobody else can compute.

        Returns:
            Its engine, which is not closed; None where there is no such member.
        """
        with self._lock:
            member = self._members.get(name)
        if member is None:
            return None
        self._lose(member, error, is_told=False)
        return member.engine

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch; see `engines.base`."""
        return self.submit_on(batch, BatchTerms())

    def submit_tokens(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for the vectors of its tokens; see `TokenEngine`."""
        return self.submit_on(batch, BatchTerms(of_tokens=True))

    def submit_on(self, batch: TokenBatch, terms: BatchTerms) -> Future[Float32s]:
        """Queues a batch; see `DistantEngine`.

        Returns:
            A future that raises `EngineUnavailableError` where no member is left to ask, and the
            last member's error where all were asked.
        """
        errand = Errand(batch, terms)
        errand.answer.add_done_callback(lambda _: self._settled(errand))
        self._give(errand)
        return errand.answer

    def tend(self) -> None:
        """Looks after batches that are overdue; to be called every few hundredths of a second."""
        now = self._clock()
        hung, late = [], []
        with self._lock:
            self._leaving = {member for member in self._leaving if member.held}
            for member in (*self._members.values(), *self._leaving):
                if member.seconds_owed(now) > self._hang_seconds:
                    hung.append(member)
                elif member.is_suspected or member.overdue(
                    now, least=_LEAST_OVERDUE_SECONDS, unmeasured=_UNMEASURED_OVERDUE_SECONDS
                ):
                    if not member.is_suspected:
                        _logger.warning("%s: %s owes an answer", self.model, member.name)
                    member.is_suspected = True
                    late += [errand for errand in member.held if len(errand.holders) == 1]
        for member in hung:
            told = f"{member.name} has not answered for {self._hang_seconds:g} s"
            self._lose(member, DeviceError(told))
        for errand in late:
            self._give(errand)

    def close(self) -> None:
        """Closes all members, which finish what they hold."""
        with self._lock:
            members = [*self._members.values(), *self._leaving]
            self._members, self._leaving = {}, set()
        for member in members:
            member.engine.close()

    def _ensure_fits(self, engine: Engine, others: list[Member]) -> None:
        if self._promise is not None and (problem := self._promise.problem(engine)):
            raise MisfitError(f"{self.model}: {problem}")
        if self._is_mixed or not others:
            return
        own, theirs = Class.of(engine.info), Class.of(others[0].engine.info)
        if own != theirs:
            raise MisfitError(
                f"{self.model} is computed on {own}, by the others on {theirs}: a text's output "
                "would hang on which of them computes it"
            )

    def _let_go(self, member: Member | None) -> None:
        if member is not None and member.held:
            self._leaving.add(member)

    def _refigure(self) -> None:
        infos = [member.engine.info for member in self._members.values()]
        if infos and self._promise:
            self._info = info_of(infos, self._promise.max_seq_len)

    def _give(self, errand: Errand) -> None:
        """Gives a batch to a member that has not had it, or fails it where nobody is left."""
        while True:
            with self._lock:
                if errand.answer.done():
                    return
                member = self._chosen(errand)
                if member is None:
                    if errand.holders:
                        return  # it is overdue where it is, and nobody else is there
                    failure = self._failure_of(errand)
                else:
                    member.take(errand, self._clock())
                    errand.tried.add(member)
                    errand.holders[member] = None
            if member is None:
                with suppress(InvalidStateError):
                    errand.answer.set_exception(failure)
                return
            try:
                future = member.submit(errand.batch, errand.terms)
            except Exception as error:  # an engine that is closed or broken refuses in its own way
                if self._note_failure(errand, member, error):
                    continue
                return
            with self._lock:
                if member in errand.holders:
                    errand.holders[member] = future
                is_wanted = not errand.answer.done()
            future.add_done_callback(partial(self._returned, errand, member))
            if not is_wanted:  # it was settled while it was handed over
                self._settled(errand)
            return

    def _chosen(self, errand: Errand) -> Member | None:
        """The member that is expected to be done with a batch first; None where none may get it."""
        now, end = self._clock(), errand.terms.end
        if errand.num_losses >= _MAX_LOSSES or (end is not None and end <= now and errand.tried):
            return None
        able = [member for member in self._members.values() if member not in errand.tried]
        if errand.terms.of_tokens:
            able = [member for member in able if member.token_width == self.token_width]
        able = [member for member in able if not member.is_suspected] or able
        paces = [pace for member in able if (pace := member.seconds_per_token) is not None]
        best, num_tokens = min(paces, default=0.0), errand.batch.num_tokens
        return min(
            able,
            key=lambda m: (
                m.seconds_until_done(num_tokens, now, best),
                len(m.held),
                m.seconds_per_token or 0.0,
                m.last_given,
            ),
            default=None,
        )

    def _failure_of(self, errand: Errand) -> BaseException:
        """Why nobody computes a batch: what it met itself, or that nobody is left."""
        met = errand.failure
        if errand.num_losses >= _MAX_LOSSES:
            told = f"{errand.num_losses} engines were lost with one batch, which no other gets"
            return DeviceError(f"{self.model}: {told}; the last said: {met}")
        if isinstance(met, _ELSEWHERE):
            return met
        return EngineUnavailableError(
            f"no engine computes {self.model} now; try again in a few seconds"
            + (f" ({met})" if met else "")
        )

    def _returned(self, errand: Errand, member: Member, future: Future[Float32s]) -> None:
        """Takes what a member made of a batch."""
        if future.cancelled():
            self._note_cancelled(errand, member)
            return
        error = future.exception()
        if error is None:
            with self._lock:
                member.answered(errand, self._clock())
                errand.holders.pop(member, None)
            with suppress(InvalidStateError):  # another member was first, or nobody waits
                errand.answer.set_result(future.result())
        elif self._note_failure(errand, member, error):
            self._give(errand)

    def _note_cancelled(self, errand: Errand, member: Member) -> None:
        with self._lock:
            member.drop(errand)
            is_holder = member in errand.holders
            errand.holders.pop(member, None)
        if is_holder and not errand.answer.done():  # the engine was closed under it
            self._give(errand)

    def _note_failure(self, errand: Errand, member: Member, error: BaseException) -> bool:
        """Notes that a member did not compute a batch; whether the batch is to go to another."""
        is_member_sound = isinstance(error, InputTooLongError | OutOfDeviceMemoryError)
        with self._lock:
            was_holder = member in errand.holders
            errand.holders.pop(member, None)
            member.drop(errand)
            if is_member_sound:
                member.is_suspected = False
            # One that owed an answer and never gave it has no other batch to show itself sound by.
            is_lost = not isinstance(error, (InputTooLongError, *_ELSEWHERE)) or (
                member.is_suspected and not member.held
            )
            if was_holder:
                errand.failure = error
                errand.num_losses += is_lost and not isinstance(error, EngineUnavailableError)
        if is_lost:
            self._lose(member, error)
        if was_holder and isinstance(error, InputTooLongError):
            with suppress(InvalidStateError):
                errand.answer.set_exception(error)
        return was_holder

    def _lose(self, member: Member, error: BaseException, *, is_told: bool = True) -> None:
        """Takes a member out, and gives what it holds to others; once for each member.

        Args:
            member: The member.
            error: Why.
            is_told: Whether `on_lost` is called.
        """
        with self._lock:
            is_member = self._members.get(member.name) is member
            if is_member:
                del self._members[member.name]
                self._refigure()
            elif member not in self._leaving:
                return
            self._leaving.discard(member)
            orphans = list(member.held)
            for errand in orphans:
                member.drop(errand)
                errand.holders.pop(member, None)
                errand.failure = error
                errand.num_losses += not isinstance(error, EngineUnavailableError)
        if is_member:
            is_told_by_itself = isinstance(error, EngineUnavailableError)
            level = logging.WARNING if is_told_by_itself else logging.ERROR
            _logger.log(level, "%s: %s is lost: %s", self.model, member.name, error)
        for errand in orphans:
            self._give(errand)
        if is_member and is_told:
            self.on_lost(member.name, error)

    def _settled(self, errand: Errand) -> None:
        """Tells members that nobody waits for a batch any more.

        Those that owe it too long are not told: their answer is what shows that they are sound.
        """
        with self._lock:
            futures = [
                future
                for member, future in errand.holders.items()
                if future is not None
                and not member.is_suspected
                and isinstance(member.engine, DistantEngine)
            ]
        for future in futures:
            future.cancel()
