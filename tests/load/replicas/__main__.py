"""Runs the phases; see the package."""

import argparse
import asyncio
import inspect
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

from twopass.client import AsyncClient, Fields

from ...stores.servers import PostgresServer
from ..driver import NO_RETRIES
from .load import Load
from .report import report
from .servers import COLLECTION, Replica

NUM_SERVERS = 3
GIVE_UP_SECONDS = 60.0


async def phases(servers: list[Replica], load: Load, seconds: float) -> tuple[list[str], int]:
    """Lets one server after another fail; returns the phases, and the calls at the kill."""
    a, b, c = servers
    under_way = 0

    async def kill() -> None:
        nonlocal under_way
        under_way = load.num_under_way
        await asyncio.to_thread(b.kill)

    async def until_well() -> None:
        async with AsyncClient(a.target) as client:
            await client.wait_until_ready()

    steps: tuple[tuple[str, Callable[[], object], float], ...] = (
        ("all well", lambda: None, seconds),
        ("A's reranker fails", a.break_reranker, seconds),
        ("A mends itself", until_well, 0),
        ("A is well again", lambda: None, seconds),
        ("B is killed with -9", kill, seconds),
        ("B starts", lambda: asyncio.to_thread(b.start), 0),
        ("B is back", lambda: None, seconds),
        ("C is drained with SIGTERM", lambda: asyncio.to_thread(c.drain), seconds),
        ("C starts", lambda: asyncio.to_thread(c.start), 0),
        ("all well again", lambda: None, seconds),
    )
    for name, act, pause in steps:
        load.phase = name
        if inspect.isawaitable(acting := act()):
            await acting
        await asyncio.sleep(pause)
    # A client finds a server again within 2 s of its start, a busy machine later.
    until = time.monotonic() + GIVE_UP_SECONDS
    is_waiting = load.tells_servers
    while is_waiting and time.monotonic() < until:
        await asyncio.sleep(0.05)
        is_waiting = bool(load.silent(NUM_SERVERS))
    return [name for name, _, _ in steps], under_way


async def run(servers: list[Replica], settings: argparse.Namespace) -> bool:
    """Loads the servers and prints what came of it; returns whether all was well."""
    targets = ",".join(server.target for server in servers)
    options = () if settings.retries else NO_RETRIES
    async with AsyncClient(targets, options=options) as client:
        await client.wait_until_ready()
        is_shared = settings.store is not None
        load = Load(client, settings.concurrency, writes=is_shared)
        names, under_way = await phases(servers, load, settings.seconds)
        await load.end()
        ids = [document.id async for document in client.documents(COLLECTION, fields=Fields())]
    report(load.ended, names, 0 if is_shared else NUM_SERVERS)
    num_failed = sum(call.status != "OK" for call in load.ended)
    print(
        f"{len(load.ended):,} calls, {settings.concurrency} at a time, {under_way} under way "
        f"on all servers at the kill; {num_failed} failed"
    )
    if is_shared:
        num_lost = len(set(load.acknowledged) - set(ids))
        num_double = len(ids) - len(set(ids))
        print(
            f"{len(load.acknowledged):,} documents written and acknowledged; {num_lost} of them "
            f"lost, {num_double} there twice"
        )
        return not num_failed and not num_lost and not num_double
    if silent := load.silent(NUM_SERVERS):
        print("asked for nothing at the end:", *(chr(ord("A") + i) for i in silent))
    return not num_failed and not silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--concurrency", type=int, default=12, help="calls at a time")
    parser.add_argument("--no-retries", dest="retries", action="store_false", help="each call once")
    parser.add_argument(
        "--store",
        choices=("postgres",),
        help="fronts of one PostgreSQL, which are written to as well; unset: a folder each",
    )
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        places = [("--data", f"{folder}/{number}") for number in range(NUM_SERVERS)]
        if settings.store:
            postgres = stack.enter_context(PostgresServer(syncs=True))
            places = [("--store", postgres.url)] * NUM_SERVERS
        servers: list[Replica] = []
        for number, place in enumerate(places):
            servers.append(Replica(number, place, 0.6 * settings.seconds))
            stack.callback(servers[-1].kill)
        is_well = asyncio.run(run(servers, settings))
    if not is_well and settings.retries:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
