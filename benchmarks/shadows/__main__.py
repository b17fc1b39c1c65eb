"""`python -m twopass.benchmarks.shadows FOLDER`: how soon shadows tell better from worse."""

import random
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import MofNCompleteColumn
from rich.table import Table

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.shadows.orders import (
    SIGNIFICANT,
    num_false_alarms,
    over_orders,
)
from twopass.benchmarks.shadows.planted import plant_negated, plant_shuffled
from twopass.benchmarks.shadows.trial import (
    Arm,
    Found,
    K,
    quality_of,
    search_until_found,
)
from twopass.client import Client, Rerank
from twopass.commands.terminal.progress import progress_bar
from twopass.evaluation.datasets import Dataset, DatasetError, load_dataset
from twopass.evaluation.runs import index_dataset
from twopass.server.feedback.database import FILE_NAME
from twopass.server.local import LocalServer

_GOOD, _BAD = "good", "bad"
_THREE, _SIX = "twopass-minilm-l3", "twopass-minilm-l6"


def main(
    folder: Annotated[Path, typer.Argument(help="Test collection in BEIR's form, with qrels.")],
    queries: Annotated[int, typer.Option(min=10, help="Most queries.")] = 200,
    orders: Annotated[
        int, typer.Option(min=1, help="Random orders that a real server goes through.")
    ] = 3,
    most: Annotated[int, typer.Option(min=10, help="Most queries of each of these.")] = 40,
    simulated: Annotated[int, typer.Option(min=10, help="Simulated orders.")] = 200,
    runs: Annotated[int, typer.Option(min=100, help="Simulated shadows without a difference.")] = (
        2_000
    ),
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
) -> None:
    """Plants rerankers and counts the judged queries until shadow comparisons find them.

    A real server answers the queries of a test collection with both passes, is sent the qrels as
    judgements, and is asked after each query what it says of its shadows. Many more orders of the
    same queries are gone through without a server, by the same test.
    """
    console = Console()
    try:
        dataset = load_dataset(folder, queries)
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="twopass-shadows-") as temporary:
        planted = Path(temporary)
        arms = _arms(str(plant_negated(planted)), str(plant_shuffled(planted)))
        data = planted / "data"
        differences = _measured(data, dataset, arms)
        found = [
            _searched(data, dataset, arms, random.Random(seed + i), most)  # noqa: S311
            for i in range(orders)
        ]
    for line in this_machine().lines():
        console.print(line, highlight=False)
    console.print(_table(dataset, arms, differences, found, simulated, seed))
    console.print(_alarms(differences, arms, runs, seed))


def _arms(negated: str, shuffled: str) -> tuple[Arm, ...]:
    return (
        Arm("negated", "default -> its logits negated, blend 0", _GOOD, "", negated, 0.0),
        Arm("shuffled", "default -> its weights shuffled, blend 0", _GOOD, "", shuffled, 0.0),
        Arm("six", "default (3 layers) -> 6 layers", _GOOD, "", _SIX),
        Arm("rescue", "weights shuffled, blend 0 -> default", _BAD, shuffled, _THREE, None, 0.0),
    )


def _flags(arms: Sequence[Arm]) -> tuple[str, ...]:
    models = dict.fromkeys(m for arm in arms for m in (arm.live, arm.shadow) if m)
    flags = ["--feedback-settle-seconds", "0"]
    for model in models:
        flags += ["--more-models", model]
    for arm in arms:
        flags += ["--shadow", arm.setting]
    return tuple(flags)


def _measured(
    data: Path, dataset: Dataset, arms: Sequence[Arm]
) -> Mapping[str, NDArray[np.float64]]:
    """The differences in nDCG@10 of each arm, shadow less live, query by query.

    They come of searches that name the model, so that the shadows have to come to the same.
    """
    # Without shadows, which would run beside the searches.
    models = _flags(arms)[: -2 * len(arms)]
    with LocalServer(data, flags=models) as server, Client(server.target) as client:
        with progress_bar(MofNCompleteColumn()) as progress:
            task = progress.add_task("indexing", total=len(dataset.documents))
            collection = index_dataset(
                client, dataset, lambda done: progress.update(task, completed=done)
            )
        client.rename_collection(collection, _GOOD)
        client.create_snapshot(_GOOD, "copy", timeout=600)
        client.restore_snapshot(_GOOD, "copy", _BAD, timeout=600)
        ways = dict.fromkeys(
            way for arm in arms for way in ((arm.live, arm.live_blend), (arm.shadow, arm.blend))
        )
        quality: dict[tuple[str, float | None], NDArray[np.float64]] = {}
        with progress_bar(MofNCompleteColumn()) as progress:
            task = progress.add_task("searching", total=len(ways) * len(dataset.queries))
            for model, blend in ways:
                rerank = Rerank(model=model or None, blend=blend)
                quality[model, blend] = quality_of(
                    client, dataset, _GOOD, rerank, lambda: progress.advance(task)
                )
    return {
        arm.name: quality[arm.shadow, arm.blend] - quality[arm.live, arm.live_blend] for arm in arms
    }


def _searched(
    data: Path, dataset: Dataset, arms: Sequence[Arm], chance: random.Random, most: int
) -> Mapping[str, Found]:
    """What a server with shadows says after searches in one random order."""
    for file in data.glob(f"{FILE_NAME}*"):
        file.unlink()
    order = chance.sample(list(dataset.queries), min(most, len(dataset.queries)))
    with (
        LocalServer(data, flags=_flags(arms)) as server,
        Client(server.target) as client,
        progress_bar(MofNCompleteColumn()) as progress,
    ):
        task = progress.add_task("judging", total=len(order))
        return search_until_found(client, dataset, arms, order, lambda: progress.advance(task))


def _table(
    dataset: Dataset,
    arms: Sequence[Arm],
    differences: Mapping[str, NDArray[np.float64]],
    found: Sequence[Mapping[str, Found]],
    simulated: int,
    seed: int,
) -> Table:
    table = Table(
        title=f"Judged queries until p < {SIGNIFICANT:g}, looked at after each: {dataset.name}, "
        f"{len(dataset.queries):,} queries, k {K}"
    )
    table.add_column("live -> shadow")
    for head in ("nDCG@10 diff.", "real server", f"median of {simulated:,}", "5% to 95%", "never"):
        table.add_column(head, justify="right")
    for arm in arms:
        told = over_orders(differences[arm.name], simulated, seed)
        sure = sorted(int(count) for count in told if count)
        real = ", ".join(
            f"{one[arm.name].num_queries}"
            if one[arm.name].is_sure
            else f"> {one[arm.name].num_queries}"
            for one in found
        )
        spread = "" if not sure else f"{_at(sure, 0.05)} to {_at(sure, 0.95)}"
        table.add_row(
            arm.says,
            f"{differences[arm.name].mean():+.3f}",
            real,
            f"{statistics.median(sure):g}" if sure else "",
            spread,
            f"{simulated - len(sure)}",
        )
    return table


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _alarms(
    differences: Mapping[str, NDArray[np.float64]], arms: Sequence[Arm], runs: int, seed: int
) -> str:
    lines = []
    for arm in arms:
        of = differences[arm.name]
        alarms = num_false_alarms(of, runs, len(of), seed)
        lines.append(
            f"no difference, spread as of {arm.name}: {alarms} of {runs:,} called better or worse "
            f"within {len(of):,} looks ({100 * alarms / runs:.2f}%)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
