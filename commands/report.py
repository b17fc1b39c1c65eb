"""`twopass report`: whether the second pass pays, by what it changed in live searches."""

import dataclasses
import re
from datetime import timedelta
from typing import Annotated, Any

import typer

from twopass.client import Report
from twopass.commands.completion import collection_names
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.report_tables import overview_table, report_tables
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.markdown import literal_markdown, markdown_table, print_markdown
from twopass.commands.terminal.sentences import say, say_beside
from twopass.commands.terminal.tables import print_table

_WINDOW = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def report(
    collection: Annotated[
        str,
        typer.Argument(
            help="The collection's name or an alias; unset: a line for each.",
            autocompletion=collection_names,
        ),
    ] = "",
    window: Annotated[
        str, typer.Option(help="How far to look back, 1m to 24h, such as 30m or 1h.")
    ] = "24h",
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for a page or a message.")
    ] = False,
) -> None:
    """Show what the second pass changed in live searches, what it costs, and what to do about it.

    Every answered search is counted, in the memory of the server that is asked: of several behind
    a balancer each has its own counts, and a restart begins anew. The metrics
    twopass_relevance_* tell the same of all of them, for as long as Prometheus keeps them.

        twopass report
        twopass report docs --window 1h
        twopass report docs --markdown
    """
    if as_json and as_markdown:
        exit_with("--json and --markdown: give one of them", USAGE)
    seconds = _seconds(window)
    with connected(target) as client:
        found = (
            [client.report(collection, window=seconds)]
            if collection
            else list(client.reports(window=seconds))
        )
    if as_json:
        content = [_content(each) for each in found]
        print_json(content[0] if collection else content)
    elif not found:
        say_beside(f"no search was answered in the last {window}")
    elif as_markdown:
        print_markdown(*(_markdown(each, whole=bool(collection)) for each in found))
    elif collection:
        _print_whole(found[0])
    else:
        print_table(overview_table(found))
        advised = [each.collection for each in found if each.advice]
        if advised:
            say()
            say(f"there is advice on {', '.join(advised)}: twopass report {advised[0]}")


def _print_whole(found: Report) -> None:
    say(_title(found))
    say()
    say(found.summary)
    if found.is_full:
        say(_FULL)
    if found.num_searches or found.feedback or found.shadows:
        say()
        print_table(*report_tables(found))
    if found.advice:
        say()
        say("What could be done:")
        for each in found.advice:
            say(each.text, indent=2)


_FULL = (
    "The server counts as many collections apart as it can, and this one is not among them: it is "
    "counted together with others, as _other."
)


def _markdown(found: Report, *, whole: bool) -> str:
    # Commands in the server's sentences stand between backticks, as in Markdown.
    advice = [f"- {each.text}" for each in found.advice]
    parts = [
        f"### {literal_markdown(_title(found))}",
        found.summary,
        *([literal_markdown(_FULL)] if found.is_full else []),
        *(["\n".join(["What could be done:", "", *advice])] if advice else []),
    ]
    if whole and found.num_searches:
        parts += [markdown_table(table) for table in report_tables(found)]
    return "\n\n".join(parts)


def _title(found: Report) -> str:
    return f"{found.collection}, the last {_span(found.until - found.since)}"


def _span(time: timedelta) -> str:
    if time < timedelta(minutes=2):
        return f"{time.total_seconds():.0f} s"
    minutes = round(time.total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours and rest else f"{hours} h" if hours else f"{rest} min"


def _seconds(window: str) -> float:
    match = _WINDOW.fullmatch(window)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not 60 <= seconds <= 86_400:
        exit_with(f"--window: {window!r} given; 1m to 24h are possible, such as 30m or 1h", USAGE)
    return seconds


def _content(found: Report) -> dict[str, Any]:
    content = dataclasses.asdict(found)
    for shadow in content["shadows"]:
        for comparison in shadow["comparisons"]:
            comparison["start_time"] = comparison["start_time"].isoformat()
    return content | {"since": found.since.isoformat(), "until": found.until.isoformat()}
