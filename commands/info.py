"""`twopass info`: a server's version, limits and load."""

import dataclasses
from datetime import UTC, datetime, timedelta

from twopass.client import (
    Client,
    Collection,
    PermissionDeniedError,
    ServerInfo,
    UnimplementedError,
)
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.terminal.sentences import say
from twopass.commands.terminal.tables import Table, figures, names, print_table

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
        known = () if server.store_problem else _collections(client)
        without_encoder = [each for each in known if each.encoder_problem]
        unapplied = {each.name: each.search_defaults_problem for each in known}
        unapplied = {name: problem for name, problem in unapplied.items() if problem}
    if as_json:
        problems = {each.name: each.encoder_problem for each in without_encoder}
        print_json(
            dataclasses.asdict(server)
            | {
                "start_time": server.start_time.isoformat(),
                "encoder_problems": problems,
                "search_defaults_problems": unapplied,
            }
        )
        return
    seconds = (datetime.now(UTC) - server.start_time).total_seconds()
    up = timedelta(seconds=max(0, round(seconds)))  # clocks may differ
    say(f"twopass {server.version}, up {up}, {server.num_threads} threads a forward pass")
    say(f"busy for {server.load.busy_seconds:.2f} s with what waits now")
    if server.store_problem:
        say(f"the store {server.store} can't be used: {server.store_problem}")
    if server.num_vector_fallbacks:
        say(
            f"vectors: set to {server.vector_device}, but the CPU took over "
            f"{server.num_vector_fallbacks:,} times; the server's log says why"
        )
    for worker in server.workers:
        computed = ", ".join(worker.models) or "nothing"
        say(f"engine at {worker.target} computes {computed}")
        if worker.problem:
            say(f"engine at {worker.problem}")
    for collection in without_encoder:
        say(f"collection {collection.name!r}: {collection.encoder_problem}")
    for name, problem in unapplied.items():
        say(f"collection {name!r}: {problem}")
    say()
    refused = [_rejections(server)] if server.load.rejections else []
    print_table(_load(server), _lanes(server), *refused, _limits(server))


def _collections(client: Client) -> tuple[Collection, ...]:
    """The collections that the caller may read.

    A key for watching a server may read none, and a server that computes models alone has none.
    """
    try:
        return client.list_collections()
    except (PermissionDeniedError, UnimplementedError):
        return ()


def _load(server: ServerInfo) -> Table:
    table = Table([*names("load"), *figures("now", "at most")], num_names=1)
    for name, limit in _LIMIT_OF.items():
        now, most = getattr(server.load, name), getattr(server.limits, limit)
        table.add(name.replace("_", " "), f"{now:,}", f"{most:,}")
    return table


def _lanes(server: ServerInfo) -> Table:
    columns = figures("running", "waiting", "threads", "longest overrun, ms")
    table = Table([*names("blocking work"), *columns], num_names=1)
    for lane in server.load.lanes:
        counts = (lane.num_running, lane.num_waiting, lane.num_threads)
        overrun = f"{lane.longest_overrun_seconds * 1000:,.1f}"
        table.add(lane.name.replace("_", " "), *(f"{count:,}" for count in counts), overrun)
    return table


def _rejections(server: ServerInfo) -> Table:
    table = Table([*names("refused or late since the start"), *figures("requests")], num_names=1)
    for reason, count in sorted(server.load.rejections.items()):
        table.add(reason.replace("_", " "), f"{count:,}")
    return table


def _limits(server: ServerInfo) -> Table:
    table = Table([*names("limit of one request"), *figures("at most")], num_names=1)
    for name, most in dataclasses.asdict(server.limits).items():
        if name not in _LIMIT_OF.values():
            table.add(name.removeprefix("max_").replace("_", " "), f"{most:,}")
    return table
