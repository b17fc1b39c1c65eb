"""`make isolation`: plain searches beside what else a server is asked to do."""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from twopass.benchmarks.machine import this_machine
from twopass.commands.terminal.tables import print_table

from ..driver import resident_bytes, step_back, stolen_share
from . import report
from .neighbours import Neighbour
from .observing import PeakMemory, busy_after, longest_overrun, loop_seconds, memory_after
from .probe import Probe
from .report import Memory, Result
from .serving import MeasuredServer
from .steps import NEIGHBOURS, run_step
from .strangers import UnknownCaller, UnknownCallers

# Until caches, pools and allocators have their size.
_WARM_UP_SECONDS = 2.0


class Measuring:
    """Measures searches of one server beside neighbours, which send from another process."""

    def __init__(
        self, server: MeasuredServer, sender: Executor, *, rate: float, patience: float
    ) -> None:
        """Prepares it.

        Args:
            server: Which is started and stopped here.
            sender: A process with room for one neighbour.
            rate: Searches a second.
            patience: Seconds that a server may go on working when all callers are gone; it is
                ended then, and another one started.
        """
        self._server = server
        self._sender = sender
        self._rate = rate
        self._patience = patience

    async def start(self) -> None:
        """Starts the server and warms it up."""
        await self._server.start(self._sender)
        setting = self._server.setting
        self._probe = await Probe.connect(setting.target, setting.key, setting.collection)
        await self._probe.measure(self._rate, _WARM_UP_SECONDS)
        await self._idle()

    def stop(self, *, at_once: bool = False) -> None:
        """Ends the server."""
        self._probe.close()
        self._server.stop(at_once=at_once)

    async def measure(self, neighbour: Neighbour) -> Result:
        """Measures searches alone, then beside a neighbour; looks at what stays of it."""
        server, seconds = self._server, self._server.setting.seconds
        before = resident_bytes(server.pid)
        await self._step(neighbour, "prepare")
        await self._idle()
        server.log.tracebacks_since()
        quiet = await self._probe.measure(self._rate, seconds / 2)
        overrun_before = longest_overrun(await server.metrics.gauges())
        async with PeakMemory(server.pid) as peak:
            end = time.perf_counter() + seconds
            sending = asyncio.ensure_future(self._step(neighbour, "beside"))
            beside = await self._probe.measure(self._rate, seconds)
            unanswered = time.perf_counter() - end
            ended = await sending
        idle_after = await self._idle()
        hangs = idle_after >= self._patience
        overrun = None if hangs else longest_overrun(await server.metrics.gauges())
        if overrun == overrun_before:  # it is the longest since the start
            overrun = None
        loop_ms = await self._loop_ms() if isinstance(neighbour, UnknownCallers) else None
        num_tracebacks = server.log.tracebacks_since()
        if not hangs:
            await self._step(neighbour, "clean_up")
            await self._idle()
        after = await memory_after(server.pid, report.most_kept(before))
        if hangs:
            self.stop(at_once=True)
            await self.start()
        return Result(
            name=neighbour.name,
            quiet=quiet,
            beside=beside,
            memory=Memory(before, peak.num_bytes, after),
            busy_seconds=max(0.0, unanswered) + idle_after,
            overrun_ms=None if overrun is None else 1000 * overrun,
            loop_ms=loop_ms,
            num_tracebacks=num_tracebacks,
            ended=ended,
            allowed=sorted(neighbour.allowed),
            leaves_work=neighbour.leaves_work,
        )

    async def _loop_ms(self) -> float:
        """Processor time of the event loop for one message of an unknown caller, in ms."""
        pid = self._server.pid
        before = loop_seconds(pid)
        await self._step(UnknownCaller(), "beside")
        return 1000 * (loop_seconds(pid) - before) / UnknownCaller.NUM_MESSAGES

    async def _step(self, neighbour: Neighbour, step: str) -> dict[str, int]:
        loop = asyncio.get_running_loop()
        setting = self._server.setting
        return dict(
            await loop.run_in_executor(self._sender, run_step, neighbour.name, step, setting)
        )

    async def _idle(self) -> float:
        return await busy_after(self._server.pid, self._patience)


async def run(options: argparse.Namespace, scratch: Path, sender: Executor) -> list[Result]:
    """Measures beside every neighbour that is asked for, and says so."""
    server = MeasuredServer(
        scratch, num_documents=options.documents, seconds=options.seconds, tree=options.tree
    )
    measuring = Measuring(server, sender, rate=options.rate, patience=options.patience)
    await measuring.start()
    results = []
    try:
        for neighbour in NEIGHBOURS:
            if neighbour.name in options.only:
                results.append(await measuring.measure(neighbour))
                latencies = results[-1].beside
                print(f"{neighbour.name}: p99 {latencies.p99:,.1f} ms", file=sys.stderr)
    finally:
        measuring.stop()
    return results


def main() -> None:
    """Reads the options, runs, prints, and fails where a bound is broken."""
    options = _options()
    against = report.load(options.against) if options.against else {}
    stolen = stolen_share()
    spawning = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(1, mp_context=spawning, initializer=step_back) as sender,
    ):
        results = asyncio.run(run(options, Path(scratch), sender))
    machine = this_machine()
    if options.out:
        about = {
            "machine": asdict(machine),
            "version": options.version or machine.commit,
            "documents": options.documents,
            "rate": options.rate,
            "seconds": options.seconds,
        }
        report.save(options.out, results, about)
    print("\n".join(machine.lines()))
    if options.version:
        print(f"the server is of {options.version}")
    print(
        f"{options.documents:,} documents, {options.rate:g} searches a second, "
        f"{options.seconds / 2:g} s alone and {options.seconds:g} s beside each; "
        f"the host took {stolen():.1%} of the processors\n"
    )
    print_table(report.searches_table(results, against))
    print()
    print_table(report.server_table(results, against))
    print()
    print("\n".join(report.endings(results)))
    faults = [fault for result in results for fault in result.faults()]
    broken = [bound for result in results for bound in result.broken_bounds()]
    for title, sentences in (("wrong", faults), ("beyond its bound", broken)):
        if sentences:
            print(f"\n{title}:", *sentences, sep="\n  ")
    if faults or (broken and options.does_assert):
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [neighbour.name for neighbour in NEIGHBOURS]
    parser.add_argument("--seconds", type=float, default=10.0, help="beside each neighbour")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=40.0, help="searches a second")
    parser.add_argument("--only", nargs="+", default=names, choices=names, metavar="NEIGHBOUR")
    parser.add_argument("--against", type=Path, help="results of an earlier run, to compare with")
    parser.add_argument("--out", type=Path, help="where to save the results")
    parser.add_argument("--tree", type=Path, help="where to import another version's server from")
    parser.add_argument("--version", default="", help="what to call that version")
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds a server may work for nobody"
    )
    parser.add_argument(
        "--no-assert",
        dest="does_assert",
        action="store_false",
        help="print figures beyond their bounds and do not fail: the machine does other things",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
