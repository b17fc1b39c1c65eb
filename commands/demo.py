"""`twopass demo`: both passes on thousands of real documents, their orders side by side."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from twopass.client import Client, Document, NotFoundError, SearchHit, SearchResult, TwopassError
from twopass.commands.stdlib_docs import passages
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.hits import number, snippet, stages
from twopass.server.local import LocalServer, LocalServerError

COLLECTION = "python-docs"
QUESTIONS = (
    "How do I parse a date from a string?",
    "How can I run a shell command and get its output?",
    "Which class counts how often each element occurs?",
    "How do I generate a secure random token for a password reset?",
    "How do I measure the execution time of a small piece of code?",
    "Wait until several threads have reached the same point",
)
_SHOWN = 5
_FLAGS = ("--http-address", "127.0.0.1:0")


def demo(
    data: Annotated[
        Path, typer.Option(help="Where the demo's collection is kept; a second run reuses it.")
    ] = Path(".cache/demo"),
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="Ask this instead; repeatable.")
    ] = None,
) -> None:
    """See both passes at work on the documentation of your own Python.

    Starts a server, indexes the docstrings of the standard library, asks a programmer's questions,
    and shows the order of the first pass beside that of the second.
    """
    console = Console()
    log = data / "server.log"
    data.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    try:
        with (
            LocalServer(data, flags=_FLAGS, log=log) as server,
            Client(server.target) as client,
        ):
            console.print(
                f"[bold]1[/]  Server up at {server.target} and {server.http_url} in "
                f"{time.perf_counter() - began:.1f} s, {_engines(client)}; its log: {log}"
            )
            _index(client, console)
            console.print(
                f"\n[bold]3[/]  {len(question or QUESTIONS)} questions. Left the order of the "
                "first pass, right that of the second; in between where each hit stood before."
            )
            for text in question or QUESTIONS:
                _ask(client, console, text)
    except (LocalServerError, TwopassError) as error:
        exit_with(error)
    console.print(_your_turn(data), soft_wrap=True)  # whole lines, to be pasted


def _engines(client: Client) -> str:
    return ", ".join(f"{m.id} on {m.engine} {m.precision}" for m in client.models())


def _index(client: Client, console: Console) -> None:
    try:
        num_documents = client.get_collection(COLLECTION).num_documents
    except NotFoundError:
        client.create_collection(COLLECTION)
        num_documents = 0
    if num_documents:
        console.print(f"[bold]2[/]  {num_documents:,} passages are there from an earlier run")
        return
    with console.status("Reading the standard library's docstrings …"):
        documents = passages()
    began = time.perf_counter()
    _upsert(client, console, documents)
    seconds = time.perf_counter() - began
    console.print(
        f"[bold]2[/]  {len(documents):,} passages tokenised, embedded and on disk in "
        f"{seconds:.1f} s ({len(documents) / seconds:,.0f} a second)"
    )


def _upsert(client: Client, console: Console, documents: list[Document]) -> None:
    progress = Progress(
        TextColumn("   {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with progress:
        task = progress.add_task("indexing", total=len(documents))
        client.upsert(
            COLLECTION,
            documents,
            chunk_size=64,
            on_progress=lambda done: progress.update(task, completed=done.num_documents),
        )


def _ask(client: Client, console: Console, question: str) -> None:
    first = client.search(COLLECTION, question, top_n=_SHOWN, rerank=False)
    both = client.search(COLLECTION, question, top_n=_SHOWN)
    console.print(f"\n   [bold cyan]{escape(question)}[/]")
    console.print(_side_by_side(first, both))
    console.print(f"   [dim]{both.num_reranked} candidates reranked · {stages(both.timings)}[/]")


def _side_by_side(first: SearchResult, both: SearchResult) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1), expand=True)
    table.add_column("", justify="right", width=4)
    table.add_column("first pass: embeddings and words", ratio=4, overflow="ellipsis", no_wrap=True)
    table.add_column("fused", justify="right", width=6)
    table.add_column("was", justify="right", width=4)
    table.add_column("second pass: cross-encoder", ratio=4, overflow="ellipsis", no_wrap=True)
    table.add_column("score", justify="right", width=6)
    for rank, (before, after) in enumerate(zip(first.hits, both.hits, strict=False), 1):
        table.add_row(
            str(rank),
            _described(before),
            number(before.fused_score),
            _moved(rank, after.first_pass_rank),
            _described(after),
            number(after.score),
        )
    return table


def _described(hit: SearchHit) -> str:
    return f"[bold]{escape(hit.title)}[/] [dim]{escape(snippet(hit.text))}[/]"


def _moved(rank: int, before: int) -> str:
    if before == rank:
        return "[dim]=[/]"
    return f"[green]{before}↑[/]" if before > rank else f"[red]{before}↓[/]"


def _your_turn(data: Path) -> str:
    search = '{"collection": "python-docs", "query": "sort a list", "top_n": 3}'
    rerank = '{"query": "sort a list", "documents": ["a list sorted", "a bag of rice"]}'
    return f"""
[bold]4[/]  Your turn. Keep a server running on the same documents:

     twopass serve --data {data} --http-address 127.0.0.1:8080

   Ask from the command line, from Python, or over gRPC or HTTP from anything:

     twopass search {COLLECTION} "How do I sort a list by two keys?"

     from twopass.client import Client
     with Client("localhost:50051") as client:
         for hit in client.search("{COLLECTION}", "How do I sort a list by two keys?").hits:
             print(hit.score, hit.title)

     grpcurl -plaintext -d '{escape(search)}' \\
         localhost:50051 twopass.v1.SearchService/Search

     curl localhost:8080/v1/rerank -d '{escape(rerank)}'

   Every dialect of HTTP that it answers, and its API: http://localhost:8080/docs
"""
