"""The first batches of each engine, before anybody waits for one."""

from collections.abc import Sequence
from contextlib import suppress

from twopass.engines.base.model import LoadedModel
from twopass.engines.errors import EngineBusyError
from twopass.server.models.supervisor import probe_batch
from twopass.server.scheduling.arbiter import Arbiter, Priority

# The first batch is slow; the others measure the speed that admission needs.
_NUM_BATCHES = 4


async def warm_up(models: Sequence[LoadedModel], arbiter: Arbiter) -> None:
    """Runs a few batches on each engine: the first is slow, the others measure its speed.

    An engine that has no room, since other servers keep it busy, is warm.

    Raises:
        EngineError: An engine does not compute.
    """
    for model in models:
        for _ in range(_NUM_BATCHES):
            with suppress(EngineBusyError):
                await arbiter.compute(model.engine, probe_batch(model), Priority.INGEST)
