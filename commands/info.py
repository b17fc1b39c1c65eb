"""`twopass info`: a server's version, limits and load."""

import dataclasses
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from twopass.client import Client, Collection, PermissionDeniedError, ServerInfo
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json

# For each figure of the load, the limit that it counts against.
_LIMIT_OF = {
    "queued_pairs": "max_queued_pairs",
    "queued_tokens": "max_queued_tokens",
    "calls": "max_calls",
    "bytes": "max_bytes",
}


def info(target: Target = DEFAULT_TARGET, as_json: AsJson = False) -> None:
    """Show a server's version, load and limits."""
    with connected(target) as client:
        server = client.server_info()
        without_encoder = [each for each in _collections(client) if each.encoder_problem]
    if as_json:
        problems = {each.name: each.encoder_problem for each in without_encoder}
        print_json(
            dataclasses.asdict(server)
            | {"start_time": server.start_time.isoformat(), "encoder_problems": problems}
        )
        return
    seconds = (datetime.now(UTC) - server.start_time).total_seconds()
    up = timedelta(seconds=max(0, round(seconds)))  # clocks may differ
    print(f"twopass {server.version}, up {up}, {server.num_threads} threads a forward pass")
    print(f"busy for {server.load.busy_seconds:.2f} s with what waits now")
    console = Console()
    if server.num_vector_fallbacks:
        print(
            f"vectors: set to {server.vector_device}, but the CPU took over "
            f"{server.num_vector_fallbacks:,} times; the server's log says why"
        )
    for collection in without_encoder:
        print(f"collection {collection.name!r}: {collection.encoder_problem}")
    console.print(_load(server))
    console.print(_lanes(server))
    if server.load.rejections:
        console.print(_rejections(server))
    console.print(_limits(server))


def _collections(client: Client) -> tuple[Collection, ...]:
    """The collections that the caller may read; a key for watching a server may read none."""
    try:
        return client.list_collections()
    except PermissionDeniedError:
        return ()


def _load(server: ServerInfo) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("load")
    table.add_column("now", justify="right")
    table.add_column("at most", justify="right")
    for name, limit in _LIMIT_OF.items():
        now, most = getattr(server.load, name), getattr(server.limits, limit)
        table.add_row(name.replace("_", " "), f"{now:,}", f"{most:,}")
    return table


def _lanes(server: ServerInfo) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("blocking work")
    for heading in ("running", "waiting", "threads", "longest overrun, ms"):
        table.add_column(heading, justify="right")
    for lane in server.load.lanes:
        counts = (lane.num_running, lane.num_waiting, lane.num_threads)
        overrun = f"{lane.longest_overrun_seconds * 1000:,.1f}"
        table.add_row(lane.name, *(f"{count:,}" for count in counts), overrun)
    return table


def _rejections(server: ServerInfo) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("refused or late since the start")
    table.add_column("requests", justify="right")
    for reason, count in sorted(server.load.rejections.items()):
        table.add_row(reason.replace("_", " "), f"{count:,}")
    return table


def _limits(server: ServerInfo) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("limit of one request")
    table.add_column("at most", justify="right")
    for name, most in dataclasses.asdict(server.limits).items():
        if name not in _LIMIT_OF.values():
            table.add_row(name.removeprefix("max_").replace("_", " "), f"{most:,}")
    return table
