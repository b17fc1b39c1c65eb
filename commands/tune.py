"""`twopass tune`: the settings of a collection that its own judged queries speak for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn

from twopass.client import Client
from twopass.commands.evaluation_run import load_judged
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.confirmation import ensure_unchanged
from twopass.commands.terminal.consoles import is_terminal
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.progress import progress_bar, track
from twopass.commands.terminal.sentences import say, say_beside
from twopass.commands.terminal.tables import print_table
from twopass.commands.tuning_report import as_json as report_json
from twopass.commands.tuning_report import print_tuned, windows_table
from twopass.evaluation.datasets import Dataset, DatasetError, Part, load_queries
from twopass.evaluation.runs import Advance, EvaluationError
from twopass.evaluation.tuning.choice import MARGIN, Aim
from twopass.evaluation.tuning.copies import copied
from twopass.evaluation.tuning.made_up import MadeUp, made_up
from twopass.evaluation.tuning.picture import frontier_svg
from twopass.evaluation.tuning.run import Plan, Tuning, Wanted
from twopass.evaluation.tuning.saving import saved_defaults
from twopass.evaluation.tuning.settings import DEPTHS, MODES
from twopass.evaluation.tuning.trial import Check
from twopass.evaluation.tuning.windows import in_windows
from twopass.server.config_values import RetrieveMode
from twopass.server.models.passages import Truncation

# Listing is in no order that says anything; of a larger collection only so many are looked at.
_MOST_LISTED = 50_000


def tune(
    collection: CollectionName,
    judgements: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of judgements as the page /ui saves them, or folders of queries.jsonl and "
            "qrels.tsv in BEIR form, whose documents the collection holds by the same ids.",
        ),
    ] = None,
    questions_made_up: Annotated[
        bool,
        typer.Option(
            "--made-up",
            help="Where nothing is judged: cut questions out of documents. These are copied into a "
            "collection beside, without the questions, which is deleted at the end. Weaker than "
            "judgements.",
        ),
    ] = False,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="Take the best that needs no more milliseconds; unset: any number."
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="nDCG@10 that may be given away for less time, with 95 % confidence."
        ),
    ] = MARGIN,
    best: Annotated[
        bool, typer.Option("--best", help="Give away nothing for time within the budget.")
    ] = False,
    modes: Annotated[
        list[RetrieveMode] | None,
        typer.Option("--mode", help="How candidates are found; give several. Unset: all three."),
    ] = None,
    depths: Annotated[
        list[int] | None,
        typer.Option(
            "--depth",
            min=1,
            max=1024,
            help="How many are found, and how many reranked; give several. Unset: 10, 20, 50, 100.",
        ),
    ] = None,
    rerankers: Annotated[
        list[str] | None,
        typer.Option(
            "--reranker", help="A reranker of the server; give several. Unset: all that it holds."
        ),
    ] = None,
    truncations: Annotated[
        list[Truncation] | None,
        typer.Option(
            "--truncation",
            help="What is read of a passage that is too long; give several. Unset: truncate.",
        ),
    ] = None,
    window_tokens: Annotated[
        list[int] | None,
        typer.Option(
            "--window-tokens",
            min=16,
            help="Also index a copy of the whole collection with its documents split into windows "
            "of so many tokens, and tell what the choice gains there; give several. A copy is "
            "deleted at the end.",
        ),
    ] = None,
    check: Annotated[
        Check | None,
        typer.Option(
            help="Which queries tell what the choice is worth: the half that did not choose, or "
            "fifths in turn; unset: halves from 100 judged queries on."
        ),
    ] = None,
    max_queries: Annotated[
        int | None, typer.Option(min=2, help="Use only this many queries; unset: all.")
    ] = None,
    num_questions: Annotated[
        int, typer.Option("--questions", min=10, help="Most questions of --made-up.")
    ] = 200,
    num_documents: Annotated[
        int, typer.Option("--documents", min=20, help="Most documents of --made-up.")
    ] = 2000,
    picture: Annotated[Path | None, typer.Option(help="SVG file to draw; unset: none.")] = None,
    kept: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps what was read of the server, for the next run to go on from; "
            "unset: nothing is kept."
        ),
    ] = None,
    num_timed: Annotated[
        int, typer.Option("--timed", min=1, help="Queries by which the frontier is timed.")
    ] = 30,
    concurrency: Annotated[int, typer.Option(min=1, help="Queries under way while reading.")] = 2,
    save: Annotated[
        bool | None,
        typer.Option(
            "--save/--no-save",
            help="Make the choice the collection's search defaults, or don't; unset: asks where "
            "there is a terminal. Requests that say otherwise always win.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be compared and read, and end.")
    ] = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Choose how a collection is searched, by its own judged queries and by milliseconds.

    Compares modes, how many candidates are found and reranked, fusions, rerankers and blends:
    thousands of ways, from one reading of both lists and of each pair. The defaults are left for
    better hits only where more than chance speaks for it, with all ways counted that were tried,
    and for less time only where no more than --margin is given away; what that is worth is told by
    queries that the choice was not made by.

    Some hundred judged queries are enough to tell large differences. With fewer, or where nothing
    is better, the answer is to keep the defaults.

        twopass tune docs judgements-docs.jsonl
        twopass tune docs judgements-docs.jsonl --budget-ms 50 --picture docs.svg --save
        twopass tune docs --made-up
    """
    if bool(judgements) == questions_made_up:
        exit_with(
            "give files of judgements, which the page /ui saves, or folders in BEIR form; or "
            "--made-up, where nothing is judged yet"
            if not judgements
            else "--made-up: not beside judgements, which tell more",
            USAGE,
        )
    if truncations and Truncation.REJECT in truncations:
        exit_with("--truncation: reject reads nothing of a long passage; give the others", USAGE)
    wanted = Wanted(
        modes=tuple(mode.value for mode in modes) if modes else MODES,
        depths=sorted(set(depths or DEPTHS)),
        rerankers=rerankers or (),
        truncations=tuple(one.value for one in truncations) if truncations else ("truncate",),
        aim=Aim(budget_ms, margin, best),
        check=check,
        num_timed=num_timed,
        concurrency=concurrency,
        kept=kept,
    )
    try:
        with connected(target) as client:
            name = client.get_collection(collection).name
            told = _Telling(
                name, picture, save, tuple(window_tokens or ()), dry_run=dry_run, as_json=as_json
            )
            if judgements:
                dataset = _judged(judgements, name, collection, max_queries)
                _tune(client, dataset, wanted, told)
                return
            drawn = _drawn(client, name, num_questions, num_documents)
            if dry_run:
                say("Would ask them of a copy of these documents. Nothing was written.")
                return
            described = client.get_collection(name)
            number = len(drawn.documents)
            with copied(client, described, drawn.documents, number, _bar) as copy:
                _tune(client, drawn.dataset(copy), wanted, told)
    except (EvaluationError, DatasetError) as error:
        exit_with(error)


@dataclass(frozen=True, slots=True)
class _Telling:
    """What becomes of what is found.

    Attributes:
        collection: The collection that is tuned.
        picture: File to draw; None for none.
        save: Whether to write the choice; None to ask.
        window_tokens: Sizes of windows to try in copies.
        dry_run: Whether to end before anything is read.
        as_json: Whether `--json` was given.
    """

    collection: str
    picture: Path | None
    save: bool | None
    window_tokens: tuple[int, ...]
    dry_run: bool
    as_json: bool


def _tune(client: Client, dataset: Dataset, wanted: Wanted, telling: _Telling) -> None:
    collection = telling.collection
    is_made_up = dataset.collection != collection
    known = client.get_collection(collection).search_defaults
    tuning = Tuning(client, dataset, wanted, timed_on=collection)
    plan = tuning.planned()
    if telling.dry_run:
        _tell_plan(plan, telling.as_json)
        return
    tuned = tuning.run(plan, _bar)
    tuned = replace(tuned, plan=replace(plan, collection=replace(plan.collection, name=collection)))
    if telling.picture is not None:
        try:
            telling.picture.write_text(frontier_svg(tuned), encoding="utf-8")
        except OSError as error:
            exit_with(f"--picture: {telling.picture}: {error.strerror}")
    taken = tuned.tried.recommended
    if not telling.as_json:
        print_tuned(tuned, is_made_up=is_made_up)
    windows = in_windows(
        client,
        client.get_collection(dataset.collection),
        dataset,
        tuned.measured,
        taken or plan.defaults,
        telling.window_tokens,
        _bar,
        num_timed=wanted.num_timed,
    )
    if windows and not telling.as_json:
        print_table(windows_table(windows))
        say(
            "A collection's windows are fixed when it is made: index into another one, with "
            "--window-tokens, and switch an alias to it."
        )
    is_saved = False
    if taken is not None and _is_wanted(telling):
        kind = "questions cut out of the documents" if is_made_up else "judged queries"
        chosen_by = f"twopass tune, {plan.num_queries:,} {kind}, {date.today()}"
        defaults = saved_defaults(taken, known, tuning.revision(taken), chosen_by)
        ensure_unchanged(known, client.get_collection(collection).search_defaults)
        client.set_search_defaults(collection, defaults)
        is_saved = True
    if telling.as_json:
        print_json(
            report_json(tuned, is_made_up=is_made_up, is_saved=is_saved)
            | {"windows": [asdict(one) for one in windows]}
        )
    elif is_saved:
        say(f"Saved: searches of {collection} that set nothing do so from now on.")


def _is_wanted(telling: _Telling) -> bool:
    """Whether the choice is to be written; asks a person where neither was said."""
    if telling.save is not None:
        return telling.save
    if telling.as_json or not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        say_beside("nothing was written; give --save to make it the collection's defaults")
        return False
    return typer.confirm(
        printable(f"Make it the defaults of searches of {telling.collection}?"), err=True
    )


def _judged(files: list[Path], name: str, given: str, most: int | None) -> Dataset:
    """All judged queries of a collection, from files and folders."""
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    folders = [path for path in files if path.is_dir()]
    of_others = set()
    found = [load_queries(folder, name) for folder in folders]
    for one in load_judged([path for path in files if not path.is_dir()], "", None, Part.ALL):
        if one.collection in (name, given):
            found.append(one)
        else:
            of_others.add(one.collection)
    for dataset in found:
        queries |= dataset.queries
        qrels |= {query: dict(grades) for query, grades in dataset.qrels.items()}
    if of_others:
        say_beside(f"left out: judgements of other collections, {', '.join(sorted(of_others))}")
    relevant = [query for query in queries if any(grade > 0 for grade in qrels[query].values())]
    if not relevant:
        exit_with(f"no query of {name} has a document that is judged relevant")
    some = relevant[:most]
    return Dataset(
        name, (), {q: queries[q] for q in some}, {q: qrels[q] for q in some}, collection=name
    )


def _drawn(client: Client, collection: str, num_questions: int, num_documents: int) -> MadeUp:
    described = client.get_collection(collection)
    if described.schema.client_vectors:
        exit_with(
            f"{collection}: its documents bring their own vectors, so that none can be copied "
            "without its question; give judgements"
        )
    listed = min(described.num_documents, _MOST_LISTED)
    documents = islice(client.documents(collection, page_size=500), listed)
    drawn = made_up(track(documents, "reading documents", listed), num_questions, num_documents)
    kinds = ", ".join(f"{count:,} from a {kind}" for kind, count in drawn.kinds().items())
    if len(drawn.questions) < 2:
        exit_with(f"{collection}: no questions could be cut out of its documents; give judgements")
    say_beside(
        f"{len(drawn.questions):,} questions cut out of {len(drawn.documents):,} documents of "
        f"{described.num_documents:,} ({kinds}); weaker than judgements"
    )
    return drawn


@contextmanager
def _bar(description: str, total: int) -> Iterator[Advance]:
    with progress_bar(MofNCompleteColumn()) as progress:
        task = progress.add_task(printable(description), total=total)
        yield lambda done: progress.advance(task, done)


def _tell_plan(plan: Plan, as_json: bool) -> None:
    grid = plan.grid
    readers = len(grid.readers)
    if as_json:
        print_json(
            {
                "collection": plan.collection.name,
                "defaults": plan.defaults.as_json(),
                "num_queries": plan.num_queries,
                "modes": grid.modes,
                "depths": grid.depths,
                "rerankers": [reader.model for reader in grid.readers],
                "most_pairs": readers * plan.most_pairs,
            }
        )
        return
    say(f"Defaults now: {plan.defaults.told()}.")
    say(
        f"Would compare {', '.join(grid.modes)}; k and depth {', '.join(map(str, grid.depths))}; "
        f"{', '.join(dict.fromkeys(reader.model for reader in grid.readers)) or 'no reranker'}; "
        f"by {plan.num_queries:,} queries, reading at most {readers * plan.most_pairs:,} pairs. "
        "Nothing was read or written."
    )
