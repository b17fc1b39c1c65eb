"""`python -m twopass.benchmarks.scale.plan`: machines and money of each design."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from twopass.benchmarks.scale.constants import (
    CONSTANTS_FILE,
    PRICES_FILE,
    ConstantsError,
    load_constants,
    load_prices,
)
from twopass.benchmarks.scale.planning import Demand, Design, Device, Estimate, Planner
from twopass.benchmarks.scale.tables import markdown, short
from twopass.commands.terminal.failures import exit_with


def main(
    documents: Annotated[
        list[float] | None,
        typer.Option(min=1, help="How many; repeatable. Unset: 1e6, 1e8, 1e10."),
    ] = None,
    searches: Annotated[float, typer.Option(min=0.001, help="Searches a second.")] = 1_000.0,
    depth: Annotated[int, typer.Option(min=0, help="Candidates reranked; 0 for none.")] = 50,
    words: Annotated[
        bool, typer.Option("--words/--no-words", help="Find candidates by words too.")
    ] = True,
    part_read: Annotated[
        float,
        typer.Option(
            min=1e-9, max=1, help="Part of Milvus' segments that a search reads, by partition key."
        ),
    ] = 1.0,
    utilisation: Annotated[
        float, typer.Option(min=0.01, max=1, help="Part of the time machines compute at most.")
    ] = 0.6,
    spare: Annotated[int, typer.Option(min=0, help="Spare machines of each role.")] = 1,
    patience_ms: Annotated[
        float, typer.Option(min=1, help="Longest that one thread may take to find a list.")
    ] = 250.0,
    prices: Annotated[Path, typer.Option(help="Price list, as prices.json.")] = PRICES_FILE,
    constants: Annotated[Path, typer.Option(help="Figures, as constants.json.")] = CONSTANTS_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count machines and money for each design, or say where it breaks and why."""
    try:
        known, price_list = load_constants(constants), load_prices(prices)
    except ConstantsError as error:
        exit_with(error)
    planner = Planner(known, price_list)
    estimates = [
        planner.plan(
            design,
            device,
            Demand(
                number, searches, depth, words, part_read, utilisation, spare, patience_ms
            ),
        )
        for number in documents or [1e6, 1e8, 1e10]
        for design in Design
        for device in Device
    ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps([_as_json(e) for e in estimates], indent=2))
        return
    typer.echo(as_table(estimates, price_list.currency))
    typer.echo(f"\n{price_list.source}")


def as_table(estimates: list[Estimate], currency: str) -> str:
    """A row an estimate; designs that break on both devices for the same reasons have one row."""
    rows, told = [], set()
    for estimate in estimates:
        if estimate.breaks:
            reasons = (estimate.demand.documents, estimate.design, estimate.breaks[0])
            if reasons in told:
                continue
            told.add(reasons)
        rows.append(_row(estimate))
    return markdown(
        ("documents", "design", "models on", "machines", f"{currency} a month", "second pass, %"),
        rows,
    )


def _row(estimate: Estimate) -> tuple[str, ...]:
    head = (short(estimate.demand.documents), estimate.design, estimate.device)
    if estimate.breaks:
        return *head, f"breaks: {'; '.join(estimate.breaks)}", "n/a", "n/a"
    second = "n/a" if estimate.second_pass is None else f"{estimate.second_pass * 100:.0f}"
    machines = ", ".join(f"{r.count} x {r.machine.name} ({r.name})" for r in estimate.roles)
    return *head, machines, f"{estimate.month:,.0f}", second


def _as_json(estimate: Estimate) -> dict[str, object]:
    return {
        **dataclasses.asdict(estimate.demand),
        "design": estimate.design,
        "device": estimate.device,
        "roles": [
            {"role": r.name, "machine": r.machine.name, "count": r.count} for r in estimate.roles
        ],
        "breaks": list(estimate.breaks),
        "month": estimate.month,
        "second_pass": estimate.second_pass,
    }


if __name__ == "__main__":
    typer.run(main)
