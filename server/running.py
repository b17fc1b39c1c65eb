"""One run of a server: it starts, serves, and drains when a signal asks for that."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable

import uvloop

from twopass.engines.base.model import LoadedModel
from twopass.server.app import App
from twopass.server.config import ServerConfig
from twopass.server.config_values import ServerRole
from twopass.server.ending import StoppedError, ending_signals, ensure_not_stopped
from twopass.server.engine_app import EngineApp
from twopass.server.memory import FreedMemory
from twopass.server.models.loading import load_models
from twopass.server.serving import Serving

_logger = logging.getLogger("twopass.server")
# EX_SOFTWARE of sysexits.h: not the caller's fault, and another try may help.
_ENGINES_LOST = 70
# Seconds after which a thread that runs Python code yields the GIL to the event loop or another
# thread. At Python's default of 5 ms, an answer that passes through a few threads waits tens of
# milliseconds beside an upload or an export: several times as long as at this value, as measured.
_SWITCH_SECONDS = 0.0005


def run(
    config: ServerConfig,
    when_serving: Callable[[Serving], None] = lambda _: None,
    load: Callable[[ServerConfig], list[LoadedModel]] = load_models,
) -> None:
    """Runs a server, as `serve` does, on an event loop of its own.

    The loop is libuv's: a turn of it takes a fraction of one of asyncio's own, which is Python, and
    a call takes a dozen turns.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(config, when_serving, load))


async def serve(
    config: ServerConfig,
    when_serving: Callable[[Serving], None] = lambda _: None,
    load: Callable[[ServerConfig], list[LoadedModel]] = load_models,
) -> None:
    """Runs a server until SIGTERM, SIGINT or SIGHUP has drained it; a second ends it at once.

    Engines that don't answer for `exit_unwell_seconds` end the process with status 70.

    Args:
        config: The settings.
        when_serving: Is called once it serves.
        load: Loads the models; a measurement may have engines of its own.

    Raises:
        StoppedError: A signal came before it served.
    """
    app = EngineApp(config, load) if config.role is ServerRole.ENGINE else App(config, load)
    stopping = asyncio.Event()

    def signalled() -> None:
        if stopping.is_set():
            _logger.warning("stopped without draining: second signal")
            # Acknowledged writes are on disk, and a device that hangs would hold up an orderly end.
            os._exit(1)
        stopping.set()

    for signal_number in ending_signals():
        asyncio.get_running_loop().add_signal_handler(signal_number, signalled)
    ensure_not_stopped()
    stop = asyncio.create_task(stopping.wait())
    starting = asyncio.create_task(app.start())
    try:
        await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            raise StoppedError
        await starting
    except BaseException:
        stop.cancel()
        await app.close()
        raise
    when_serving(app.serving)
    # Objects loaded so far stay. If the garbage collector looked at all of them, it would hold up
    # every call for 16 ms, longer on a busy machine. Collections and engines that are closed are
    # freed without it.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
    returning = asyncio.create_task(FreedMemory().keep_returning())
    await asyncio.wait({stop, app.watching}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.done():
        _logger.critical("stopped without draining: %s", app.watching.exception())
        os._exit(_ENGINES_LOST)
    await app.stop()
    returning.cancel()
    gc.unfreeze()
