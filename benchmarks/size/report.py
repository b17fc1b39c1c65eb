"""The report on size, for people and for scripts."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from twopass.benchmarks.machine import Machine
from twopass.benchmarks.size.ingest import Ingest
from twopass.benchmarks.size.judged_words import JudgedWords
from twopass.benchmarks.size.searches import K, KindReport, chosen


@dataclass(frozen=True, slots=True)
class SizeReport:
    """Everything that was measured.

    Attributes:
        machine: What it ran on; server and client shared it.
        num_documents: Documents, their texts 400 characters or some more.
        dimension: Components of a vector.
        num_queries: Queries of each setting.
        ingest: How fast the documents came in.
        kinds: Each index kind.
        words: Lexical searches of judged questions; None where no question has an answer.
    """

    machine: Machine
    num_documents: int
    dimension: int
    num_queries: int
    ingest: Ingest
    kinds: tuple[KindReport, ...]
    words: JudgedWords | None = None


def as_json(report: SizeReport) -> dict[str, Any]:
    """The whole report in what JSON has."""
    ingest = {"slowest": report.ingest.slowest, "share": report.ingest.share}
    return dataclasses.asdict(report) | {"ingest": dataclasses.asdict(report.ingest) | ingest}


def as_tables(report: SizeReport) -> RenderableType:
    """What it ran on, how documents came in, then a row for each kind and for each setting."""
    return Group(
        f"[bold]{report.num_documents:,} documents, {report.dimension} dimensions[/], "
        f"{report.num_queries} queries, client and server on one machine",
        *(escape(line) for line in report.machine.lines()),
        "",
        _ingest_table(report.ingest),
        "",
        _kinds_table(report),
        "",
        _searches_table(report.kinds),
        *(() if report.words is None else ("", _words_table(report.words))),
    )


def _ingest_table(ingest: Ingest) -> Table:
    table = _table("ingest", ("documents/s",))
    for name, rate in ingest.alone.items():
        table.add_row(f"{name}, alone", f"{rate:,.0f}")
    table.add_row(
        f"all of it through gRPC ({ingest.share:.0%} of the slowest alone)",
        f"{ingest.through_grpc:,.0f}",
        style="bold",
    )
    return table


def _kinds_table(report: SizeReport) -> Table:
    times = ("build s", "start s", "load s")
    sizes = ("memory B/doc", "index B/doc", "documents B/doc", "words B/doc")
    table = _table("index", (*times, *sizes))
    count = report.num_documents
    for kind in report.kinds:
        table.add_row(
            kind.index_kind,
            f"{kind.build_seconds:,.1f}",
            f"{kind.start_seconds:,.1f}",
            f"{kind.load_seconds:,.2f}",
            f"{kind.memory_bytes / count:,.0f}",
            f"{kind.index_bytes / count:,.0f}",
            f"{kind.documents_bytes / count:,.0f}",
            f"{kind.words_bytes / count:,.0f}",
        )
    return table


def _searches_table(kinds: Iterable[KindReport]) -> Table:
    columns = (f"recall@{K}", "p50 ms", "p99 ms", "searches/s, 8 at once")
    table = _table("search", columns)
    for kind in kinds:
        best = chosen(kind.searches)
        for searches in (*kind.searches, *kind.searches_for_words):
            table.add_row(
                f"{kind.index_kind} {searches.setting}",
                "" if searches.recall is None else f"{searches.recall:.4f}",
                f"{searches.p50_ms:,.1f}",
                f"{searches.p99_ms:,.1f}",
                f"{searches.per_second:,.0f}",
                style="bold" if searches == best else "",
            )
    return table


def _words_table(words: JudgedWords) -> Table:
    table = _table("lexical, judged questions", ("questions", "nDCG@10", "p50 ms"))
    table.add_row(
        "every word", f"{words.num_questions}", f"{words.ndcg:.4f}", f"{words.p50_ms:,.1f}"
    )
    return table


def _table(first: str, columns: Iterable[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table
