"""`twopass bench`: throughput and latency of a running server under load."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer

from twopass.benchmarks.latency import OnProgress, Report, Sweep, measure
from twopass.benchmarks.queries import QueriesError, queries_of_collection, queries_of_file
from twopass.benchmarks.report import as_json as report_as_json
from twopass.benchmarks.report import as_tables
from twopass.benchmarks.workload import RerankWorkload, SearchWorkload, Texts, Workload
from twopass.client import AsyncClient
from twopass.commands.connecting import key_for, tls_credentials, told_failures
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, print_json
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.progress import progress_bar
from twopass.commands.terminal.sentences import say_beside
from twopass.commands.terminal.tables import print_report
from twopass.engines.installing import how_to_install

_CONCURRENCIES = (1, 2, 4, 8)
_MAX_CONCURRENCY = 10_000
_MAX_RATE = 100_000.0
# A request that succeeds only after a retry counts as failed.
_NO_RETRIES = (("grpc.enable_retries", 0),)

MakeWorkload: TypeAlias = Callable[[AsyncClient], Awaitable[Workload]]
SavePicture: TypeAlias = Callable[[Report], None]
_Number = TypeVar("_Number", int, float)


def bench(
    collection: Annotated[
        str | None,
        typer.Argument(help="Collection to search; unset: rerank passages that are sent along."),
    ] = None,
    concurrency: Annotated[
        str | None,
        typer.Option(
            "--concurrency", "-c", help="Closed loops: requests under way, such as 1,2,4."
        ),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", "-r", help="Open loops: requests a second, such as 0.5,2,10."),
    ] = None,
    candidates: Annotated[
        int, typer.Option("-k", "--candidates", min=1, help="Pairs scored in a request.")
    ] = 50,
    passage_tokens: Annotated[
        int, typer.Option(min=4, help="About how many tokens a passage sent along has.")
    ] = 100,
    queries: Annotated[
        Path | None,
        typer.Option(
            help='For a collection: JSONL file, {"query": "…"} on each line; unset: the first '
            "words of its documents."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each load is measured.")] = 10.0,
    warm_up: Annotated[
        float, typer.Option(min=0, help="Seconds that each load runs before that.")
    ] = 2.0,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Deadline of a request, in seconds.")
    ] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Fixes texts and arrivals.")] = 1,
    picture: Annotated[
        Path | None, typer.Option(help="PNG file to draw latency against load in.")
    ] = None,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Measure throughput and latency of a running server under rising load.

    A closed loop holds a number of requests under way: it finds the throughput.
    An open loop sends at random times (Poisson) at a given rate, whatever is
    still unanswered, and counts latency from when a request was meant to start:
    it finds how long independent users wait. With neither -c nor -r, closed
    loops at 1, 2, 4 and 8 are followed by open loops at 25, 50, 75 and 90 % of
    the highest throughput found.

    Every passage that is sent is distinct, so no cache helps; nothing is retried.
    Queries of a collection repeat when there are few of them: the server then
    has their embeddings and scores in its caches, unless it runs with
    --query-cache-bytes 0 --score-cache-bytes 0. The report tells what share of
    the pairs had been scored before.
    The load generator needs processor time too: where the server is fast, run
    it on another machine.

      twopass bench                           rerank, under light and heavy load
      twopass bench docs --picture docs.png   search a collection, draw the figures
      twopass bench -k 100 -r 2 --seconds 60  a steady rate, long enough for p99
    """
    sweep = Sweep(
        concurrencies=_concurrencies(concurrency, rate),
        rates=_rates(concurrency, rate),
        seconds=seconds,
        warm_up_seconds=warm_up,
        seed=seed,
    )
    save = _picture_saver(picture)
    make_workload = _workload_maker(collection, queries, candidates, passage_tokens, seed)
    with _failures(target), _progress(sweep) as on_progress:
        report = asyncio.run(_measured(target, timeout, make_workload, sweep, on_progress))
    if as_json:
        print_json(report_as_json(report))
    else:
        print_report(as_tables(report))
    save(report)


def _concurrencies(concurrency: str | None, rate: str | None) -> tuple[int, ...]:
    if concurrency is None:
        return _CONCURRENCIES if rate is None else ()
    return _levels("--concurrency", concurrency, int, _MAX_CONCURRENCY)


def _rates(concurrency: str | None, rate: str | None) -> tuple[float, ...] | None:
    if rate is None:
        return None if concurrency is None else ()
    return _levels("--rate", rate, float, _MAX_RATE)


def _levels(
    option: str, text: str, number: Callable[[str], _Number], most: _Number
) -> tuple[_Number, ...]:
    """Parses numbers separated by commas."""
    try:
        levels = tuple(map(number, text.split(",")))
    except ValueError:
        levels = ()
    if not levels or not all(0 < level <= most for level in levels):
        raise typer.BadParameter(
            f"{text!r} given; numbers above 0, at most {most:,}, with commas between them are "
            "expected, such as 1,2,4",
            param_hint=option,
        )
    return levels


def _workload_maker(
    collection: str | None, queries: Path | None, candidates: int, passage_tokens: int, seed: int
) -> MakeWorkload:
    """The function that makes the workload once a client is connected."""

    async def rerank(client: AsyncClient) -> Workload:  # noqa: ARG001  # as `search` has it
        texts = Texts(seed)
        return RerankWorkload(texts, num_candidates=candidates, passage_tokens=passage_tokens)

    async def search(client: AsyncClient) -> Workload:
        assert collection is not None
        found = (
            queries_of_file(queries) if queries else await queries_of_collection(client, collection)
        )
        return SearchWorkload(collection, found, num_candidates=candidates)

    if collection is None and queries is not None:
        raise typer.BadParameter(
            "queries are for a collection, and none is named", param_hint="--queries"
        )
    return rerank if collection is None else search


async def _measured(
    target: str,
    seconds_a_request: float,
    make_workload: MakeWorkload,
    sweep: Sweep,
    on_progress: OnProgress,
) -> Report:
    async with AsyncClient(
        target,
        api_key=key_for(target),
        credentials=tls_credentials(),
        timeout=seconds_a_request,
        options=_NO_RETRIES,
    ) as client:
        workload = await make_workload(client)
        return await measure(target, client, workload, sweep, on_progress)


def _picture_saver(file: Path | None) -> SavePicture:
    """The function that draws the report; what would prevent it ends the command beforehand."""
    if file is None:
        return lambda _: None
    try:
        from twopass.benchmarks.picture import save_picture
    except ModuleNotFoundError as error:
        exit_with(f"--picture: {error}; {how_to_install('bench')}")
    if not file.parent.is_dir():
        exit_with(f"--picture {file}: there is no folder {file.parent}")

    def save(report: Report) -> None:
        try:
            save_picture(report, file)
        except OSError as error:
            exit_with(f"--picture {file}: {error}")
        say_beside(f"picture: {file}")

    return save


@contextmanager
def _progress(sweep: Sweep) -> Iterator[OnProgress]:
    """Shows a progress bar over the whole sweep, labelled with the load under way."""
    with progress_bar() as progress:
        task = progress.add_task("asking once", total=sweep.total_seconds)
        yield lambda load, seconds: progress.update(
            task, description=printable(load), completed=seconds
        )


@contextmanager
def _failures(target: str) -> Iterator[None]:
    """Ends the command on a failure, with one sentence that says what to do."""
    try:
        with told_failures(target):
            yield
    except QueriesError as error:
        exit_with(error)
