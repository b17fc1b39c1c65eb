"""`python -m twopass.benchmarks.frontend`: what a server does for a pair beside computing it."""

import dataclasses
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from twopass.benchmarks.frontend.holding import find_sampler
from twopass.benchmarks.frontend.measuring import Figures, measured
from twopass.benchmarks.frontend.processes import Load, Server, running_server
from twopass.benchmarks.frontend.requests import CASES, case_named
from twopass.benchmarks.machine import this_machine

# The machine that the goal is for: 40,000 pairs a second on 16 cores.
_CORES, _GOAL = 16, 40_000
_MOST_FUNCTIONS = 12


def main(
    cores: Annotated[
        list[int] | None, typer.Option(help="Processors of the server; unset: 1 and 2.")
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(help="A kind of request, such as 'Rerank 100'; unset: all.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="Of each figure.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Figures of each; medians are told.")] = 1,
    callers: Annotated[int, typer.Option(min=1, help="Processes that ask.")] = 2,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests of each under way.")] = 8,
    batch_ms: Annotated[float, typer.Option(min=0, help="How long a batch takes.")] = 0.0,
    before: Annotated[
        Path | None,
        typer.Option(help="Folder with another version's package twopass, measured in turns."),
    ] = None,
    functions: Annotated[
        bool, typer.Option("--functions", help="Tell which functions hold the interpreter.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure a real server over an engine that costs nothing: what is left is its own work."""
    chosen = [case_named(name) for name in case] if case else CASES
    trees = {"before": before, "after": None} if before else {"": None}
    for line in (*this_machine().lines(), *_method(callers, concurrency, batch_ms)):
        typer.echo(line, err=as_json)
    found: dict[str, list[list[Figures]]] = {}
    for count in cores or [1, 2]:
        cpus, others = _divided(count)
        with ExitStack() as undo:
            servers = {
                name: undo.enter_context(running_server(cpus, batch_ms / 1000, tree))
                for name, tree in trees.items()
            }
            turns = [Load(each, callers, concurrency, tuple(others), seconds) for each in chosen]
            rows = [_in_turns(servers, load, count, rounds) for load in turns]
        for name in trees:
            found.setdefault(name, []).append([row[name] for row in rows])
        if not as_json:
            _print(count, rows, functions)
    if as_json:
        plain = {
            name: [dataclasses.asdict(each) for table in tables for each in table]
            for name, tables in found.items()
        }
        print(json.dumps({"machine": dataclasses.asdict(this_machine()), "figures": plain}))


def _in_turns(
    servers: dict[str, Server], load: Load, num_cores: int, rounds: int
) -> dict[str, Figures]:
    """The median figures of each server under a load, by pairs a second."""
    figures: dict[str, list[Figures]] = {name: [] for name in servers}
    for turn in range(rounds):
        for name in list(servers)[:: -1 if turn % 2 else 1]:
            figures[name].append(measured(servers[name], load, num_cores))
    return {
        name: sorted(found, key=lambda each: each.pairs_per_second)[len(found) // 2]
        for name, found in figures.items()
    }


def _divided(count: int) -> tuple[list[int], list[int]]:
    """The processors of the server, and those of the callers: others where there are any."""
    mine = sorted(os.sched_getaffinity(0))
    if count > len(mine):
        raise typer.BadParameter(f"--cores {count}: this process may use {len(mine)}")
    return mine[:count], mine[count:] or mine


def _method(callers: int, concurrency: int, batch_ms: float) -> list[str]:
    sampler = "py-spy" if find_sampler() else "nobody: py-spy is not installed, so it is n/a"
    return [
        f"{callers} processes with {concurrency} requests under way each; passages of about 100 "
        f"tokens, all hits returned (Search: 10 of them); an engine that takes {batch_ms:g} ms a "
        "batch and no processor",
        "Columns of µs are processor time of a pair; 'holding' is the time in which some thread "
        f"held the interpreter, as seen by {sampler}.",
        f"On {_CORES} cores: the least of 1 s / holding and {_CORES} s / all. The goal is "
        f"{_GOAL:,} pairs/s: {1e6 / _GOAL:.0f} µs holding, {_CORES * 1e6 / _GOAL:.0f} in all.",
    ]


def _print(count: int, rows: Sequence[dict[str, Figures]], functions: bool) -> None:
    print(f"\nThe server on {count} core{'s' * (count > 1)}")
    columns = ("pairs/s", "all µs", "holding µs", "loop µs", "tokenising µs", "lanes µs")
    heads = (*columns, "engine µs", "gRPC µs", "alone ms", f"pairs/s on {_CORES}", "limit")
    table: list[tuple[str, ...]] = [("case", *heads)]
    for row in rows:
        table += [(f"{each.case} {name}".rstrip(), *_cells(each)) for name, each in row.items()]
        if len(row) > 1:
            table.append(_ratios(row["before"], row["after"]))
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    for line in table:
        first, *others = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join((first, *others)))
    for row in rows if functions else ():
        for name, each in row.items():
            print(f"\n{each.case} {name}")
            for function, share in list(each.functions.items())[:_MOST_FUNCTIONS]:
                print(f"{share:7.1%}  {function}")


def _cells(each: Figures) -> tuple[str, ...]:
    spent = each.core_us
    limited = each.gil_us is not None and 1e6 / each.gil_us < _CORES * 1e6 / each.total_us
    return (
        f"{each.pairs_per_second:,.0f}",
        f"{each.total_us:.1f}",
        "n/a" if each.gil_us is None else f"{each.gil_us:.1f}",
        *(
            f"{spent[what]:.1f}"
            for what in ("event loop", "tokenising", "other lanes", "engine", "gRPC")
        ),
        f"{each.alone_ms:.2f}",
        f"{each.most_pairs(_CORES):,.0f}",
        "interpreter" if limited else "cores",
    )


def _ratios(before: Figures, after: Figures) -> tuple[str, ...]:
    """What is left after of what was before: of time below 1 is better, of pairs/s above."""
    held = after.gil_us / before.gil_us if before.gil_us and after.gil_us else None
    ratios = (
        after.pairs_per_second / before.pairs_per_second,
        after.total_us / before.total_us,
        held,
        *(None,) * 5,
        after.alone_ms / before.alone_ms,
        after.most_pairs(_CORES) / before.most_pairs(_CORES),
    )
    return "  after / before", *("" if r is None else f"{r:.2f}" for r in ratios), ""


if __name__ == "__main__":
    typer.run(main)
