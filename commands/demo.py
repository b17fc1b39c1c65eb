"""`twopass demo`: both passes on thousands of real documents, their orders side by side."""

import shlex
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len
from rich.text import Text

from twopass.client import Client, SearchHit, SearchResult, TwopassError
from twopass.commands.demo_documents import COLLECTION, filled
from twopass.commands.interrupts import heard
from twopass.commands.options import DEFAULT_TARGET
from twopass.commands.terminal.consoles import is_terminal, literal, table_columns
from twopass.commands.terminal.failures import INTERRUPTED, exit_with
from twopass.commands.terminal.hits import Figure, deciding_figures, outcome_lines, snippet
from twopass.commands.terminal.own_command import own_command
from twopass.commands.terminal.sentences import say, say_exactly
from twopass.commands.terminal.tables import Table, figures, print_table, texts
from twopass.server.edge.transport import ensure_free
from twopass.server.local import LocalServer, LocalServerError

QUESTIONS = (
    "How do I parse a date from a string?",
    "How can I run a shell command and get its output?",
    "Which class counts how often each element occurs?",
    "How do I generate a secure random token for a password reset?",
    "How do I measure the execution time of a small piece of code?",
    "Wait until several threads have reached the same point",
)
_SHOWN = 5
_ADDRESS, _HTTP_ADDRESS = "127.0.0.1:50051", "127.0.0.1:8080"
# What the figures beside both titles take, at most, with the space between them.
_FIGURE_COLUMNS = 36
# Fewer characters of a text say nothing.
_MIN_SNIPPET = 16
_FIRST, _SECOND = "first pass: embeddings and words", "second pass: cross-encoder"


def demo(
    data: Annotated[
        Path, typer.Option(help="Folder of the demo's collection; a second run reuses it.")
    ] = Path(".cache/demo"),
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="Ask this instead; repeatable.")
    ] = None,
    stay: Annotated[
        bool | None,
        typer.Option(
            "--stay/--no-stay",
            help="Keep the server up at the end, with its page, until Ctrl-C. Unset: in a "
            "terminal only.",
        ),
    ] = None,
) -> None:
    """See both passes at work on the documentation of your own Python.

    Starts a server, indexes the docstrings of the standard library, asks a programmer's questions,
    and shows the order of the first pass beside that of the second. In a terminal the server then
    stays up until Ctrl-C, for its page, the command line and programs.
    """
    stays = is_terminal(sys.stdout) if stay is None else stay
    try:
        _run(data, question or QUESTIONS, stays)
    except (LocalServerError, TwopassError, OSError) as error:
        exit_with(error)
    except KeyboardInterrupt:
        with suppress(OSError):
            say("\nInterrupted. The same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None


def _run(data: Path, questions: list[str] | tuple[str, ...], stays: bool) -> None:
    data.mkdir(parents=True, exist_ok=True)
    log = data / f"{COLLECTION}-demo.log"
    began = time.perf_counter()
    is_stopped = False
    flags = ("--address", _free(_ADDRESS, stays), "--http-address", _free(_HTTP_ADDRESS, stays))
    with LocalServer(data, flags=flags, log=log) as server, Client(server.target) as client:
        _step(
            1,
            f"Server up at {server.target} and {server.http_url} in "
            f"{time.perf_counter() - began:.1f} s, {_engines(client)}; its log: {log}",
        )
        _step(2, filled(client, data))
        _step(
            3,
            f"The first pass finds candidates, the second reads them: {len(questions)} "
            f"question{'s'[: len(questions) > 1]}, and where each hit was before it was read",
        )
        for text in questions:
            _ask(client, text)
        if stays:
            is_stopped = _until_stopped(server, data, log)
    if is_stopped:
        say(f"\nStopped. {_typed(data)} keeps the documents: the next run starts with them.")
    elif not stays:
        _say_how_to_serve(data)


def _typed(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))


def _free(address: str, stays: bool) -> str:
    """The address, or one with a port that the system chooses; always that for a short while."""
    try:
        if stays:
            ensure_free(address, "address")
            return address
    except OSError:  # something else listens there
        pass
    return "127.0.0.1:0"


def _until_stopped(server: LocalServer, data: Path, log: Path) -> bool:
    """Says where the page is, and waits for Ctrl-C or SIGTERM.

    Returns:
        Whether anybody is there to be told that it ends.

    Raises:
        LocalServerError: The server has ended by itself.
    """
    try:
        _say_where(server, data)
        status = server.wait()
    except KeyboardInterrupt:
        heard()
        return True
    except SystemExit:  # SIGTERM, or the end of the terminal: what was asked for has happened
        heard()
        return False
    raise LocalServerError(f"the server ended with status {status}; {log} says why")


def _engines(client: Client) -> str:
    return ", ".join(f"{m.id} on {m.engine} {m.precision}" for m in client.models())


def _step(step: int, told: str) -> None:
    say()
    say(Text(f"{step}  ", style="bold"), literal(told))


def _ask(client: Client, question: str) -> None:
    # This one first: the other finds the question embedded, and is not told with its times.
    both = client.search(COLLECTION, question, top_n=_SHOWN)
    first = client.search(COLLECTION, question, top_n=_SHOWN, rerank=False)
    say()
    say(literal(question, "bold cyan"))
    columns = table_columns(sys.stdout)
    print_table(*orders(first, both, columns))
    for line in outcome_lines(both):
        say(literal(line, "dim"))


def orders(first: SearchResult, both: SearchResult, columns: int | None) -> list[Table]:
    """Both orders: side by side where titles have room, else one table below the other.

    Args:
        first: What the first pass found.
        both: What both passes found.
        columns: Of the terminal; None for a pipe.
    """
    # Without a terminal a row is a line, and is kept short.
    room = 0 if columns is None else (columns - _FIGURE_COLUMNS) // 2
    before: list[list[str | Text]] = [
        [str(rank), _described(hit, room), str(figure)]
        for rank, (hit, figure) in enumerate(_explained(first), 1)
    ]
    after: list[list[str | Text]] = [
        [_moved(rank, hit.first_pass_rank), _described(hit, room), str(figure)]
        for rank, (hit, figure) in enumerate(_explained(both), 1)
    ]
    left = [*figures(""), *texts(_FIRST), *figures(_deciding(first))]
    right = [*figures("was"), *texts(_SECOND), *figures(_deciding(both))]
    shown = Table([*left, *right])
    for row, other in zip(before, after, strict=False):
        shown.add(*row, *other)
    if columns is None or _are_whole(shown, columns):
        return [shown]
    above, below = Table(left), Table([*figures(""), *right])
    for row in before:
        above.add(*row)
    for rank, row in enumerate(after, 1):
        below.add(str(rank), *row)
    return [above, below]


def _are_whole(table: Table, columns: int) -> bool:
    """Whether every cell has room on one line; heads may be broken at spaces."""
    widest = [
        max(map(cell_len, (*column.head.split(), *(row[n].plain for row in table.rows))), default=0)
        for n, column in enumerate(table.columns)
    ]
    return sum(widest) + 2 * (len(widest) - 1) <= columns


def _explained(result: SearchResult) -> list[tuple[SearchHit, Figure]]:
    """Hits, each with the number that decides its place."""
    return list(zip(result.hits, deciding_figures(result), strict=True))


def _deciding(result: SearchResult) -> str:
    """What the hits are ordered by."""
    return " or ".join(dict.fromkeys(figure.name for figure in deciding_figures(result)))


def _described(hit: SearchHit, room: int) -> Text:
    """The title, and as much of the text as has room beside it."""
    title = literal(hit.title, "bold")
    left = room - title.cell_len - 2
    if left < _MIN_SNIPPET:
        return title
    return Text.assemble(title, "  ", literal(snippet(hit.text, left), "dim"))


def _moved(rank: int, before: int) -> Text:
    if before == rank:
        return Text("=", style="dim")
    return Text(f"{before}↑", style="green") if before > rank else Text(f"{before}↓", style="red")


def _say_where(server: LocalServer, data: Path) -> None:
    """What the server that stays up can be asked, and how; at last where its page is."""
    target = "" if server.target == _ADDRESS else f" --target {server.target}"
    _step(4, "Your turn")
    _say_ways(server.target, server.http_url, target)
    say()
    say("Another day, the same server without the demo:")
    say()
    _say_serve(data)
    _step(5, "Its page shows both passes side by side; open it in a browser:")
    say()
    say_exactly("     ", literal(f"{server.http_url}/ui", "bold"))
    say()
    say(Text("The server stays up until you press Ctrl-C.", style="bold"))


def _say_how_to_serve(data: Path) -> None:
    _step(4, "Your turn. Keep a server running on the same documents:")
    say()
    _say_serve(data)
    _say_ways(DEFAULT_TARGET, f"http://{_HTTP_ADDRESS}", "")
    say()
    say("Its page, in a browser, shows both passes side by side:")
    say()
    say_exactly(f"     http://{_HTTP_ADDRESS}/ui")


def _say_serve(data: Path) -> None:
    say_exactly(f"     {own_command()} serve --data {_typed(data)} --http-address {_HTTP_ADDRESS}")


def _say_ways(target: str, url: str, target_flag: str) -> None:
    search = f'{{"collection": "{COLLECTION}", "query": "sort a list", "top_n": 3}}'
    rerank = '{"query": "sort a list", "documents": ["a list sorted", "a bag of rice"]}'
    say()
    say("Ask from the command line, from Python, or over gRPC or HTTP from anything:")
    for line in f"""
     {own_command()} search {COLLECTION} "How do I sort a list by two keys?"{target_flag}

     from twopass.client import Client
     with Client("{target}") as client:
         for hit in client.search("{COLLECTION}", "How do I sort a list by two keys?").hits:
             print(hit.score, hit.title)

     grpcurl -plaintext -d '{search}' \\
         {target} twopass.v1.SearchService/Search

     curl {url}/v1/rerank -d '{rerank}'
""".splitlines():
        say_exactly(line)
    say()
    say("Every dialect of HTTP that it answers, and its API:")
    say()
    say_exactly(f"     {url}/docs")
