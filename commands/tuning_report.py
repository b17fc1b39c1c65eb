"""What `twopass tune` tells: the answer, how sure it is, the picture, and what to type next."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from twopass.commands.terminal.consoles import literal, text_columns
from twopass.commands.terminal.sentences import say, say_exactly
from twopass.commands.terminal.tables import Table, figures, names, print_table
from twopass.evaluation.tuning.choice import Reason
from twopass.evaluation.tuning.picture import Axes
from twopass.evaluation.tuning.run import Tuned
from twopass.evaluation.tuning.settings import Settings, fusion_name
from twopass.evaluation.tuning.trial import Check
from twopass.evaluation.tuning.windows import Windowed

_WIDEST, _LINES = 76, 15
_LABEL = 6
MADE_UP = (
    "The questions were cut out of the documents: they are worded as the documents are, and tell "
    "less than what people asked and judged. Take this for a first choice, and tune again when "
    "some hundred queries are judged."
)


def print_tuned(tuned: Tuned, *, is_made_up: bool) -> None:
    """Prints the answer first, then how sure it is, then the picture and its table."""
    for line in answer_lines(tuned):
        say(line)
    if is_made_up:
        say(literal(MADE_UP, "yellow"))
    say("")
    for drawn in plot_lines(tuned, min(_WIDEST, text_columns())):
        say_exactly(drawn)
    say("")
    print_table(_table(tuned))


def answer_lines(tuned: Tuned) -> Iterator[str]:
    """The answer, how sure it is, and what it rests on."""
    tried, plan, choice = tuned.tried, tuned.plan, tuned.tried.choice
    gain = tried.gain
    taken = tried.recommended
    before = tuned.times.get(plan.defaults)
    if taken is None:
        yield f"Keep the defaults: {plan.defaults.told()}."
    else:
        after = tuned.times.get(taken)
        times = (
            ""
            if not (before and after)
            else (f", {before.milliseconds:.0f} → {after.milliseconds:.0f} ms a search")
        )
        yield f"Take: {taken.told()}{times}."
    how = (
        "the half of the queries that it was not chosen by"
        if tried.check is Check.HALVES
        else "queries that each fifth was not chosen by (cross-validated)"
    )
    if choice.reason is not Reason.NOTHING_BETTER:
        kept_back = (
            ""
            if not tried.kept_back
            else (f"{choice.settings.told()} was chosen, but {tried.kept_back}: ")
        )
        yield (
            f"{kept_back}nDCG@10 {gain.before:.3f} → {gain.after:.3f} on {gain.num_queries:,} "
            f"queries, {how}: {gain.gain:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}, "
            f"p {_p(gain.p_value)}."
        )
    yield _best_line(tuned)
    if tuned.judged[1] < tuned.judged[0] - 0.1:
        yield (
            f"Of the first ten hits {tuned.judged[0]:.0%} are judged with the defaults and "
            f"{tuned.judged[1]:.0%} with the choice; what nobody judged counts as irrelevant, so "
            "the choice may be better than it looks: judge its hits too."
        )
    compared = [one.agreement for one in tuned.times.values() if one.agreement is not None]
    if min(compared, default=1) < 1:
        yield (
            f"Of the searches that were timed, {min(compared):.0%} in the worst way had the "
            "first ten hits that were computed: the collection's index is approximate, or it was "
            "written to meanwhile."
        )


def _best_line(tuned: Tuned) -> str:
    choice = tuned.tried.choice
    if choice.gain_of_best <= 0:
        return f"Of {choice.num_ways:,} ways of searching none looks better than the defaults."
    line = (
        f"The best of {choice.num_ways:,} ways looks {choice.gain_of_best:.3f} better than the "
        f"defaults on the queries that chose, with p {_p(choice.p_of_best)} for the best of so "
        "many."
    )
    if choice.p_of_best >= 0.05 and choice.num_needed is not None:
        line += (
            f" A gain of that size would take about {choice.num_needed:,} judged queries to show "
            "for one way alone, more for the best of many."
        )
    return line


def plot_lines(tuned: Tuned, columns: int) -> Iterator[Text]:
    """The picture in characters, the time from left to right."""
    axes = Axes.of(tuned)
    width = columns - _LABEL - 3
    canvas = [[" "] * width for _ in range(_LINES)]
    ranks = "·oDX"

    def put(way: Settings, mark: str) -> None:
        right, up = axes.share(tuned.milliseconds[way], tuned.qualities[way])
        row = _LINES - 1 - min(_LINES - 1, int(up * _LINES))
        column = min(width - 1, int(right * width))
        if ranks.find(mark) >= ranks.find(canvas[row][column]):
            canvas[row][column] = mark

    for way in tuned.qualities:
        put(way, "·")
    for way in axes.frontier(tuned):
        put(way, "o")
    put(tuned.plan.defaults, "D")
    if tuned.tried.recommended is not None:
        put(tuned.tried.recommended, "X")
    styles = {"o": "cyan", "D": "bold", "X": "bold green"}
    labelled = {
        _LINES - 1 - min(_LINES - 1, int(axes.share(axes.least_ms, value)[1] * _LINES)): value
        for value in axes.quality_ticks()
    }
    yield Text("nDCG@10", style="dim")
    for number, row in enumerate(canvas):
        label = f"{labelled[number]:.2f}" if number in labelled else ""
        line = Text(f"{label:>{_LABEL}} │", style="dim")
        for mark in row:
            line.append(mark, style=styles.get(mark, "dim"))
        line.rstrip()
        yield line
    yield Text(" " * (_LABEL + 1) + "└" + "─" * width, style="dim")
    below = [" "] * (width + 8)
    end = -1
    for tick in axes.time_ticks():
        at, label = int(axes.share(tick, axes.least)[0] * width), f"{tick:g}"
        if at > end:
            below[at : at + len(label)] = label
            end = at + len(label)
    yield Text(" " * (_LABEL + 2) + "".join(below).rstrip() + " ms", style="dim")
    yield Text(
        " " * (_LABEL + 2) + "D defaults  X choice  o nothing quicker is as good  · a way",
        style="dim",
    )


def _table(tuned: Tuned) -> Table:
    heads = [*names("", "first pass", "fusion", "reranker")]
    table = Table(
        [*heads, *figures("k", "reranked", "blend", "nDCG@10", "ms", "quartiles")],
        title=f"{tuned.plan.collection.name}: the frontier, all {tuned.plan.num_queries:,} judged "
        "queries",
        num_names=2,
    )
    defaults, taken = tuned.plan.defaults, tuned.tried.recommended
    shown = {*tuned.times, *Axes.of(tuned).frontier(tuned), defaults}
    for way in sorted(shown, key=lambda way: tuned.milliseconds[way]):
        mark = "X" if way == taken else "D" if way == defaults else ""
        time = tuned.times.get(way)
        table.add(
            Text(mark, style="bold green" if mark == "X" else "bold"),
            way.mode,
            "" if way.fusion is None else fusion_name(way.fusion),
            "" if way.reader is None else way.series.partition(" + ")[2],
            str(way.k),
            str(way.depth) if way.reader else "",
            f"{way.blend:g}" if way.reader else "",
            f"{tuned.qualities[way]:.3f}",
            f"{tuned.milliseconds[way]:.1f}" if time else f"≈{tuned.milliseconds[way]:.0f}",
            f"{time.quartiles[0]:.1f}–{time.quartiles[1]:.1f}" if time else "",  # noqa: RUF001
        )
    return table


def windows_table(found: Sequence[Windowed]) -> Table:
    """Windows of other sizes: a size a row, against the collection as it is."""
    table = Table(
        [*names("window"), *figures("now", "there", "difference", "95 % interval", "p", "ms")],
        title="nDCG@10 of the same settings in other windows; p adjusted for their number (Holm)",
        num_names=1,
    )
    for one in found:
        gain = one.gain
        table.add(
            f"{one.window_tokens} tokens",
            f"{gain.before:.3f}",
            f"{gain.after:.3f}",
            f"{gain.gain:+.3f}",
            f"{gain.low:+.3f} to {gain.high:+.3f}",
            _p(gain.p_value),
            f"{one.milliseconds:.1f}",
        )
    return table


def as_json(tuned: Tuned, *, is_made_up: bool, is_saved: bool) -> dict[str, Any]:
    """All of it for scripts."""
    tried, choice, plan = tuned.tried, tuned.tried.choice, tuned.plan
    return {
        "collection": plan.collection.name,
        "num_queries": plan.num_queries,
        "made_up": is_made_up,
        "defaults": plan.defaults.as_json(),
        "chosen": choice.settings.as_json(),
        "reason": choice.reason,
        "kept_back": tried.kept_back,
        "recommended": None if tried.recommended is None else tried.recommended.as_json(),
        "saved": is_saved,
        "check": tried.check,
        "gain": dataclasses.asdict(tried.gain) | {"gain": tried.gain.gain},
        "best": choice.best.as_json(),
        "gain_of_best": choice.gain_of_best,
        "p_of_best": choice.p_of_best,
        "num_ways": choice.num_ways,
        "num_needed": choice.num_needed,
        "judged": {"defaults": tuned.judged[0], "chosen": tuned.judged[1]},
        "num_pairs": tuned.num_pairs,
        "seconds": tuned.seconds,
        "ways": [
            {
                **way.as_json(),
                "ndcg": ndcg,
                "ms": tuned.milliseconds[way],
                "measured": None
                if (time := tuned.times.get(way)) is None
                else {"quartiles": time.quartiles, "agreement": time.agreement},
                "on_frontier": way in choice.frontier,
            }
            for way, ndcg in tuned.qualities.items()
        ],
    }


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"
