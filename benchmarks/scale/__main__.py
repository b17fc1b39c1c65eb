"""`make scale`: one node, predicted from constants measured on this machine, and then loaded.

Exits with 1 where the median of the rounds is off by more than `--tolerance`.
"""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.scale.checking import (
    Part,
    Plan,
    Row,
    Verdict,
    compared,
    median_parts,
    predictions,
    verdicts,
)
from twopass.benchmarks.scale.keeping import keep_constants
from twopass.benchmarks.scale.measuring import (
    SERVER_FLAGS,
    Ingest,
    fill,
    measure,
    queries_of,
)
from twopass.benchmarks.scale.node_constants import NodeConstants, median_constants
from twopass.benchmarks.scale.page import RESULTS, check_table, parts_table, rests_table
from twopass.benchmarks.scale.tables import markdown
from twopass.client import Client
from twopass.server.local import LocalServer, orderly_end

_TIMEOUT = 600.0
# Above this part of the machine's time, what was measured is not what the machine can do.
_MOST_OTHERS = 0.03


def main(
    depth: Annotated[int, typer.Option(min=1, help="Candidates that are reranked.")] = 20,
    rounds: Annotated[
        int,
        typer.Option(
            min=1,
            help="How often costs are measured, the node is predicted and then loaded. Medians are "
            "judged. Where a machine's speed drifts, many short rounds are worth more than one "
            "long one.",
        ),
    ] = 1,
    seconds: Annotated[float, typer.Option(min=5, help="How long each load is measured.")] = 40.0,
    part: Annotated[
        list[float] | None,
        typer.Option(help="Rates, as parts of the most; repeatable. Unset: 0.25, 0.5, 0.7."),
    ] = None,
    queries: Annotated[int, typer.Option(min=20, help="Queries that are asked in turn.")] = 200,
    tolerance: Annotated[
        float, typer.Option(min=0, help="How far a prediction may be off, as a part.")
    ] = 0.15,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the arrivals of each round.")] = 1,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Write what was measured into benchmarks/results/scale.json, and into "
            "constants.json where that is of such a processor.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what a search costs here, predict one node under load, load it, and compare."""
    plan = Plan(tuple(part or (0.25, 0.5, 0.7)), seconds, seed)
    with orderly_end(), tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with (
            LocalServer(data, flags=SERVER_FLAGS) as server,
            Client(server.target, timeout=_TIMEOUT) as client,
        ):
            _say("filling a collection with the documentation of this Python")
            ingest = fill(client, server.pid, data)
            asked = queries_of(server.target, queries)
            measured: list[NodeConstants] = []
            rows: list[Row] = []
            parts: list[Part] = []
            for number in range(1, rounds + 1):
                _say(f"round {number} of {rounds}: searches one at a time, the reranker alone")
                constants = measure(client, server.target, server.pid, asked, depth)
                measured.append(constants)
                # Other arrivals in each round, so that no figure is of one row of chances.
                arriving = dataclasses.replace(plan, seed=seed + number - 1)
                for prediction in predictions(constants, arriving):
                    _say(f"round {number} of {rounds}: load: {prediction.words}")
                    judged, known = compared(
                        prediction, server.target, server.pid, asked, depth, arriving
                    )
                    _say("; ".join(map(_told, judged)))
                    rows += judged
                    parts += known
    constants = median_constants(measured)
    judgement = verdicts(rows)
    report = {
        "depth": depth,
        "rounds": rounds,
        "tolerance": tolerance,
        "machine": dataclasses.asdict(this_machine()),
        "constants": _without_lengths(constants),
        "ingest": dataclasses.asdict(ingest),
        "rows": [dataclasses.asdict(row) for row in judgement],
        "parts": [dataclasses.asdict(part) for part in median_parts(parts)],
    }
    if keep:
        _say(keep_constants(constants, ingest))
        RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print(constants, ingest, report)
    _say(_summary(judgement, tolerance))
    if not all(row.is_within(tolerance) for row in judgement):
        raise typer.Exit(1)


def _told(row: Row) -> str:
    measured = "too few answers" if row.measured is None else f"{row.measured:.1f} measured"
    return f"{row.what}: {row.predicted:.1f} predicted, {measured}"


def _summary(rows: list[Verdict], tolerance: float) -> str:
    off = [f"{row.what} at {row.load}" for row in rows if not row.is_within(tolerance)]
    text = f"all {len(rows)} figures are within {tolerance:.0%}"
    if off:
        text = f"{len(off)} of {len(rows)} are off by more than {tolerance:.0%}: {'; '.join(off)}"
    others = max(row.others + row.stolen for row in rows)
    if others > _MOST_OTHERS:
        text += f". Other programs used up to {others:.0%} of the cores: try a quiet machine"
    return text


def _say(text: str) -> None:
    typer.echo(f"# {text}", err=True)


def _print(constants: NodeConstants, ingest: Ingest, report: dict[str, Any]) -> None:
    rows = _constant_rows(constants, ingest, report["depth"])
    typer.echo("\n".join(this_machine().lines()) + "\n")
    typer.echo(markdown(("constant", "value"), rows))
    typer.echo("")
    typer.echo(rests_table(report["constants"]["rests"]))
    typer.echo("")
    typer.echo(parts_table(report["parts"]))
    typer.echo("")
    typer.echo(check_table(report["rows"], report["tolerance"]))


def _constant_rows(constants: NodeConstants, ingest: Ingest, depth: int) -> list[tuple[str, str]]:
    return [
        ("cores", f"{constants.num_cores}"),
        ("documents", f"{ingest.num_documents:,}"),
        ("ingest with embedding, core-ms a document", f"{ingest.core_ms:.2f}"),
        ("disk, B a document", f"{ingest.disk_bytes:,.0f}"),
        ("the way through the server, core-ms a search", f"{constants.front_core_ms:.2f}"),
        ("of it its event loop's, core-ms", f"{constants.loop_core_ms:.2f}"),
        ("its tokenising, ms by the clock", f"{constants.tokenize_ms:.2f}"),
        ("its embedding, ms", f"{constants.embed_ms:.2f}"),
        ("its two lists, ms", f"{constants.retrieve_ms:.2f}"),
        ("token ids of the candidates, ms", f"{constants.load_ms:.2f}"),
        ("the rest of the server, ms", f"{constants.rest_ms:.2f}"),
        ("caller and wire, ms", f"{constants.wire_ms:.2f}"),
        ("caller, core-ms a search", f"{constants.client_core_ms:.2f}"),
        (f"tokens of a second pass of {depth}", f"{constants.mean_tokens:,.0f}"),
        ("second pass, core-us a token, all cores", f"{constants.core_us_per_token:.2f}"),
        ("the same, one core alone", f"{constants.alone_us_per_token:.2f}"),
        ("second pass beside the engine, core-ms", f"{constants.second_core_ms:.2f}"),
        ("of it its event loop's, core-ms", f"{constants.second_loop_core_ms:.2f}"),
        ("turns of the event loop a search", f"{constants.loop_turns:.1f}"),
        ("a waking thread's wait for a core, ms", f"{constants.turn_ms / 2:.2f}"),
        ("the same with one core idle, part", f"{constants.packing:.2f}"),
        ("a search of both passes, core-ms", f"{constants.core_ms:.1f}"),
    ]


def _without_lengths(constants: NodeConstants) -> dict[str, Any]:
    measured = dataclasses.asdict(constants)
    del measured["rerank_lengths"]
    return measured


if __name__ == "__main__":
    typer.run(main)
