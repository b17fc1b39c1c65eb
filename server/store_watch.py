"""Asks a store from time to time whether it answers, so that what is told of it is no old news."""

import asyncio
import logging
from contextlib import suppress

from twopass.index.base.store import InspectableStore, Store, device_use
from twopass.index.device_use import DeviceUse
from twopass.index.errors import CollectionError
from twopass.index.stopping import Stop

_logger = logging.getLogger("twopass.server")
# How often a store that does not answer is asked again, at most: calls may come back soon after.
_AWAY_SECONDS = 2.0


class StoreWatch:
    """Tells why a store can't be used. The server's health is not concerned: models serve on.

    Attributes:
        kind: The kind of store.
    """

    def __init__(self, store: Store, *, probe_seconds: float, timeout_seconds: float) -> None:
        """Watches nothing yet.

        Args:
            store: The store.
            probe_seconds: How often a store that answers is asked.
            timeout_seconds: After how long it counts as silent.
        """
        self.kind = store.kind
        self._store = store
        self._probe_seconds = probe_seconds
        self._timeout_seconds = timeout_seconds
        self._silence = ""

    @property
    def problem(self) -> str:
        """Why the store can't be used now; "" as far as is known."""
        return self._store.problem or self._silence

    @property
    def num_vector_fallbacks(self) -> int:
        """How often the CPU took over from a GPU; 0 where the store has no such vectors."""
        return self.device_use.num_fallbacks

    @property
    def device_use(self) -> DeviceUse:
        """What the store's vectors have had of a GPU."""
        return device_use(self._store)

    async def watch(self) -> None:
        """Asks for ever; a store that needs no asking is never asked."""
        if isinstance(self._store, InspectableStore):
            return
        was_away = bool(self.problem)
        while True:
            seconds = self._probe_seconds
            await asyncio.sleep(min(seconds, _AWAY_SECONDS) if self.problem else seconds)
            await self._probe()
            if was_away != bool(self.problem):
                was_away = bool(self.problem)
                level = logging.ERROR if was_away else logging.INFO
                told = "the store can't be used" if was_away else "the store can be used again"
                extra = {"store": self._store.place}
                if was_away:
                    extra["problem"] = self.problem
                _logger.log(level, told, extra=extra)

    async def _probe(self) -> None:
        """Lists no collection, which asks the store all the same."""
        stop = Stop()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                with suppress(CollectionError):  # it says so in its `problem`
                    await self._store.summaries(lambda _: False, stop=stop)
            self._silence = ""
        except TimeoutError:
            self._silence = f"it has not answered for {self._timeout_seconds:g} s"
        except Exception as error:  # a bug of a driver; the store is asked again all the same
            if not self._silence:
                _logger.exception("the store was asked in vain")
            self._silence = f"asking it failed: {type(error).__name__}"
        finally:
            stop.set()
