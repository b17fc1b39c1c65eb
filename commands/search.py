"""`twopass search`: searches a collection for one question, with both passes."""

import dataclasses
from typing import Annotated, cast

import typer
from rich.console import Console

from twopass.client import (
    Prefix,
    QueryTruncation,
    Rerank,
    Retrieve,
    RetrieveMode,
    SearchResult,
    WordClauses,
)
from twopass.commands import filters as filters_as_typed
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.terminal.tables import QUERY_CUT, hits_table, timings_line


def search(
    collection: Annotated[str, typer.Argument(help="The collection's name.")],
    query: Annotated[
        str, typer.Argument(help='The question; "" to search by --required or --optional alone.')
    ],
    top_n: Annotated[int, typer.Option("--top-n", "-n", help="How many documents to show.")] = 10,
    offset: Annotated[int, typer.Option(help="How many of the first documents to skip.")] = 0,
    k: Annotated[int, typer.Option("-k", help="How many candidates the first pass finds.")] = 50,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            "-m",
            help="How candidates are found: dense (by meaning), lexical (by words) or hybrid "
            "(both, fused); unset: the server's default.",
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help=filters_as_typed.HELP),
    ] = None,
    required: Annotated[
        list[str] | None,
        typer.Option(help="Words in a row that a document must hold. Repeat it for several."),
    ] = None,
    excluded: Annotated[
        list[str] | None,
        typer.Option(help="Words in a row that no document may hold. Repeat it for several."),
    ] = None,
    optional: Annotated[
        list[str] | None,
        typer.Option(help="Words in a row that count for a document. Repeat it for several."),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(help="The beginning of a word that a document must hold. Repeat it."),
    ] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Whether to run the second pass.")
    ] = True,
    blend: Annotated[
        float | None,
        typer.Option(help="Weight of the first pass in the order, 0 to 1; unset: the model's own."),
    ] = None,
    instruction: Annotated[
        str,
        typer.Option(
            help="What makes a passage relevant, for rerankers that are told so, as decoders are; "
            "unset: the model's own."
        ),
    ] = "",
    query_truncation: Annotated[
        str | None,
        typer.Option(
            help="What happens to a question that is longer than a model reads: truncate reads its "
            "beginning and says so, reject fails; unset: truncate."
        ),
    ] = None,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Search a collection: find candidates, then let the reranker order them."""
    words = WordClauses(
        required=[*(required or []), *map(Prefix, prefix or [])],
        excluded=excluded or [],
        optional=optional or [],
    )
    with connected(target) as client:
        result = client.search(
            collection,
            query,
            top_n=top_n,
            offset=offset,
            retrieve=Retrieve(
                mode=cast("RetrieveMode | None", mode), k=max(k, offset + top_n), words=words
            ),
            rerank=Rerank(blend=blend, instruction=instruction or None)
            if rerank and query
            else False,
            filter=filters_as_typed.parsed(filters or []),
            query_truncation=cast("QueryTruncation | None", query_truncation),
        )
    if as_json:
        print_json(_plain(result))
        return
    console = Console()
    console.print(hits_table(result))
    console.print(timings_line(result))
    if result.query_truncated:
        console.print(QUERY_CUT)


def _plain(result: SearchResult) -> dict[str, object]:
    """The result for JSON, its metadata as dicts: the client's are read-only mappings."""
    return dataclasses.asdict(
        dataclasses.replace(
            result,
            hits=tuple(
                dataclasses.replace(hit, metadata=dict(hit.metadata)) for hit in result.hits
            ),
        )
    )
