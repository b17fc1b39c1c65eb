"""Draws searches, has shadows order them, and sums up what comes of it."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from twopass.index.feedback import Feedback, FeedbackKind
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.feedback.sums import Seen, SumsStore
from twopass.server.search.observing import Answered
from twopass.server.shadow_spec import ShadowSpec
from twopass.server.shadowing.drawn import Drawn
from twopass.server.shadowing.reordering import BusyError, Reordering
from twopass.server.shadowing.results import Outcome, ShadowResult
from twopass.server.shadowing.sums import Sums

_LOG = logging.getLogger("twopass.server")

# Searches that wait to be compared, with the token ids of their candidates: more are dropped.
_MAX_WAITING = 64
_MAX_WAITING_BYTES = 64 * 1024 * 1024
_EXPIRE_SECONDS = 30.0
# Sums are kept, and told in metrics, by collection: further ones are left alone.
_MAX_COLLECTIONS = 64
_SAVE_SECONDS = 5.0
# Answers that wait for their feedback to be complete, looked at together.
_MAX_SETTLING = 10_000
_AT_ONCE = 256


class Shadowing:
    """The shadows of a server; lives on the event loop.

    Attributes:
        counts: What became of searches, by shadow and outcome, since the start.
        num_waiting: Searches that wait to be compared.
    """

    def __init__(
        self,
        specs: Sequence[ShadowSpec],
        definitions: Sequence[str],
        reordering: Reordering,
        records: FeedbackRecords,
        *,
        settle_seconds: float,
        seed: int | None = None,
    ) -> None:
        """Takes the shadows; nothing is compared before `start`.

        Args:
            specs: The shadows.
            definitions: What each is and is compared with; where it changes, its sums begin anew.
            reordering: Orders searches as shadows do.
            records: What was shown, and the feedback on it.
            settle_seconds: How long an answer's feedback is waited for after it began.
            seed: Of drawing; None for any.
        """
        self.specs = specs
        self.counts = {(spec.name, outcome): 0 for spec in specs for outcome in Outcome}
        self._definitions = {spec.name: told for spec, told in zip(specs, definitions, strict=True)}
        self._reordering = reordering
        self._records = records
        self._settle_seconds = settle_seconds
        self._random = random.Random(seed)  # noqa: S311  # of sampling
        self._sums: dict[tuple[str, str], Sums] = {}
        self._waiting: deque[Drawn] = deque()
        self._waiting_bytes = 0
        self._ordering: Drawn | None = None  # what is being compared, by its collection's name now
        self._settling: dict[str, float] = {}
        self._changed: set[tuple[str, str]] = set()
        self._unsaved: dict[Seen, None] = {}  # counted, and not yet on the disk
        self._tasks: list[asyncio.Task[None]] = []
        self._ends = False
        self._work = asyncio.Event()
        self._feedback = asyncio.Event()

    @property
    def num_waiting(self) -> int:
        """Searches that wait to be compared."""
        return len(self._waiting)

    async def start(self) -> None:
        """Reads the sums of before, and begins to compare.

        Raises:
            StorageError: They can't be read.
        """
        if not self.specs:
            return
        kept = self._records.sums
        if kept is not None:
            await self._read(kept)
        self._tasks = [
            asyncio.create_task(self._compare_waiting()),
            asyncio.create_task(self._sum_up_feedback()),
        ]

    async def _read(self, kept: SumsStore) -> None:
        """Reads the sums of shadows that are what they were; others begin anew."""
        changed: dict[str, None] = {}
        for (shadow, collection), (told, sums) in (await kept.read_sums()).items():
            if shadow not in self._definitions:
                continue
            if told != self._definitions[shadow]:
                changed[shadow] = None
                continue
            try:
                self._sums[shadow, collection] = Sums.from_json(sums)
            except ValueError as error:  # damaged, or of a later version
                changed[shadow] = None
                _LOG.warning("sums of a shadow can't be read", extra={"reason": str(error)})
        if changed:
            for key in [key for key in self._sums if key[0] in changed]:
                del self._sums[key]
            await kept.write_sums({}, [], restarted=list(changed))
            _LOG.info("shadows begin anew", extra={"shadows": ", ".join(changed)})

    async def close(self) -> None:
        """Ends comparing, counts the feedback that has come, and writes the sums."""
        if self._tasks:
            comparing, counting = self._tasks
            comparing.cancel()
            with suppress(asyncio.CancelledError):
                await comparing
            self._ends = True  # not cancelled: what is counted is to be written too
            self._feedback.set()
            await counting
        self._tasks = []
        self._waiting.clear()
        self._waiting_bytes = 0
        try:
            while self._settling:
                await self._count_feedback(self._due(at_once=True))
        except Exception as error:  # the server ends all the same
            _LOG.warning("feedback was not compared", extra={"reason": str(error)})
        try:
            await self._save()
        except Exception as error:
            _LOG.warning("shadows were not saved", extra={"reason": str(error)})

    def draw(self, answered: Answered, search_id: str) -> None:
        """Draws shadows for an answer; they order it when it has gone.

        Args:
            answered: The answer.
            search_id: Its id; "" where no feedback is kept.
        """
        collection = str(answered.collection.name)
        drawn_specs = [
            spec
            for spec in self.specs
            if spec.covers(collection)
            and self._random.random() < spec.share
            and self._has_room(spec, collection)
        ]
        if not drawn_specs:
            return
        expires = time.perf_counter() + _EXPIRE_SECONDS
        drawn = Drawn.of(answered, drawn_specs, search_id, expires)
        if drawn is None:
            self._count(drawn_specs, Outcome.UNFIT)
        else:
            answered.request.on_close(lambda: self._queue(drawn))

    def feedback_came(self, collection: str, search_ids: Sequence[str]) -> None:
        """Counts feedback on answers once no more of it is waited for."""
        del collection
        due = time.monotonic() + self._settle_seconds
        for search_id in search_ids:
            if len(self._settling) < _MAX_SETTLING:
                self._settling.setdefault(search_id, due)
        self._feedback.set()

    def collection_gone(self, collection: str) -> None:
        """Forgets what is known of a collection, and what waits to be compared on it."""
        for key in [key for key in self._sums if key[1] == collection]:
            del self._sums[key]
            self._changed.discard(key)
        for seen in [seen for seen in self._unsaved if seen[0] == collection]:
            del self._unsaved[seen]
        self._follow(lambda drawn: None if drawn.collection == collection else drawn)

    def collection_renamed(self, name: str, new_name: str) -> None:
        """Keeps under its new name what is known of a collection, and what waits for it."""
        for shadow, collection in list(self._sums):
            if collection == name:
                self._sums[shadow, new_name] = self._sums.pop((shadow, name))
                self._changed.discard((shadow, name))
                self._changed.add((shadow, new_name))
        for seen in [seen for seen in self._unsaved if seen[0] == name]:
            del self._unsaved[seen]
            self._unsaved[new_name, *seen[1:]] = None
        self._follow(
            lambda drawn: replace(drawn, collection=new_name) if drawn.collection == name else drawn
        )

    def _follow(self, change: Callable[[Drawn], Drawn | None]) -> None:
        """Has what waits, and what is being compared, follow its collection; None drops it."""
        followed = [(change(drawn), drawn) for drawn in self._waiting]
        self._waiting = deque(now for now, _ in followed if now is not None)
        for now, before in followed:
            if now is None:
                self._waiting_bytes -= before.num_bytes
                self._count(before.specs, Outcome.UNFIT)
        if self._ordering is not None:
            self._ordering = change(self._ordering)

    def results(self) -> list[ShadowResult]:
        """What is known of each shadow, in the order of the settings."""
        sums = sorted(self._sums.items())
        return [
            ShadowResult(
                spec=spec,
                counts={outcome: self.counts[spec.name, outcome] for outcome in Outcome},
                comparisons=tuple(
                    one.comparison(collection)
                    for (shadow, collection), one in sums
                    if shadow == spec.name
                ),
            )
            for spec in self.specs
        ]

    def _has_room(self, spec: ShadowSpec, collection: str) -> bool:
        """Whether a shadow may have sums of a collection."""
        if (spec.name, collection) in self._sums:
            return True
        return sum(shadow == spec.name for shadow, _ in self._sums) < _MAX_COLLECTIONS

    def _count(self, specs: Sequence[ShadowSpec], outcome: Outcome) -> None:
        for spec in specs:
            self.counts[spec.name, outcome] += 1

    def _queue(self, drawn: Drawn) -> None:
        """Queues a search whose answer has gone, or drops it."""
        is_full = self._waiting_bytes + drawn.num_bytes > _MAX_WAITING_BYTES
        if is_full or len(self._waiting) >= _MAX_WAITING or not self._tasks:
            self._count(drawn.specs, Outcome.DROPPED_FULL)
            return
        self._waiting.append(drawn)
        self._waiting_bytes += drawn.num_bytes
        self._work.set()

    async def _compare_waiting(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                drawn = self._waiting.popleft()
                self._waiting_bytes -= drawn.num_bytes
                self._ordering = drawn
                for spec in drawn.specs:
                    await self._compare(spec)
                await asyncio.sleep(0)

    async def _compare(self, spec: ShadowSpec) -> None:
        if self._ordering is None:
            self._count([spec], Outcome.UNFIT)
            return
        try:
            order = await self._reordering.order(self._ordering, spec)
        except BusyError:
            self._count([spec], Outcome.DROPPED_BUSY)
            return
        except Exception as error:
            self._count([spec], Outcome.FAILED)
            _LOG.warning("a shadow failed", extra={"shadow": spec.name, "reason": str(error)})
            return
        if (drawn := self._ordering) is None:  # its collection has gone meanwhile
            self._count([spec], Outcome.UNFIT)
            return
        self._count([spec], Outcome.COMPARED)
        self._sums_of(spec.name, drawn.collection).compared(drawn.live, order)
        self._changed.add((spec.name, drawn.collection))
        if drawn.search_id:
            orders = {"": drawn.live, spec.name: order}
            self._records.shown.add_orders(drawn.search_id, orders)
            # Feedback may have come already, by the search or by its query.
            self.feedback_came(drawn.collection, [drawn.search_id])

    def _sums_of(self, shadow: str, collection: str) -> Sums:
        key = shadow, collection
        if key not in self._sums:
            self._sums[key] = Sums(start_us=time.time_ns() // 1_000)
        return self._sums[key]

    async def _sum_up_feedback(self) -> None:
        saved = time.monotonic()
        while not self._ends:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause(saved)):
                    await self._feedback.wait()
            self._feedback.clear()
            try:
                while due := self._due():
                    await self._count_feedback(due)
                    saved = time.monotonic()
                if self._changed and time.monotonic() - saved >= _SAVE_SECONDS:
                    saved = time.monotonic()
                    await self._save()
            except Exception as error:  # the disk or the store, most likely
                _LOG.warning("shadows try again to save", extra={"reason": str(error)})
                saved = time.monotonic()

    def _pause(self, saved: float) -> float:
        """Seconds until feedback is due or sums are to be saved."""
        now = time.monotonic()
        first = next(iter(self._settling.values()), now + _SAVE_SECONDS)
        return max(0.0, min(first, max(now, saved + _SAVE_SECONDS)) - now) or 0.001

    def _due(self, *, at_once: bool = False) -> list[str]:
        """Takes the answers whose feedback is complete."""
        now = time.monotonic()
        due: list[str] = []
        for search_id, end in self._settling.items():
            if (end > now and not at_once) or len(due) == _AT_ONCE:
                break
            due.append(search_id)
        for search_id in due:
            del self._settling[search_id]
        return due

    async def _count_feedback(self, search_ids: Sequence[str]) -> None:
        """Observes what the feedback on answers says; where that fails, tries again later."""
        try:
            await self._observe_feedback(search_ids)
        except Exception:
            due = time.monotonic() + max(_SAVE_SECONDS, self._settle_seconds)
            for search_id in search_ids:
                self._settling.setdefault(search_id, due)
            raise

    async def _observe_feedback(self, search_ids: Sequence[str]) -> None:
        """Observes what the feedback on answers says, of each query and kind once."""
        shown = {
            search_id: found
            for search_id in search_ids
            if (found := self._records.shown.get(search_id)) is not None and found.orders
        }
        by_collection: dict[str, list[str]] = {}
        for search_id, one in shown.items():
            by_collection.setdefault(one.collection, []).append(one.query_id or search_id)
        rows = {
            (collection, query_id): found
            for collection, query_ids in by_collection.items()
            for query_id, found in (
                await self._records.of_queries(collection, list(dict.fromkeys(query_ids)))
            ).items()
        }
        wanted: dict[Seen, tuple[str, list[Feedback]]] = {}
        for search_id, one in shown.items():
            query_id = one.query_id or search_id
            for shadow in one.orders or {}:
                for kind in FeedbackKind:
                    mine = [r for r in rows.get((one.collection, query_id), ()) if r.kind is kind]
                    if shadow and mine:
                        seen = one.collection, query_id, shadow, int(kind)
                        wanted.setdefault(seen, (search_id, mine))
        kept = self._records.sums
        if not wanted or kept is None:
            return
        new = await kept.not_seen(list(wanted))
        for seen in new:
            if seen in self._unsaved:
                continue
            search_id, rated = wanted[seen]
            if self._records.shown.get(search_id) is not shown[search_id]:
                continue  # it was forgotten meanwhile, with its collection
            self._unsaved[seen] = None
            collection, _, shadow, kind_number = seen
            orders = shown[search_id].orders or {}
            sums = self._sums_of(shadow, collection)
            grades = {row.document_id: row.grade for row in rated}
            if kind_number == FeedbackKind.JUDGEMENT:
                sums.judged(orders[""], orders[shadow], grades)
            else:
                sums.clicked(orders[""], orders[shadow], list(grades))
            self._changed.add((shadow, collection))
        await self._save()

    async def _save(self) -> None:
        """Writes sums that have changed, and what they hold."""
        kept = self._records.sums
        changed, self._changed = self._changed, set()
        seen = list(self._unsaved)
        if kept is None or not (changed or seen):
            return
        sums = {
            key: (self._definitions[key[0]], self._sums[key].to_json())
            for key in changed
            if key in self._sums
        }
        try:
            await kept.write_sums(sums, seen)
        except BaseException:
            self._changed |= changed
            raise
        for each in seen:
            self._unsaved.pop(each, None)
