"""What the second pass changed, as tables for people."""

from collections.abc import Iterable, Sequence

from twopass.client import PlaceBin, Report, ValueBin
from twopass.commands.terminal.tables import Table, figures, names

# Columns of a bar that stands for all searches.
_BAR = 30
_EIGHTHS = " ▏▎▍▌▋▊▉"


def overview_table(reports: Sequence[Report]) -> Table:
    """One line for each collection."""
    table = Table(
        [
            *names("collection"),
            *figures(
                *("searches", "first hit changed", "first three", "hits kept"),
                *("second pass, ms", "search, ms", "left out or cut short"),
            ),
        ],
        num_names=1,
    )
    for report in reports:
        order, time = report.order, report.time
        compared = order.num_compared
        table.add(
            report.collection,
            f"{report.num_searches:,}",
            _share(order.num_first_changed, compared),
            _share(order.num_three_changed, compared),
            f"{order.overlap:.0%}" if compared else "",
            "" if time is None else _ms(time.median_ms),
            "" if time is None else _ms(time.search_median_ms),
            _share(_num_not_whole(report), report.num_searches),
        )
    return table


def report_tables(report: Report) -> list[Table]:
    """All that a report says of one collection."""
    return [
        _order(report),
        *([] if report.time is None else [_time(report)]),
        _shares(report),
        *([_scores(report), _margins(report), _places(report)] if report.time else []),
        *_feedback(report),
        *_shadows(report),
    ]


def _order(report: Report) -> Table:
    order = report.order
    table = Table([*names("what the second pass changed"), *figures("searches", "share")])
    for what, count in (
        ("the first hit", order.num_first_changed),
        ("a new document among the first three", order.num_three_changed),
        ("a new document among all hits shown", order.num_top_changed),
        ("compared", order.num_compared),
    ):
        table.add(what, f"{count:,}", _share(count, order.num_compared))
    table.add("hits that the first pass alone would have shown", "", f"{order.overlap:.0%}")
    table.add("ranks that a hit moved, on average", f"{order.mean_displacement:.1f}", "")
    return table


def _time(report: Report) -> Table:
    time = report.time
    assert time is not None
    table = Table([*names("time"), *figures("median, ms", "99%, ms", "share of all time")])
    share = time.total_ms / time.search_total_ms if time.search_total_ms else 0.0
    table.add("second pass", _ms(time.median_ms), _ms(time.p99_ms), f"{share:.0%}")
    table.add("whole search", _ms(time.search_median_ms), _ms(time.search_p99_ms), "")
    return table


def _shares(report: Report) -> Table:
    passages, top = report.passages, report.top_scores
    table = Table([*names("what happened"), *figures("times", "share")])
    for which, statuses in (
        ("first pass", report.retrieve_statuses),
        ("second pass", report.rerank_statuses),
    ):
        for status, count in sorted(statuses.items(), key=lambda item: -item[1]):
            words = f"{which}: {status.replace('_', ' ')}"
            table.add(words, f"{count:,}", _share(count, report.num_searches))
    for what, count, of in (
        ("queries not read to their end", report.num_queries_truncated, report.num_searches),
        ("passages not read to their end", passages.num_truncated, passages.num_passages),
        ("passages below min_score", passages.num_below_min_score, passages.num_passages),
        ("searches that min_score left empty", top.num_left_empty, top.num_with_min_score),
        ("searches that nothing answers", top.num_unanswerable, top.num_with_threshold),
    ):
        if of:
            table.add(what, f"{count:,}", _share(count, of))
    return table


def _feedback(report: Report) -> Iterable[Table]:
    found = report.feedback
    if found is None or not (found.num_clicks or found.num_judgements):
        return
    table = Table([*names("what people sent back"), *figures("times", "share")])
    table.add("clicks", f"{found.num_clicks:,}", "")
    table.add("queries with a click", f"{found.num_clicked_queries:,}", "")
    first = _share(found.num_first_clicks, found.num_ranked_clicks)
    table.add("clicks on the first hit", f"{found.num_first_clicks:,}", first)
    if found.mean_reciprocal_rank is not None:
        table.add("mean reciprocal rank of clicks", f"{found.mean_reciprocal_rank:.3f}", "")
    table.add("judgements", f"{found.num_judgements:,}", "")
    relevant = _share(found.num_relevant, found.num_judgements)
    table.add("judged relevant", f"{found.num_relevant:,}", relevant)
    yield table


def _shadows(report: Report) -> Iterable[Table]:
    measured = figures("searches", "shadow - live", "95% from", "to", "p")
    table = Table([*names("shadow", "by"), *measured])
    for shadow in report.shadows:
        for comparison in shadow.comparisons:
            same = f"{comparison.equal_first:.0%} with the same first hit"
            table.add(shadow.name, same, f"{comparison.num_compared:,}", "", "", "", "")
            for each in comparison.differences:
                table.add(
                    shadow.name,
                    str(each.measure),
                    f"{each.num_searches:,}",
                    f"{each.mean:+.3f}",
                    f"{each.lower:+.3f}",
                    f"{each.upper:+.3f}",
                    f"{each.p_value:.2g}",
                )
    if table.rows:
        yield table


def _scores(report: Report) -> Table:
    return _histogram("score of the best candidate", _ranges(report.top_scores.scores, 0.0))


def _margins(report: Report) -> Table:
    title = "its logit above that of the second"
    return _histogram(title, _ranges(report.top_scores.margins, None))


def _places(report: Report) -> Table:
    title = "where the first hit stood in the first pass"
    return _histogram(title, _place_ranges(report.order.first_hit_places))


def _histogram(head: str, bins: Iterable[tuple[str, int]]) -> Table:
    """Counts by range, from the first that is not empty to the last."""
    bins = list(bins)
    filled = [i for i, (_, count) in enumerate(bins) if count]
    table = Table([*names(head), *figures("searches", "share"), *names("")])
    if filled:
        whole = sum(count for _, count in bins)
        for text, count in bins[filled[0] : filled[-1] + 1]:
            table.add(text, f"{count:,}", _share(count, whole), _bar(count / whole))
    return table


def _ranges(bins: Sequence[ValueBin], begin: float | None) -> Iterable[tuple[str, int]]:
    for each in bins:
        if begin is None:
            text = f"below {each.end:g}"
        elif each.end is None:
            text = f"{begin:g} and more"
        else:
            text = f"{begin:g} to {each.end:g}"
        yield text, each.count
        begin = each.end


def _place_ranges(bins: Sequence[PlaceBin]) -> Iterable[tuple[str, int]]:
    first = 1
    for each in bins:
        if each.last is None:
            text = f"{first:,} and further"
        else:
            text = f"{first:,}" if each.last == first else f"{first:,} to {each.last:,}"
        yield text, each.count
        first = (each.last or 0) + 1


def _num_not_whole(report: Report) -> int:
    whole = report.rerank_statuses.get("complete", 0) + report.rerank_statuses.get("disabled", 0)
    return report.num_searches - whole


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%}" if of else ""


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _bar(share: float) -> str:
    eighths = round(share * _BAR * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
