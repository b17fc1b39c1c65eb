"""`python -m twopass.benchmarks.scale.load_designs`: what each design does as its load grows.

Simulated, on the machines that `plan` counts; with `--lose` and `--straggle` also when something
goes wrong.
"""

from pathlib import Path
from typing import Annotated

import typer

from twopass.benchmarks.scale.constants import (
    CONSTANTS_FILE,
    PRICES_FILE,
    Constants,
    ConstantsError,
    load_constants,
    load_prices,
)
from twopass.benchmarks.scale.designs import Figures, Trouble, simulate
from twopass.benchmarks.scale.planning import Demand, Design, Device, Estimate, Planner
from twopass.benchmarks.scale.simulation.engines import Straggling
from twopass.benchmarks.scale.tables import markdown
from twopass.commands.terminal.failures import exit_with
from twopass.engines.installing import how_to_install

_PARTS = (0.1, 0.5, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25)


def main(
    documents: Annotated[float, typer.Option(min=1, help="How many.")] = 1e6,
    searches: Annotated[
        float, typer.Option(min=1, help="Searches a second that the machines are planned for.")
    ] = 200.0,
    depth: Annotated[int, typer.Option(min=0, help="Candidates reranked.")] = 50,
    gpu: Annotated[bool, typer.Option("--gpu", help="Models on GPUs, not on CPUs.")] = False,
    part: Annotated[
        list[float] | None,
        typer.Option(help="Loads, as parts of that; repeatable. Unset: eight from 0.1 to 2.25."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Simulated seconds of a run.")] = 20.0,
    runs: Annotated[int, typer.Option(min=2, help="Runs of a load, each with its seed.")] = 5,
    lose: Annotated[
        float,
        typer.Option(min=0, help="When a machine is lost (an engine, else a server); 0: never."),
    ] = 0.0,
    straggle: Annotated[
        float, typer.Option(min=0, max=1, help="Part of batches and shards that take ten times.")
    ] = 0.0,
    hedge_ms: Annotated[
        float, typer.Option(min=0, help="Ask a second server or copy after so long; 0: never.")
    ] = 0.0,
    picture: Annotated[Path | None, typer.Option(help="SVG file to draw.")] = None,
    prices: Annotated[Path, typer.Option(help="Price list, as prices.json.")] = PRICES_FILE,
    constants: Annotated[Path, typer.Option(help="Figures, as constants.json.")] = CONSTANTS_FILE,
) -> None:
    """Simulate each design under rising load; means of several runs, 95 % confidence."""
    try:
        known, price_list = load_constants(constants), load_prices(prices)
    except ConstantsError as error:
        exit_with(error)
    planner = Planner(known, price_list)
    trouble = Trouble(
        straggling=Straggling(straggle, 10.0), lost_at=lose, hedge_after=hedge_ms / 1000
    )
    device = Device.GPU if gpu else Device.CPU
    demand = Demand(documents, searches, depth)
    figures: dict[str, list[Figures]] = {}
    for design in Design:
        estimate = planner.plan(design, device, demand)
        if estimate.breaks:
            typer.echo(f"# {design} breaks: {'; '.join(estimate.breaks)}", err=True)
            continue
        figures[_label(estimate)] = [
            simulate(
                planner,
                known,
                estimate,
                load * searches,
                seconds=seconds,
                seeds=range(1, runs + 1),
                trouble=trouble,
            )
            for load in part or _PARTS
        ]
    typer.echo(as_table(figures))
    if picture is not None:
        _draw(figures, _heading(known, demand, device), picture)


def as_table(figures: dict[str, list[Figures]]) -> str:
    """A row a design and load."""
    return markdown(
        ("design", "asked a second", "answered a second", "p50, ms", "p99, ms", "failed, %"),
        [
            (
                row.design,
                f"{row.rate:,.0f}",
                f"{row.answered.mean:,.0f} ± {row.answered.half_width:,.0f}",
                f"{row.p50_ms.mean:,.0f} ± {row.p50_ms.half_width:,.0f}",
                f"{row.p99_ms.mean:,.0f} ± {row.p99_ms.half_width:,.0f}",
                f"{row.failed.mean * 100:.2f}",
            )
            for rows in figures.values()
            for row in rows
        ],
    )


def _label(estimate: Estimate) -> str:
    machines = ", ".join(f"{role.count} x {role.machine.name}" for role in estimate.roles)
    return f"{estimate.design}: {machines}"


def _heading(known: Constants, demand: Demand, device: Device) -> str:
    return (
        f"Simulated: {demand.documents:,.0f} documents, {demand.depth} candidates reranked, models "
        f"on {device};\nmachines as planned for {demand.searches:,.0f} searches a second, "
        f"{known['rerank_core_us_per_token']:.1f} core-µs a token"
    )


def _draw(figures: dict[str, list[Figures]], heading: str, file: Path) -> None:
    try:
        from twopass.benchmarks.scale.picture import save_picture
    except ModuleNotFoundError as error:
        exit_with(f"--picture: {error}; {how_to_install('bench')}")
    save_picture(figures, heading, file)


if __name__ == "__main__":
    typer.run(main)
