"""Fleets of acting engines, on a clock of the test's own."""

from itertools import repeat

from twopass.engines.errors import DeviceError
from twopass.engines.fleet.fleet import Fleet

from .acting import MAX_SEQ_LEN, ActingEngine, Clock, Deed

SOUND = Deed()
LOST = Deed(error=DeviceError("the device burnt out"))
HANGS = Deed(seconds=None)
TEND_SECONDS = 0.05


def fleet_on(clock: Clock, **options) -> Fleet:
    return Fleet("model", max_seq_len=MAX_SEQ_LEN, clock=clock, **options)


def always(deed: Deed):
    return repeat(deed)


def joined(clock: Clock, **deeds) -> tuple[Fleet, dict[str, ActingEngine]]:
    """A fleet of members by name, each with what it does."""
    fleet = fleet_on(clock)
    engines = {name: ActingEngine(clock, iter(script)) for name, script in deeds.items()}
    for name, engine in engines.items():
        fleet.join(name, engine)
    return fleet, engines


def run(fleet: Fleet, clock: Clock, seconds: float) -> None:
    end = clock.now + seconds
    clock.every(TEND_SECONDS, end, fleet.tend)
    clock.run(end)
