"""A calibration as people read it."""

from twopass.commands.terminal.sentences import say
from twopass.commands.terminal.tables import Table, figures, names, print_table
from twopass.evaluation.calibration.pairs import Unjudged
from twopass.evaluation.calibration.reliability import Estimate
from twopass.evaluation.calibration.report import (
    FEW_QUERIES,
    CalibrationReport,
    Unit,
    Wanted,
)
from twopass.evaluation.calibration.thresholds import num_for_margin


def print_report(name: str, report: CalibrationReport, wanted: Wanted, unjudged: Unjudged) -> None:
    """Prints what was chosen, how sure that is, and what to do next.

    Args:
        name: What was calibrated.
        report: The figures.
        wanted: What was to be chosen.
        unjudged: What hits counted as that nobody judged.
    """
    for line in _chosen(name, report, wanted):
        say(line)
    table = Table([*names("scores"), *figures("calibration error", "95 %", "Brier", "95 %")])
    for told, measured in (
        ("as they are", report.before),
        (f"sigmoid({report.a:.4g} · logit {report.b:+.4g})", report.after),
        ("best rising curve", report.any_shape),
    ):
        if measured is not None:
            error, brier = measured.error, measured.brier
            table.add(
                told, f"{error.value:.3f}", _range(error), f"{brier.value:.3f}", _range(brier)
            )
    print_table(table)
    say(
        f"{report.num_queries:,} queries, {report.num_judged:,} hits counted as judged, "
        f"{report.num_relevant:,} of them relevant; fitted on one half of the queries, told of the "
        "other."
    )
    if report.num_unjudged:
        say(_of_unjudged(report, unjudged))
    if report.is_unsure:
        say(
            f"Fewer than {FEW_QUERIES} queries: the intervals are wide, and so is what may happen "
            "on others. Judge more before you rely on it."
        )


def _chosen(name: str, report: CalibrationReport, wanted: Wanted) -> list[str]:
    goal = wanted.precision if wanted.precision is not None else wanted.recall
    if goal is None:
        return [f"{name}: --precision 0.9, or --recall, chooses a threshold too"]
    what = "precision" if wanted.precision is not None else "recall"
    unit = "answers" if wanted.unit is Unit.ANSWERS else "hits"
    if report.threshold is None or report.reached is None:
        return [
            f"{name}: no threshold reaches a {what} of {goal:g} of {unit} on the half it is chosen "
            "on; ask for less, or judge more"
        ]
    reached = report.reached
    lines = [
        f"{name}: from a score of {report.threshold.score:.4f} on, chosen for a {what} of {goal:g} "
        f"of {unit}",
        f"on the other half: precision {_told(reached.precision)}, recall {_told(reached.recall)} "
        f"of {reached.num_relevant:,} relevant that were found; {reached.num_accepted:,} of "
        f"{reached.num_pairs:,} {unit} accepted",
    ]
    needed = num_for_margin(goal)
    if wanted.precision is not None and reached.num_accepted < needed:
        lines.append(
            f"for a precision to within 0.05 about {needed:,} accepted {unit} would have to be "
            "judged in that half"
        )
    return lines


def _of_unjudged(report: CalibrationReport, unjudged: Unjudged) -> str:
    if unjudged is Unjudged.IRRELEVANT:
        return (
            f"{report.num_unjudged:,} of the hits were judged by nobody and count as irrelevant: "
            "some are not, so probabilities and precision are at least what is told here."
        )
    return (
        f"{report.num_unjudged:,} hits that nobody judged are left out: people judge what comes "
        "first, so among all hits fewer may be relevant than is told here."
    )


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({_range(estimate)})"


def _range(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
