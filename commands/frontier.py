"""`twopass frontier`: the quality of each way of searching, and its cost in milliseconds."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from twopass.client import Rerank
from twopass.commands.evaluation_run import (
    EvaluationRun,
    Folders,
    KeptData,
    MaxQueries,
    evaluation_run,
    load_datasets,
    room_for_queries,
)
from twopass.commands.options import AsJson, print_json
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.tables import Table, figures, names, print_table
from twopass.engines.installing import how_to_install
from twopass.evaluation.datasets import Dataset, Part
from twopass.evaluation.frontier import Point, Way, point, ways
from twopass.server.config import ServerConfig

_DEPTHS = [10, 20, 50, 100]


def frontier(
    folders: Folders,
    depths: Annotated[
        list[int] | None,
        typer.Option("--depth", min=1, max=2048, help="Rerank depths. Unset: 10, 20, 50, 100."),
    ] = None,
    rerankers: Annotated[
        list[str] | None,
        typer.Option("--reranker", help="Rerankers to compare. Unset: the server's default."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="PNG file to draw, which needs matplotlib; unset: none.")
    ] = None,
    part: Annotated[Part, typer.Option(help="Which queries.")] = Part.ALL,
    max_queries: MaxQueries = None,
    data: KeptData = None,
    as_json: AsJson = False,
) -> None:
    """Measure nDCG@10 and milliseconds of the first pass alone and of both passes, by rerank depth.

    Times are of one query at a time, in the server, without the network. The table shows the mean
    over the collections, each with the same weight.
    """
    if picture is not None and importlib.util.find_spec("matplotlib") is None:
        exit_with(f"matplotlib is not installed: {how_to_install('bench')}")
    names = rerankers or [ServerConfig().reranker]
    flags = ("--reranker", names[0], *(f for name in names[1:] for f in ("--more-models", name)))
    datasets = load_datasets(folders, max_queries, part)
    flags += room_for_queries(datasets)
    with evaluation_run(data, flags, concurrency=1) as run:
        collections = {dataset.name: run.index(dataset) for dataset in datasets}
        points = [
            _measured(run, way, datasets, collections) for way in ways(depths or _DEPTHS, names)
        ]
    if picture is not None:
        from twopass.evaluation.picture import save_frontier

        sets = ", ".join(dataset.name for dataset in datasets)
        save_frontier(points, f"{sets} ({part} queries)", picture)
    if as_json:
        print_json([dataclasses.asdict(one) for one in points])
    else:
        print_table(_table(points))


def _measured(
    run: EvaluationRun, way: Way, datasets: list[Dataset], collections: dict[str, str]
) -> Point:
    rerank = None if way.reranker is None else Rerank(model=way.reranker)
    answers = [
        (d, run.search(d, collections[d.name], way.mode, way.depth, rerank)) for d in datasets
    ]
    return point(way, answers)


def _table(points: list[Point]) -> Table:
    columns = [*names("way"), *figures("depth", "nDCG@10", "ms")]
    table = Table(columns, title="quality and time of a search", num_names=1)
    for one in points:
        depth = "" if one.way.reranker is None else str(one.way.depth)
        table.add(one.way.series, depth, f"{one.ndcg:.3f}", f"{one.milliseconds:.1f}")
    return table
