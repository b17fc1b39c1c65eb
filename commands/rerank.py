"""`twopass rerank`: orders the passages of a file by their relevance to a question."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from twopass.client import QueryTruncation, Truncation
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.search_options import LONG_PASSAGES, LONG_QUESTIONS
from twopass.commands.sources.decoding import marked_encoding, not_decoded
from twopass.commands.sources.options import EncodingOption
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
from twopass.commands.terminal.consoles import is_terminal, literal
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.hits import QUERY_CUT, print_passages
from twopass.commands.terminal.sentences import say, say_beside
from twopass.commands.terminal.spans import told_of_spans


def rerank(
    query: Annotated[str, typer.Argument(help="The question.")],
    file: Annotated[
        Path | None,
        typer.Argument(help="Text file, one passage a line; unset: standard input."),
    ] = None,
    top_n: Annotated[
        int, typer.Option("--top-n", "-n", min=0, help="How many to show; 0 all.")
    ] = 10,
    instruction: Annotated[
        str,
        typer.Option(
            help="What makes a passage relevant, for rerankers that are told so, as decoders are; "
            "unset: the model's own."
        ),
    ] = "",
    query_truncation: Annotated[
        QueryTruncation | None,
        typer.Option(help=f"{LONG_QUESTIONS}; unset: truncate."),
    ] = None,
    reranker: Annotated[
        str | None,
        typer.Option(help="The reranker, as `twopass models` lists them; unset: the server's."),
    ] = None,
    truncation: Annotated[
        Truncation | None,
        typer.Option(help=f"{LONG_PASSAGES}; unset: truncate."),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out passages whose score is lower."),
    ] = None,
    encoding: EncodingOption = None,
    spans: SpansOption = False,
    highlight: HighlightOption = False,
    pruned: PrunedOption = False,
    span_window: SpanWindowOption = None,
    max_spans: MaxSpansOption = None,
    span_min_score: SpanMinScoreOption = None,
    neighbors: NeighborsOption = 0,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Order passages by how well they answer a question."""
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
    passages = _passages(file, encoding)
    if not passages:
        exit_with(f"{file or 'standard input'}: no passage; one is expected on each line")
    with connected(target) as client:
        result = client.rerank(
            query,
            passages,
            top_n=top_n,
            model=reranker,
            truncation=truncation,
            min_score=min_score,
            return_text=True,
            instruction=instruction or None,
            query_truncation=query_truncation,
            spans=sentences.options(top_n),
        )
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    print_passages(result, query, shown)
    if why := told_of_spans(result.spans_status):
        say(literal(why, "dim"))
    if result.query_truncated:
        say(literal(QUERY_CUT, "dim"))


def _passages(file: Path | None, encoding: str | None) -> list[str]:
    r"""The lines of a file, or of standard input, that are not blank; they end at `\n` alone."""
    if file is None and is_terminal(sys.stdin):
        say_beside("Type passages, one on each line; Ctrl-D ends them.")
    try:
        content = file.read_bytes() if file else sys.stdin.buffer.read()
    except FileNotFoundError:
        exit_with(f"{file}: there is no such file; one is needed with a passage on each line")
    except OSError as error:
        exit_with(f"{file}: {error.strerror}; a file is needed with a passage on each line")
    encoding = marked_encoding(content) or encoding or "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        exit_with(f"{file or 'standard input'}:{line}: {not_decoded(error, encoding)}")
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()]
