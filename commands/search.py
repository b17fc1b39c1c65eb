"""`twopass search`: searches a collection for one question, with both passes."""

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from twopass.client import (
    Client,
    Prefix,
    QueryTruncation,
    Rerank,
    Retrieve,
    RetrieveMode,
    SearchResult,
    WordClauses,
)
from twopass.commands import filters as filters_as_typed
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.arranging import (
    CollapseByOption,
    CollapseOption,
    DiversityOption,
    collapse_for,
    told_of_arranging,
)
from twopass.commands.terminal.consoles import literal
from twopass.commands.terminal.hits import QUERY_CUT, outcome_lines, print_hits
from twopass.commands.terminal.sentences import say, say_exactly
from twopass.commands.terminal.spans import (
    HighlightOption,
    PrunedOption,
    SpansOption,
    spans_for,
    told_of_spans,
    what_to_show,
)


def search(
    collection: CollectionName,
    query: Annotated[
        str, typer.Argument(help='The question; "" to search by --required or --optional alone.')
    ],
    top_n: Annotated[
        int, typer.Option("--top-n", "-n", min=1, max=2048, help="How many documents to show.")
    ] = 10,
    offset: Annotated[
        int, typer.Option(min=0, max=2047, help="How many of the first documents to skip.")
    ] = 0,
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            min=1,
            max=2048,
            help="How many candidates the first pass finds; unset: the collection's default, or "
            "50.",
        ),
    ] = None,
    mode: Annotated[
        RetrieveMode | None,
        typer.Option(
            "--mode",
            "-m",
            help="How candidates are found: dense (by meaning), lexical (by words) or hybrid "
            "(both, fused); unset: the default of the collection or the server.",
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
        bool | None,
        typer.Option(
            "--rerank/--no-rerank",
            help="Whether to run the second pass; unset: the collection's default, or yes.",
        ),
    ] = None,
    blend: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Weight of the first pass in the order; unset: the default of the collection or "
            "the model.",
        ),
    ] = None,
    instruction: Annotated[
        str,
        typer.Option(
            help="What makes a passage relevant, for rerankers that are told so, as decoders are; "
            "unset: the model's own."
        ),
    ] = "",
    query_truncation: Annotated[
        QueryTruncation | None,
        typer.Option(
            help="What happens to a question that is longer than a model reads: truncate reads its "
            "beginning and says so, reject fails; unset: truncate."
        ),
    ] = None,
    spans: SpansOption = False,
    highlight: HighlightOption = False,
    pruned: PrunedOption = False,
    query_id: Annotated[
        str,
        typer.Option(
            help="Your own key of the question, under which feedback on the answer is kept; --json "
            "prints the answer's search_id."
        ),
    ] = "",
    diversity: DiversityOption = None,
    collapse: CollapseOption = None,
    collapse_by: CollapseByOption = "",
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Search a collection: find candidates, then let the reranker order them."""
    shown = what_to_show(spans=spans, highlight=highlight, pruned=pruned, as_json=as_json)
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
            retrieve=Retrieve(mode=mode, k=k and max(k, offset + top_n), words=words),
            rerank=Rerank(blend=blend, instruction=instruction or None, enabled=rerank)
            if rerank is not False and query
            else False,
            filter=filters_as_typed.parsed(filters or []),
            query_truncation=query_truncation,
            spans=spans_for(spans=spans, highlight=highlight, pruned=pruned, num_hits=top_n),
            query_id=query_id,
            diversity=diversity,
            collapse=collapse_for(collapse, collapse_by),
        )
        if not result.hits and not as_json:
            restricted_by = [
                flag
                for flag, values in (
                    ("--filter", filters),
                    ("--required", required),
                    ("--prefix", prefix),
                    ("--excluded", excluded),
                )
                if values
            ]
            _say_what_to_try(client, collection, result, restricted_by, offset)
            return
    if as_json:
        print_json(_plain(result))
        return
    wanted = (query, *(required or ()), *(optional or ()), *(prefix or ()))
    print_hits(result, wanted, offset + 1, shown)
    for line in outcome_lines(result):
        say(literal(line, "dim"))
    for line in told_of_arranging(result, offset + 1):
        say(literal(line, "dim"))
    if why := told_of_spans(result.spans_status):
        say(literal(why, "dim"))
    if result.query_truncated:
        say(literal(QUERY_CUT, "dim"))


def _say_what_to_try(
    client: Client,
    collection: str,
    result: SearchResult,
    restricted_by: Sequence[str],
    offset: int,
) -> None:
    """Tells why there may be no hit, and what to type next."""
    num_documents = client.get_collection(collection).num_documents
    if not num_documents:
        say("No hit: ", literal(collection, "bold"), " holds no documents. Index some:")
        say_exactly(literal(f"  twopass index {shlex.quote(collection)} FILES"))
    elif result.num_candidates:
        say(
            f"No hit: {result.num_candidates:,} candidates were found and none is left to show"
            + (f" after --offset {offset}; try a smaller one." if offset else ".")
        )
    elif restricted_by:
        say(
            f"No hit: none of {num_documents:,} documents meets {' and '.join(restricted_by)}. Try "
            f"the search without {'it' if len(restricted_by) == 1 else 'one of them'}."
        )
    else:
        say(
            f"No hit: none of {num_documents:,} documents holds these words. Try other words, or "
            "--mode hybrid, which finds by meaning too."
        )
    for line in outcome_lines(result):
        say(literal(line, "dim"))


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
