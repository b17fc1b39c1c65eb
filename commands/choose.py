"""`twopass choose`: which reranker with which blend, judged on collections of two kinds."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

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
from twopass.commands.evaluation_tables import differences_table
from twopass.commands.options import AsJson, print_json
from twopass.commands.terminal.tables import Table, figures, names, print_table
from twopass.engines.model.folder import open_model
from twopass.evaluation.candidates import (
    Candidate,
    CandidateSets,
    candidates,
    read_candidates,
    write_candidates,
)
from twopass.evaluation.choosing import (
    KindsQuality,
    ReadSet,
    SetKind,
    chosen_blend,
    first_pass_quality,
    reranked_quality,
    tried,
)
from twopass.evaluation.comparison import Difference
from twopass.evaluation.datasets import Dataset, Part
from twopass.evaluation.runs import Answers
from twopass.server.config import ServerConfig

_HYBRID_ALONE = "hybrid alone"


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What the held-out halves say of one reranker.

    Attributes:
        reranker: Its name.
        blend: Its blend, chosen on the development halves.
        against: What it is compared with.
        differences: Of each set, each kind, and both kinds.
    """

    reranker: str
    blend: float
    against: str
    differences: Sequence[Difference]


def choose(
    folders: Folders,
    others: Annotated[
        list[Path],
        typer.Option(
            "--other",
            help="A test collection of another kind than the pairs that the rerankers were "
            "trained on; give several. Those given without it are of the same kind.",
        ),
    ],
    rerankers: Annotated[
        list[str] | None,
        typer.Option(
            "--reranker",
            help="A reranker: a shipped model, a folder or a hub id; give several. The others are "
            "compared with the first. Unset: the server's default.",
        ),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, max=2048, help="Candidates of hybrid search that are reranked.")
    ] = 50,
    max_queries: MaxQueries = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries under way at once.")] = 2,
    data: KeptData = None,
    as_json: AsJson = False,
) -> None:
    """Choose a reranker and its blend on test collections of two kinds.

    Each reranker reads the candidates of hybrid search once. Of the blends whose mean nDCG@10 on
    the development halves, both kinds counting the same, is within one standard error of the
    highest, the one nearest the first pass is chosen; the held-out halves then tell how each
    reranker at its blend differs from hybrid search alone, and from the first reranker (paired
    randomisation test).

    --data keeps candidates and logits beside the corpora, in candidates/: a reranker that was
    measured before is not asked again, so remove that folder when the first pass has changed.
    --max-queries counts for each half.
    """
    names = rerankers or [ServerConfig().reranker]
    kinds = {**dict.fromkeys(folders, SetKind.TRAINED), **dict.fromkeys(others, SetKind.OTHER)}
    halves = {
        part: load_datasets(list(kinds), max_queries, part)
        for part in (Part.DEVELOPMENT, Part.HELD_OUT)
    }
    flags = ("--reranker", names[0], *(f for name in names[1:] for f in ("--more-models", name)))
    flags += room_for_queries([dataset for half in halves.values() for dataset in half])
    kept = None if data is None else data / "candidates"
    with evaluation_run(data, flags, concurrency) as run:
        development, held_out = (
            [
                _read(run, dataset, kind, names, depth, kept)
                for dataset, kind in zip(halves[part], kinds.values(), strict=True)
            ]
            for part in halves
        )
    measured = tried(development, depth)
    chosen = {name: chosen_blend(by_blend) for name, by_blend in measured.items()}
    first_pass = first_pass_quality(held_out, depth)
    after = {name: reranked_quality(held_out, depth, name, blend) for name, blend in chosen.items()}
    reports = [
        Report(name, chosen[name], against, found.differences(before))
        for name, found in after.items()
        for against, before in ((_HYBRID_ALONE, first_pass), (names[0], after[names[0]]))
        if name != against
    ]
    if as_json:
        print_json(
            {
                "development": {
                    name: {f"{blend:g}": _means(found) for blend, found in by_blend.items()}
                    for name, by_blend in measured.items()
                },
                "held_out": [dataclasses.asdict(report) for report in reports],
            }
        )
    else:
        for name, by_blend in measured.items():
            print_table(_tried_table(name, by_blend, chosen[name]))
        for report in reports:
            title = f"held out: {report.reranker}, blend {report.blend:g}"
            print_table(differences_table(report.differences, report.against, "both passes", title))


def _read(
    run: EvaluationRun,
    dataset: Dataset,
    kind: SetKind,
    rerankers: Sequence[str],
    depth: int,
    kept: Path | None,
) -> ReadSet:
    """Has every reranker read the candidates of a collection's queries."""
    read: dict[str, CandidateSets] = {}
    for name in rerankers:
        file = None
        if kept is not None:
            revision = open_model(name).spec.revision
            file = kept / f"{dataset.name}-{depth}-{revision[:16]}.jsonl"
        known = {} if file is None else read_candidates(file)
        missing = {q: text for q, text in dataset.queries.items() if q not in known}
        if missing:
            some = dataclasses.replace(dataset, queries=missing)
            answers = run.search(some, run.index(dataset), "hybrid", depth, Rerank(model=name))
            known |= _candidates(answers)
            if file is not None:
                write_candidates(file, known)
        read[name] = {query: known[query] for query in dataset.queries}
    return ReadSet(dataset, kind, read)


def _candidates(answers: Answers) -> dict[str, list[Candidate]]:
    return {query: candidates(result) for query, result in answers.items()}


def _means(found: KindsQuality) -> dict[str, float]:
    return {
        **{name: quality.ndcg for name, quality in found.sets.items()},
        **{f"mean, {kind}": quality.ndcg for kind, quality in found.kinds.items()},
        "mean of kinds": found.both.ndcg,
    }


def _tried_table(name: str, by_blend: Mapping[float, KindsQuality], chosen: float) -> Table:
    """A reranker at every blend: sets and means below each other, the chosen blend's column bold.

    A blend a column, and no zero before the point, so that many stand beside each other.
    """
    table = Table(
        [*names(""), *figures(*(f"{blend:g}" for blend in by_blend))],
        title=f"{name}, development: nDCG@10 by blend",
        num_names=1,
    )
    means = {blend: _means(found) for blend, found in by_blend.items()}
    for row in next(iter(means.values())):
        figures_of_row = (
            Text(f"{mean[row]:.3f}".removeprefix("0")[:4], style="bold" if blend == chosen else "")
            for blend, mean in means.items()
        )
        table.add(row, *figures_of_row)
    return table
