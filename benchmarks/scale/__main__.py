"""`make scale`: one node, predicted from constants measured on this machine, and then loaded.

Exits with 1 where a prediction is off by more than `--tolerance`.
"""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.scale.checking import Plan, Row, compared, predictions
from twopass.benchmarks.scale.constants import CONSTANTS_FILE
from twopass.benchmarks.scale.measuring import (
    SERVER_FLAGS,
    Ingest,
    fill,
    measure,
    queries_of,
)
from twopass.benchmarks.scale.node import NodeConstants
from twopass.benchmarks.scale.page import RESULTS, check_table
from twopass.benchmarks.scale.tables import markdown
from twopass.client import Client
from twopass.server.local import LocalServer, orderly_end

_TIMEOUT = 600.0
# Above this part of the machine's time, what was measured is not what the machine can do.
_MOST_OTHERS = 0.03


def main(
    depth: Annotated[int, typer.Option(min=1, help="Candidates that are reranked.")] = 20,
    seconds: Annotated[
        float, typer.Option(min=5, help="How long each load is measured; five minutes in all.")
    ] = 40.0,
    part: Annotated[
        list[float] | None,
        typer.Option(help="Rates, as parts of the most; repeatable. Unset: 0.25, 0.5, 0.7."),
    ] = None,
    queries: Annotated[int, typer.Option(min=20, help="Queries that are asked in turn.")] = 200,
    tolerance: Annotated[
        float, typer.Option(min=0, help="How far a prediction may be off, as a part.")
    ] = 0.15,
    seed: Annotated[int, typer.Option(min=0, help="Fixes the arrivals.")] = 1,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Write what was measured into constants.json and benchmarks/results/scale.json.",
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
            _say("measuring searches one at a time, and the reranker alone")
            constants = measure(client, server.target, server.pid, asked, depth)
            rows: list[Row] = []
            for prediction in predictions(constants, plan):
                _say(f"load: {prediction.words}")
                rows += compared(prediction, server.target, server.pid, asked, depth, plan)
    if keep:
        _keep(constants, ingest)
        report = {"depth": depth, **_as_json(constants, ingest, rows)}
        RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(_as_json(constants, ingest, rows), indent=2))
    else:
        _print(constants, ingest, rows, depth)
    if not all(row.is_within(tolerance) for row in rows):
        _say(_verdict(rows, tolerance))
        raise typer.Exit(1)


def _verdict(rows: list[Row], tolerance: float) -> str:
    off = [f"{row.what} at {row.load}" for row in rows if not row.is_within(tolerance)]
    text = f"off by more than {tolerance:.0%}: {'; '.join(off)}"
    others = max(row.others for row in rows)
    if others > _MOST_OTHERS:
        text += f". Other programs used up to {others:.0%} of the cores: try a quiet machine"
    return text


def _say(text: str) -> None:
    typer.echo(f"# {text}", err=True)


def _print(constants: NodeConstants, ingest: Ingest, rows: list[Row], depth: int) -> None:
    typer.echo("\n".join(this_machine().lines()) + "\n")
    typer.echo(markdown(("constant", "value"), _constant_rows(constants, ingest, depth)))
    typer.echo("")
    typer.echo(check_table(_rows_as_json(rows)))


def _constant_rows(constants: NodeConstants, ingest: Ingest, depth: int) -> list[tuple[str, str]]:
    return [
        ("cores", f"{constants.num_cores}"),
        ("documents", f"{ingest.num_documents:,}"),
        ("ingest with embedding, core-ms a document", f"{ingest.core_ms:.2f}"),
        ("disk, B a document", f"{ingest.disk_bytes:,.0f}"),
        ("first pass, core-ms a search", f"{constants.front_core_ms:.2f}"),
        ("its tokenising, ms by the clock", f"{constants.tokenize_ms:.2f}"),
        ("its embedding, ms", f"{constants.embed_ms:.2f}"),
        ("its two lists, ms", f"{constants.retrieve_ms:.2f}"),
        ("token ids of the candidates, ms", f"{constants.load_ms:.2f}"),
        ("the rest of the server, ms", f"{constants.rest_ms:.2f}"),
        ("caller and wire, ms", f"{constants.wire_ms:.2f}"),
        ("caller, core-ms a search", f"{constants.client_core_ms:.2f}"),
        (f"tokens of a second pass of {depth}", f"{constants.mean_tokens:,.0f}"),
        ("second pass, core-us a token", f"{constants.core_us_per_token:.2f}"),
        ("second pass beyond computing, ms", f"{constants.rerank_delay_ms:.2f}"),
        ("a search after a pause, by one without", f"{constants.after_pause:.2f}"),
        ("a search of both passes, core-ms", f"{constants.core_ms:.1f}"),
    ]


def _as_json(constants: NodeConstants, ingest: Ingest, rows: list[Row]) -> dict[str, object]:
    measured = dataclasses.asdict(constants)
    del measured["rerank_lengths"]
    return {
        "machine": dataclasses.asdict(this_machine()),
        "constants": measured,
        "ingest": dataclasses.asdict(ingest),
        "rows": _rows_as_json(rows),
    }


def _rows_as_json(rows: list[Row]) -> list[dict[str, Any]]:
    return [{**dataclasses.asdict(row), "error": row.error} for row in rows]


def _keep(constants: NodeConstants, ingest: Ingest) -> None:
    """Writes constants into the committed file, with the machine and the commit."""
    read = json.loads(CONSTANTS_FILE.read_text(encoding="utf-8"))
    machine = this_machine()
    where = f"{machine.cpu}, {machine.num_cores} cores, at {machine.commit or 'no commit'}"
    part = constants.working_part
    depth = len(constants.rerank_lengths[0])
    values = {
        "front_core_ms": constants.front_core_ms
        - part * (
            constants.retrieve_ms + constants.load_ms + constants.num_cores * constants.embed_ms
        ),
        "embed_core_ms": part * constants.num_cores * constants.embed_ms,
        "load_core_ms": part * constants.load_ms * 50 / depth,
        "client_core_ms": constants.client_core_ms,
        "ingest_core_ms": ingest.core_ms,
        "rerank_core_us_per_token": constants.core_us_per_token,
        "tokens_per_pair": constants.mean_tokens / depth,
    }  # fmt: skip
    for name, value in values.items():
        figure = read["constants"][name]
        figure["value"] = float(f"{value:.3g}")
        figure["where"] = f"{figure['where'].partition('; ')[0]}; {where}"
    CONSTANTS_FILE.write_text(json.dumps(read, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
