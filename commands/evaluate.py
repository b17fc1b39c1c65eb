"""`twopass eval`: quality of each retrieval mode, before and after the second pass."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from twopass.client import Rerank
from twopass.commands.evaluation_gates import (
    Against,
    AllowOtherCorpus,
    FailAboveMs,
    FailBelow,
    Junit,
    Markdown,
    SaveBaseline,
    Tolerance,
    check_comparable,
    pass_gates,
    read_gates,
)
from twopass.commands.evaluation_run import (
    EvaluationRun,
    KeptData,
    MaxQueries,
    evaluation_of_running,
    evaluation_run,
    load_datasets,
    load_judged,
    room_for_queries,
)
from twopass.commands.evaluation_tables import Measure, evaluation_table, settings_table
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, print_json
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.sentences import say_beside
from twopass.commands.terminal.tables import print_table
from twopass.evaluation.baseline import measured_set
from twopass.evaluation.blends import blend_quality
from twopass.evaluation.candidates import candidates
from twopass.evaluation.datasets import Dataset, Part
from twopass.evaluation.fusions import FirstPasses, fusion_quality
from twopass.evaluation.heads import head_quality
from twopass.evaluation.measures import Evaluation, evaluation, first_pass_orders, judged_share
from twopass.evaluation.runs import Answers, search_beyond, write_run
from twopass.server.config import ServerConfig
from twopass.server.config_values import RetrieveMode
from twopass.server.models.passages import Truncation

Corpora = Annotated[
    list[Path],
    typer.Argument(
        help="Test collections in BEIR form, which are folders of corpus, queries and qrels.tsv; "
        "or a file of judgements, as the page /ui saves it, of collections of a running server."
    ),
]


def evaluate(
    corpora: Corpora,
    depths: Annotated[
        list[int] | None,
        typer.Option(
            "--depth",
            min=1,
            max=2048,
            help="Rerank depth to measure; give several to sweep. The first pass finds as many "
            "candidates as the greatest depth. Unset: 50.",
        ),
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Whether to run the second pass too.")
    ] = True,
    modes: Annotated[
        list[RetrieveMode] | None,
        typer.Option("--mode", help="How candidates are found; give several. Unset: all three."),
    ] = None,
    fusions: Annotated[
        bool,
        typer.Option("--fusions", help="Compare ways of fusing instead, without a second pass."),
    ] = False,
    blends: Annotated[
        bool,
        typer.Option(
            "--blends",
            help="Compare weights of the first pass in the final order instead, in hybrid search.",
        ),
    ] = False,
    heads: Annotated[
        bool,
        typer.Option(
            "--heads",
            help="Compare how many heads of each list are candidates instead, in hybrid search, "
            "as shares of the candidates.",
        ),
    ] = False,
    measure: Annotated[
        Measure, typer.Option(help="What the table shows; JSON has all of them.")
    ] = Measure.NDCG,
    reranker: Annotated[
        str | None, typer.Option(help="The reranker's id; unset: the server's default.")
    ] = None,
    language: Annotated[
        str,
        typer.Option(
            help="Language of the texts, an ISO 639-1 code such as en: endings of words are "
            "removed for search by words; none: words are searched as they stand; unset: the "
            "server's default."
        ),
    ] = "",
    truncation: Annotated[
        Truncation, typer.Option(help="What the second pass reads of a passage that is too long.")
    ] = Truncation.TRUNCATE,
    max_passage_tokens: Annotated[
        int, typer.Option(min=0, help="Longest passage in tokens; 0: the reranker's own limit.")
    ] = 0,
    runs: Annotated[
        Path | None, typer.Option(help="Folder for the orders, as TREC run files; unset: none.")
    ] = None,
    part: Annotated[
        Part,
        typer.Option(help="Which queries: settings are chosen on one half, reported on the other."),
    ] = Part.ALL,
    max_queries: MaxQueries = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries under way at once.")] = 2,
    data: KeptData = None,
    store: Annotated[
        str,
        typer.Option(
            help="Index the corpora into this store instead, such as postgresql://user@host/db or "
            "milvus://host:19530, where they stay as collections eval-NAME; unset: a folder.",
        ),
    ] = "",
    target: Target = DEFAULT_TARGET,
    collection: Annotated[
        str,
        typer.Option(help="With a file of judgements: the collection; unset: that of each line."),
    ] = "",
    fail_below: FailBelow = None,
    fail_above_ms: FailAboveMs = None,
    against: Against = None,
    tolerance: Tolerance = 0.0,
    allow_other_corpus: AllowOtherCorpus = False,
    save_baseline: SaveBaseline = None,
    junit: Junit = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Measure nDCG@10 of dense, lexical and hybrid retrieval, before and after the second pass.

    Starts a server, indexes each corpus and searches each judged query once in each mode; with a
    file of judgements it searches the collections of the running server at --target. Judged
    passages that the first pass misses stay missing. Marks show what differs significantly from the
    dense first pass (paired randomisation test of nDCG@10, p < 0.05).

    Of a query that is longer than a model reads, it reads the beginning; such queries are counted.

    Gates for a pipeline: the exit status is 5 where quality is below --fail-below, or worse than
    --against beyond chance: by the same test, query by query, p < 0.05 after Holm's correction for
    the number of comparisons.

        twopass eval my-set --mode hybrid --save-baseline baseline.json
        twopass eval my-set --mode hybrid --against baseline.json --fail-below ndcg@10=0.80
    """
    gates = read_gates(
        fail_below=fail_below,
        fail_above_ms=fail_above_ms,
        against=against,
        tolerance=tolerance,
        allow_other_corpus=allow_other_corpus,
        save_baseline=save_baseline,
        junit=junit,
        markdown=markdown,
    )
    if gates.are_asked_for and (fusions or blends or heads):
        exit_with(
            "--fusions, --blends, --heads: compare settings, of which no gate is asked; leave out "
            "either these or the gates",
            USAGE,
        )
    depths = sorted(set(depths or [50]))
    flags = (
        *("--max-passage-tokens", str(max_passage_tokens)),
        *(("--reranker", reranker) if reranker else ()),
        *(("--store", store) if store else ()),
    )
    files = [path for path in corpora if path.is_file()]
    running: AbstractContextManager[EvaluationRun]
    if files:
        if len(files) < len(corpora):
            exit_with("give test collections or files of judgements, not both at once")
        needs_corpus = {
            "--fusions": fusions,
            "--heads": heads,
            "--language": language,
            "--data": data,
            "--store": store,
            "--max-passage-tokens": max_passage_tokens,
        }
        if of_folders := [flag for flag, value in needs_corpus.items() if value]:
            exit_with(
                f"{', '.join(of_folders)}: only with test collections in BEIR form, which this "
                "command indexes itself; the collections of a file of judgements are indexed"
            )
        datasets = load_judged(files, collection, max_queries, part)
        running = evaluation_of_running(target, concurrency)
        model = reranker
    else:
        if data and store:
            exit_with("give --data or --store, not both: either keeps the indexed corpora")
        datasets = load_datasets(corpora, max_queries, part)
        running = evaluation_run(data, flags + room_for_queries(datasets), concurrency, language)
        model = None  # the server's default is the one asked for
    check_comparable(gates, datasets)
    with running as run:
        for dataset in datasets if files else ():
            run.client.get_collection(run.index(dataset))  # before any of them is measured
        if fusions:
            by_set = {d.name: _fusions(run, d, max(depths)) for d in datasets}
            _show_settings(by_set, "fusion", "hybrid retrieval, first pass alone", as_json)
        elif blends:
            by_set = {d.name: _blends(run, d, max(depths), model) for d in datasets}
            _show_settings(by_set, "blend", f"hybrid, depth {max(depths)}", as_json)
        elif heads:
            by_set = {d.name: _heads(run, d, depths) for d in datasets}
            _show_settings(by_set, "share of heads", "hybrid retrieval, both passes", as_json)
        else:
            second = Rerank(truncation=truncation.value, model=model) if rerank else None
            found = {
                dataset.name: list(
                    _modes(run, dataset, modes or list(RetrieveMode), depths, second, runs)
                )
                for dataset in datasets
            }
            _show_modes([one for of_set in found.values() for one in of_set], measure, as_json)
            sets = [measured_set(dataset, found[dataset.name]) for dataset in datasets]
    if gates.are_asked_for:
        pass_gates(gates, sets)


def _modes(
    run: EvaluationRun,
    dataset: Dataset,
    modes: Sequence[RetrieveMode],
    depths: list[int],
    rerank: Rerank | None,
    runs: Path | None,
) -> Iterator[Evaluation]:
    collection = run.index(dataset)
    num_documents = run.client.get_collection(collection).num_documents
    for mode in (mode.value for mode in modes):
        answers = run.search(dataset, collection, mode, max(depths), rerank)
        if runs is not None:
            write_run(runs / f"{dataset.name}.{mode}.trec", answers, mode)
        if dataset.collection:
            _tell_judged(dataset, mode, answers)
            _tell_known(dataset, mode, answers)
        yield evaluation(dataset, mode, answers, depths, num_documents=num_documents)


def _tell_judged(dataset: Dataset, mode: str, answers: Answers) -> None:
    """Says how much of what is measured was judged, by which a reader knows what it is worth."""
    first = first_pass_orders({query: candidates(answer) for query, answer in answers.items()})
    second = {query: [hit.id for hit in answer.hits] for query, answer in answers.items()}
    say_beside(
        f"{dataset.name}, {mode}: of the first ten hits {judged_share(dataset, first):.0%} are "
        f"judged before the second pass and {judged_share(dataset, second):.0%} after it; the "
        "others count as irrelevant"
    )


def _tell_known(dataset: Dataset, mode: str, answers: Answers) -> None:
    """Says where a server was asked the same before, which makes it quicker than a new question."""
    num_known = sum(answer.num_cached for answer in answers.values())
    if num_known:
        num_pairs = sum(answer.num_reranked for answer in answers.values())
        say_beside(
            f"{dataset.name}, {mode}: {num_known / num_pairs:.0%} of the pairs were scored before, "
            "so that searches of new questions take longer than these; to time those, use a key "
            "whose score_cache is off, or a server with --score-cache-bytes 0"
        )


def _fusions(run: EvaluationRun, dataset: Dataset, depth: int) -> dict[str, float]:
    return fusion_quality(_first_passes(run, dataset, depth, None))


def _first_passes(
    run: EvaluationRun, dataset: Dataset, depth: int, rerank: Rerank | None
) -> FirstPasses:
    collection = run.index(dataset)
    dense = run.search(dataset, collection, "dense", depth, rerank)
    lexical = run.search(dataset, collection, "lexical", depth, rerank)
    beyond = search_beyond(run.client, collection, dataset, dense, lexical)
    return FirstPasses(dataset, dense, lexical, beyond)


def _blends(
    run: EvaluationRun, dataset: Dataset, depth: int, model: str | None
) -> dict[str, float]:
    answers = run.search(dataset, run.index(dataset), "hybrid", depth, Rerank(model=model))
    return {f"{blend:g}": q for blend, q in blend_quality(dataset, answers, depth).items()}


def _heads(run: EvaluationRun, dataset: Dataset, depths: list[int]) -> dict[str, float]:
    found = _first_passes(run, dataset, max(depths), Rerank())
    return head_quality(found, ServerConfig().fusion_alpha, depths)


def _show_modes(results: list[Evaluation], measure: Measure, as_json: bool) -> None:
    if as_json:
        print_json([dataclasses.asdict(result) for result in results])
    else:
        print_table(evaluation_table(results, measure))


def _show_settings(
    by_set: dict[str, dict[str, float]], setting: str, of: str, as_json: bool
) -> None:
    if as_json:
        print_json(by_set)
    else:
        print_table(settings_table(by_set, setting, f"nDCG@10 of {of}"))
