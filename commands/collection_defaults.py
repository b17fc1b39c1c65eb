"""`twopass collections defaults`: what searches of a collection use where they say nothing."""

import dataclasses
from typing import Annotated, Any

import typer

from twopass.client import (
    Collection,
    QueryTruncation,
    RetrieveMode,
    SearchDefaults,
    Truncation,
)
from twopass.commands.collection_tables import defaults_told, plain
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.search_options import LONG_PASSAGES, LONG_QUESTIONS, fusion_for
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.sentences import say


def defaults(
    name: CollectionName,
    mode: Annotated[
        RetrieveMode | None,
        typer.Option("--mode", "-m", help="How candidates are found: dense, lexical or hybrid."),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, max=2048, help="How many candidates the first pass finds."),
    ] = None,
    rrf_k: Annotated[
        int | None, typer.Option(min=1, help="Fuse both lists by reciprocal ranks, with this k.")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Fuse both lists by their scores; the weight of the dense one."
        ),
    ] = None,
    rerank: Annotated[
        bool | None, typer.Option("--rerank/--no-rerank", help="Whether to run the second pass.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="How many candidates are reranked.")
    ] = None,
    reranker: Annotated[
        str | None, typer.Option(help="The reranker, as `twopass models` lists them.")
    ] = None,
    blend: Annotated[
        float | None, typer.Option(min=0, max=1, help="Weight of the first pass in the order.")
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out reranked hits whose score is lower."),
    ] = None,
    answer_threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The score from which on a hit is taken for an answer; `twopass calibrate` finds "
            "the one for a wanted precision.",
        ),
    ] = None,
    truncation: Annotated[
        Truncation | None,
        typer.Option(help=f"{LONG_PASSAGES}."),
    ] = None,
    query_truncation: Annotated[
        QueryTruncation | None,
        typer.Option(help=f"{LONG_QUESTIONS}."),
    ] = None,
    chosen_by: Annotated[
        str | None, typer.Option(help="Who or what chose them, in words for people.")
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Drop all that is set; alone, nothing is set then.")
    ] = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Show or set what searches of a collection use where they say nothing.

    What a search says itself always wins. Options that are not given stay as they are. Blend, min
    score and answer threshold belong to the reranker that is the default when they are set, or to
    --reranker, and are applied to searches by that one alone.

        twopass collections defaults docs
        twopass collections defaults docs -k 100 --depth 30
        twopass collections defaults docs --clear
    """
    given: dict[str, Any] = {
        "mode": mode,
        "k": k,
        "fusion": fusion_for(rrf_k, alpha),
        "rerank": rerank,
        "depth": depth,
        "reranker": reranker,
        "blend": blend,
        "min_score": min_score,
        "answer_threshold": answer_threshold,
        "truncation": truncation,
        "query_truncation": query_truncation,
        "chosen_by": chosen_by,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    with connected(target) as client:
        collection = client.get_collection(name)
        if changes or clear:
            wanted = _changed(collection, changes, clear=clear)
            collection = client.set_search_defaults(name, wanted)
    if as_json:
        print_json(plain(collection))
        return
    told = defaults_told(collection.search_defaults)
    say(f"{collection.name}: {told or 'searches use the defaults of the server'}")
    if collection.search_defaults_problem:
        say(collection.search_defaults_problem)


def _changed(
    collection: Collection, changes: dict[str, Any], *, clear: bool
) -> SearchDefaults | None:
    """The defaults to set; None for none."""
    if clear:
        return SearchDefaults(**changes) if changes else None
    if collection.search_defaults_problem:
        exit_with(
            f"{collection.name}: {collection.search_defaults_problem}; to set them anew, add "
            "--clear and give all that is to count",
            USAGE,
        )
    before = collection.search_defaults or SearchDefaults()
    if "reranker" in changes:
        # What belongs to another reranker's scores means nothing for this one.
        before = dataclasses.replace(
            before, reranker_revision=None, blend=None, min_score=None, answer_threshold=None
        )
    return dataclasses.replace(before, **changes)
