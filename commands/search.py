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
from twopass.commands.arranging_options import (
    CollapseByOption,
    CollapseOption,
    DiversityDepthOption,
    DiversityOption,
    MaxListedOption,
    MaxPerValueOption,
    collapse_for,
    diversity_for,
)
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.search_options import (
    ANSWER,
    FIRST,
    LONG_QUESTIONS,
    SECOND,
    AlphaOption,
    AnswerThresholdOption,
    DepthOption,
    EfSearchOption,
    EncoderInstructionOption,
    FallbackOption,
    MinScoreOption,
    MinSequenceOption,
    NprobeOption,
    RerankerOption,
    RrfKOption,
    TimeBudgetOption,
    TruncationOption,
    VectorsOption,
    fields_for,
    fusion_for,
)
from twopass.commands.span_options import (
    HighlightOption,
    MaxSpansOption,
    NeighborsOption,
    PrunedOption,
    SpanMinScoreOption,
    SpansOption,
    SpanWindowOption,
    WantedSpans,
    what_to_show,
)
from twopass.commands.terminal.arranging import told_of_arranging
from twopass.commands.terminal.consoles import literal
from twopass.commands.terminal.hits import QUERY_CUT, outcome_lines, print_hits
from twopass.commands.terminal.sentences import counted, say, say_exactly
from twopass.commands.terminal.spans import told_of_spans


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
            rich_help_panel=FIRST,
            help="How many candidates the first pass finds; unset: the collection's default, or "
            "50.",
        ),
    ] = None,
    mode: Annotated[
        RetrieveMode | None,
        typer.Option(
            "--mode",
            "-m",
            rich_help_panel=FIRST,
            help="How candidates are found: dense (by meaning), lexical (by words) or hybrid "
            "(both, fused); unset: the default of the collection or the server.",
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", rich_help_panel=FIRST, help=filters_as_typed.HELP),
    ] = None,
    required: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=FIRST,
            help="Words in a row that a document must hold. Repeat it for several.",
        ),
    ] = None,
    excluded: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=FIRST,
            help="Words in a row that no document may hold. Repeat it for several.",
        ),
    ] = None,
    optional: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=FIRST,
            help="Words in a row that count for a document. Repeat it for several.",
        ),
    ] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=FIRST,
            help="The beginning of a word that a document must hold. Repeat it.",
        ),
    ] = None,
    rerank: Annotated[
        bool | None,
        typer.Option(
            "--rerank/--no-rerank",
            rich_help_panel=SECOND,
            help="Whether to run the second pass; unset: the collection's default, or yes.",
        ),
    ] = None,
    rrf_k: RrfKOption = None,
    alpha: AlphaOption = None,
    ef_search: EfSearchOption = None,
    nprobe: NprobeOption = None,
    encoder_instruction: EncoderInstructionOption = "",
    depth: DepthOption = None,
    reranker: RerankerOption = None,
    truncation: TruncationOption = None,
    min_score: MinScoreOption = None,
    answer_threshold: AnswerThresholdOption = None,
    blend: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            rich_help_panel=SECOND,
            help="Weight of the first pass in the order; unset: the default of the collection or "
            "the model.",
        ),
    ] = None,
    instruction: Annotated[
        str,
        typer.Option(
            rich_help_panel=SECOND,
            help="What makes a passage relevant, for rerankers that are told so, as decoders are; "
            "unset: the model's own.",
        ),
    ] = "",
    query_truncation: Annotated[
        QueryTruncation | None,
        typer.Option(
            rich_help_panel=ANSWER,
            help=f"{LONG_QUESTIONS}; unset: the collection's default, or truncate.",
        ),
    ] = None,
    spans: SpansOption = False,
    highlight: HighlightOption = False,
    pruned: PrunedOption = False,
    span_window: SpanWindowOption = None,
    max_spans: MaxSpansOption = None,
    span_min_score: SpanMinScoreOption = None,
    neighbors: NeighborsOption = 0,
    query_id: Annotated[
        str,
        typer.Option(
            rich_help_panel=ANSWER,
            help="Your own key of the question, under which feedback on the answer is kept; --json "
            "prints the answer's search_id.",
        ),
    ] = "",
    diversity: DiversityOption = None,
    diversity_depth: DiversityDepthOption = None,
    collapse: CollapseOption = None,
    collapse_by: CollapseByOption = "",
    max_per_value: MaxPerValueOption = None,
    max_listed: MaxListedOption = None,
    time_budget: TimeBudgetOption = None,
    fallback: FallbackOption = True,
    min_sequence: MinSequenceOption = "",
    vectors: VectorsOption = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Search a collection: find candidates, then let the reranker order them.

    What is not given is the default of the collection (`twopass collections defaults`), of the
    server or of the model.

        twopass search docs "How do I parse a date?" -n 3
        twopass search docs "How do I parse a date?" --min-score 0.5 --answer-threshold 0.9
        twopass search docs "How do I parse a date?" --mode hybrid --depth 20 --time-budget 50
        twopass search docs "How do I parse a date?" --spans --json
    """
    shown = what_to_show(spans=spans, highlight=highlight, pruned=pruned, as_json=as_json)
    sentences = WantedSpans(
        spans=spans,
        highlight=highlight,
        pruned=pruned,
        window_tokens=span_window,
        max_spans=max_spans,
        min_score=span_min_score,
        neighbors=neighbors,
    )
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
                mode=mode,
                k=k and max(k, offset + top_n),
                fusion=fusion_for(rrf_k, alpha),
                ef_search=ef_search,
                nprobe=nprobe,
                words=words,
                instruction=encoder_instruction or None,
            ),
            rerank=Rerank(
                depth=depth,
                model=reranker,  # of the sentences too, with no second pass
                blend=blend,
                truncation=truncation,
                min_score=min_score,
                instruction=instruction or None,
                enabled=rerank if query else False,
                answer_threshold=answer_threshold,
            ),
            filter=filters_as_typed.parsed(filters or []),
            fields=fields_for(vectors=vectors, as_json=as_json),
            time_budget=None if time_budget is None else time_budget / 1_000,
            allow_fallback=fallback,
            min_sequence=min_sequence,
            query_truncation=query_truncation,
            spans=sentences.options(top_n),
            query_id=query_id,
            diversity=diversity_for(diversity, diversity_depth),
            collapse=collapse_for(collapse, collapse_by, max_per_value, max_listed),
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
    elif result.num_candidates and result.num_below_min_score == result.num_candidates:
        say(
            f"No hit: no score of the {counted(result.num_candidates, 'candidate')} found reaches "
            "the least. Try a lower --min-score; 0 leaves out none."
        )
    elif result.num_candidates:
        say(
            f"No hit: of the {counted(result.num_candidates, 'candidate')} found none is left to "
            "show" + (f" after --offset {offset}; try a smaller one." if offset else ".")
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
