"""`twopass calibrate`: what scores mean on judged queries, and thresholds on them."""

import dataclasses
import importlib.util
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from twopass.client import Client, Collection, Rerank, RetrieveMode, SearchDefaults
from twopass.commands.calibration_pairs import is_of_pairs, scored_pairs
from twopass.commands.calibration_tables import print_report
from twopass.commands.evaluation_run import EvaluationRun, load_judged
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.sentences import say_beside
from twopass.engines.installing import how_to_install
from twopass.evaluation.calibration.model_folder import write_calibration
from twopass.evaluation.calibration.pairs import JudgedPairs, Unjudged, pairs_of_answers
from twopass.evaluation.calibration.report import (
    CalibrationReport,
    TooFewJudgementsError,
    Unit,
    Wanted,
    calibrated,
)
from twopass.evaluation.datasets import Dataset, DatasetError, Part, load_queries
from twopass.evaluation.runs import EvaluationError

Precision = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Choose the lowest threshold that reaches this precision, such as 0.9."
    ),
]


def calibrate(
    judgements: Annotated[
        Path,
        typer.Argument(
            help="What was judged: a file of judgements, as the page /ui saves it; a folder of "
            "queries.jsonl and qrels.tsv in BEIR form; or a file of pairs, JSON lines of query, "
            "passage and relevant (0 or 1)."
        ),
    ],
    collection: Annotated[
        str,
        typer.Option(
            help="The collection of the running server that holds the documents; unset: the one "
            "that a file of judgements names."
        ),
    ] = "",
    reranker: Annotated[
        str | None,
        typer.Option(
            help="The reranker: an id of the running server, or with a file of pairs also a "
            "model's folder; unset: the default."
        ),
    ] = None,
    precision: Precision = None,
    recall: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Choose the highest threshold that reaches this recall instead."
        ),
    ] = None,
    of: Annotated[
        Unit,
        typer.Option(
            help="What precision and recall count: answers, each query by its hit of the greatest "
            "score; or hits, each on its own."
        ),
    ] = Unit.ANSWERS,
    sure: Annotated[
        bool,
        typer.Option(
            "--sure",
            help="Choose so that the lower end of the precision's interval reaches it: stricter, "
            "and so it is reached more often than not.",
        ),
    ] = False,
    unjudged: Annotated[
        Unjudged,
        typer.Option(
            help="What a hit counts as that nobody judged: leave-out counts judged hits alone; "
            "irrelevant makes every figure a lower bound, and is right where all that is relevant "
            "was judged."
        ),
    ] = Unjudged.LEAVE_OUT,
    mode: Annotated[
        RetrieveMode | None,
        typer.Option("--mode", "-m", help="How candidates are found; unset: as callers find them."),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", min=1, max=2048, help="How many candidates are found and scored.")
    ] = 50,
    max_queries: Annotated[
        int | None, typer.Option(min=1, help="Use only this many queries; unset: all.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw the reliability curve into this file, .svg or .png; unset: none."),
    ] = None,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            help="Store what was found: the threshold among the collection's search defaults; with "
            "a file of pairs and a folder as --reranker, the calibration in the folder.",
        ),
    ] = False,
    as_min_score: Annotated[
        bool,
        typer.Option(
            "--as-min-score",
            help="With --save, store the threshold as min score: hits below it are left out.",
        ),
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries under way at once.")] = 2,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Fit scores to judged queries, and find the threshold for a wanted precision or recall.

    Fits a and b of score = sigmoid(a * logit + b), and chooses the threshold, on one half of the
    queries; tells how both do on the other half, with intervals of 95 %. At least 10 relevant and
    10 irrelevant hits are needed in either half, and 100 queries for figures that say much: a
    precision of 0.9 to within 0.05 takes about 140 accepted answers.

        twopass calibrate judgements-docs.jsonl --precision 0.9
        twopass calibrate judgements-docs.jsonl --precision 0.9 --save
        twopass calibrate pairs.jsonl --reranker ./my-reranker --precision 0.9 --save
    """
    if precision is not None and recall is not None:
        exit_with("--precision, --recall: give one of them", USAGE)
    if as_min_score and not save:
        exit_with("--as-min-score: says what --save stores; give both", USAGE)
    has_pairs = is_of_pairs(judgements)
    if save:
        is_chosen = precision is not None or recall is not None
        problem = _why_not_saved(has_pairs, reranker, is_chosen, as_min_score)
        if problem:
            exit_with(f"--save: {problem}", USAGE)
    if picture is not None and importlib.util.find_spec("matplotlib") is None:
        exit_with(f"matplotlib is not installed: {how_to_install('bench')}")
    wanted = Wanted(precision=precision, recall=recall, unit=of, sure=sure)
    with ExitStack() as stack:
        found: Collection | None = None
        client: Client | None = None
        if has_pairs:
            pairs = scored_pairs(judgements, reranker, target)
            name = judgements.name
        else:
            client = stack.enter_context(connected(target))
            dataset = _dataset(judgements, collection, max_queries)
            found = client.get_collection(dataset.collection)
            asked = Rerank(model=reranker, enabled=True, min_score=0.0, depth=k)
            pairs = _searched(EvaluationRun(client, concurrency), dataset, mode, k, asked, unjudged)
            name = found.name
        try:
            report = calibrated(pairs, wanted)
        except TooFewJudgementsError as error:
            exit_with(f"{judgements}: {error}{_other_way(pairs, unjudged)}")
        if picture is not None:
            _draw(name, report, picture)
        if as_json:
            print_json(
                dataclasses.asdict(report) | {"calibrated_threshold": report.calibrated_threshold()}
            )
        else:
            print_report(name, report, wanted, unjudged)
            if report.threshold is not None and found is not None and not save:
                say_beside(
                    "nothing was written; --save keeps the threshold among the search defaults "
                    f"of {name}"
                )
        if save:
            _save(report, client, found, reranker, as_min_score=as_min_score)


def _why_not_saved(
    has_pairs: bool, reranker: str | None, is_chosen: bool, as_min_score: bool
) -> str:
    """Why nothing that may be found could be stored; "" where it can be."""
    if not has_pairs and not is_chosen:
        return (
            "a collection keeps a threshold, and no calibration of its own: give --precision or "
            "--recall"
        )
    if has_pairs and not (reranker and Path(reranker).is_dir()):
        return (
            "with a file of pairs, --reranker must be a model's folder, which the calibration is "
            "written into"
        )
    if has_pairs and as_min_score:
        return "--as-min-score is for collections; a model's folder keeps an answer threshold"
    return ""


def _dataset(judgements: Path, collection: str, max_queries: int | None) -> Dataset:
    """What was judged, of the documents of a running server's collection."""
    if judgements.is_file():
        datasets = load_judged(
            [judgements], collection, max_queries, Part.ALL, without_relevant=True
        )
        if len(datasets) > 1:
            names = ", ".join(dataset.collection for dataset in datasets)
            exit_with(
                f"{judgements}: judgements of several collections, {names}; give --collection"
            )
        return datasets[0]
    if not judgements.exists():
        exit_with(
            f"{judgements}: there is no such file or folder; the page /ui saves what was judged on "
            "it as judgements-COLLECTION.jsonl",
            USAGE,
        )
    if not collection:
        exit_with("--collection: needed with a folder, whose documents a collection holds", USAGE)
    try:
        return load_queries(judgements, collection, max_queries)
    except DatasetError as error:
        exit_with(error)


def _searched(
    run: EvaluationRun,
    dataset: Dataset,
    mode: RetrieveMode | None,
    k: int,
    rerank: Rerank,
    unjudged: Unjudged,
) -> JudgedPairs:
    try:
        answers = run.search(dataset, dataset.collection, mode, k, rerank)
    except EvaluationError as error:
        exit_with(error)
    return pairs_of_answers(answers, dataset.qrels, unjudged)


def _other_way(pairs: JudgedPairs, unjudged: Unjudged) -> str:
    if unjudged is Unjudged.IRRELEVANT or not pairs.num_unjudged:
        return ""
    return (
        f". {pairs.num_unjudged:,} hits that nobody judged were left out; --unjudged irrelevant "
        "counts them as irrelevant, which makes every figure a lower bound"
    )


def _draw(name: str, report: CalibrationReport, file: Path) -> None:
    from twopass.evaluation.calibration.picture import save_picture  # the extra's packages

    try:
        save_picture([(name, report)], f"{name}: scores on judged queries", file)
    except (OSError, ValueError) as error:
        exit_with(f"--picture: {error}")


def _save(
    report: CalibrationReport,
    client: Client | None,
    collection: Collection | None,
    reranker: str | None,
    *,
    as_min_score: bool,
) -> None:
    chosen_by = f"twopass calibrate, {report.num_queries:,} judged queries, {_today()}"
    if client is None or collection is None:
        if report.a <= 0:
            exit_with(
                f"--save: a is {report.a:.4g}: the relevant pairs have no greater logits than the "
                "others, and scores would fall as logits rise. Nothing was written"
            )
        file = write_calibration(
            Path(reranker or ""), report.a, report.b, report.calibrated_threshold()
        )
        say_beside(f"written into {file}; servers read it when they start")
        return
    if report.threshold is None:
        exit_with("--save: no threshold reaches what was asked for, so nothing was stored")
    problem = collection.search_defaults_problem
    before = (not problem and collection.search_defaults) or SearchDefaults()
    if reranker is not None and reranker != before.reranker:
        before = dataclasses.replace(
            before, reranker=reranker, reranker_revision=None, blend=None, min_score=None
        )
    score = report.threshold.score
    chosen = (
        dataclasses.replace(before, min_score=score, chosen_by=chosen_by)
        if as_min_score
        else dataclasses.replace(before, answer_threshold=score, chosen_by=chosen_by)
    )
    kept = client.set_search_defaults(collection.name, chosen)
    field = "min score" if as_min_score else "answer threshold"
    say_beside(
        f"{kept.name}: {field} {score:.4f} is set; "
        + ("what was set before could not be applied and is gone" if problem else "the rest stays")
    )


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
