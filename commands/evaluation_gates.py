"""Gates of `twopass eval`: what is asked of quality, and what is written for pipelines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from twopass.commands.evaluation_tables import checks_table
from twopass.commands.terminal.failures import TOO_LOW, USAGE, exit_with, say_error
from twopass.commands.terminal.markdown import literal_markdown, markdown_table
from twopass.commands.terminal.sentences import counted, say_beside
from twopass.evaluation.baseline import (
    BaselineError,
    MeasuredSet,
    measured_set,
    read_baseline,
    write_baseline,
)
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.gates import (
    Gate,
    GateError,
    Verdict,
    ensure_comparable,
    judge,
    parse_limit,
)
from twopass.evaluation.junit import write_junit

FailBelow = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-below",
        metavar="[SET:][WAY:]MEASURE=VALUE",
        help="End with exit status 5 where a measure is below a value: ndcg@10=0.80, mrr@10=0.7, "
        "recall@50=0.9; of every set's final order, or of one set, or of one way as in "
        "hybrid:ndcg@10=0.6; give several.",
    ),
]
FailAboveMs = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="End with exit status 5 where the median time of a search in the server is above so "
        "many milliseconds; unset: however long.",
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What --save-baseline wrote: end with exit status 5 where nDCG@10, or a measure of "
        "--fail-below, has fallen by more than chance explains, on the same queries.",
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="With --against: a fall by no more than this is no regression."
    ),
]
AllowOtherCorpus = Annotated[
    bool,
    typer.Option(
        "--allow-other-corpus", help="With --against: compare although the documents are others."
    ),
]
SaveBaseline = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Keep what was measured, query by query, for --against; not where a gate fails.",
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write each gate as a test in the form of JUnit."),
]
Markdown = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Append a table of all gates in Markdown, as for a step's summary of a pipeline.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What is asked of an evaluation, and what is kept of it.

    Attributes:
        gate: What is asked.
        save_baseline: Where what was measured is kept; None for nowhere.
        junit: Where the gates are written as tests; None for nowhere.
        markdown: Where they are written as a table; None for nowhere.
    """

    gate: Gate
    save_baseline: Path | None
    junit: Path | None
    markdown: Path | None

    @property
    def are_asked_for(self) -> bool:
        """Whether anything is asked or kept."""
        files = self.save_baseline, self.junit, self.markdown
        return self.asks or any(file is not None for file in files)

    @property
    def asks(self) -> bool:
        """Whether an evaluation can fail."""
        gate = self.gate
        return bool(gate.limits) or gate.baseline is not None or gate.max_ms is not None


def read_gates(
    *,
    fail_below: Sequence[str] | None,
    fail_above_ms: float | None,
    against: Path | None,
    tolerance: float,
    allow_other_corpus: bool,
    save_baseline: Path | None,
    junit: Path | None,
    markdown: Path | None,
) -> Gates:
    """Reads what is asked, before anything is measured; what is given wrongly ends the command."""
    if against is None and (tolerance or allow_other_corpus):
        exit_with("--tolerance, --allow-other-corpus: need --against beside them", USAGE)
    try:
        limits = tuple(parse_limit(text) for text in fail_below or ())
    except GateError as error:
        exit_with(f"--fail-below: {error}", USAGE)
    for flag, file in (
        ("--save-baseline", save_baseline),
        ("--junit", junit),
        ("--markdown", markdown),
    ):
        if file is not None and not file.absolute().parent.is_dir():
            exit_with(f"{flag} {file}: there is no folder {file.absolute().parent}", USAGE)
    try:
        baseline = None if against is None else read_baseline(against)
    except BaselineError as error:
        exit_with(f"--against: {error}")
    gates = Gates(
        gate=Gate(
            limits=limits,
            baseline=baseline,
            tolerance=tolerance,
            allow_other_corpus=allow_other_corpus,
            max_ms=fail_above_ms,
        ),
        save_baseline=save_baseline,
        junit=junit,
        markdown=markdown,
    )
    if (junit or markdown) and not gates.asks:
        exit_with(
            "--junit, --markdown: tell of gates; give --fail-below, --against or --fail-above-ms",
            USAGE,
        )
    return gates


def check_comparable(gates: Gates, datasets: Sequence[Dataset]) -> None:
    """Looks whether there is a baseline of the test collections; where there is none, ends."""
    try:
        ensure_comparable([measured_set(dataset, ()) for dataset in datasets], gates.gate)
    except BaselineError as error:
        exit_with(f"--against: {error}")


def pass_gates(gates: Gates, sets: Sequence[MeasuredSet]) -> None:
    """Judges what was measured, and writes what is asked for; a gate that fails ends the command.

    Args:
        gates: What is asked.
        sets: What was measured.
    """
    try:
        verdict = judge(sets, gates.gate)
    except (BaselineError, GateError) as error:
        flag = "--against" if isinstance(error, BaselineError) else "--fail-below"
        exit_with(f"{flag}: {error}")
    for note in verdict.notes:
        say_beside(note)
    try:
        if gates.junit is not None:
            write_junit(gates.junit, verdict)
        if gates.markdown is not None:
            with gates.markdown.open("a", encoding="utf-8") as out:
                out.write(gates_markdown(verdict) + "\n")
    except OSError as error:
        exit_with(f"{error.filename}: can't be written ({error.strerror})")
    for check in verdict.failed:
        for problem in check.problems:
            say_error(problem)
    if verdict.failed:
        if gates.save_baseline is not None:
            say_beside(f"{gates.save_baseline} is left as it was, since a gate failed")
        raise typer.Exit(TOO_LOW)
    if gates.save_baseline is not None:
        try:
            write_baseline(gates.save_baseline, sets)
        except BaselineError as error:
            exit_with(f"--save-baseline: {error}")
    if gates.asks:
        say_beside(f"{counted(len(verdict.checks), 'gate')} passed")


def gates_markdown(verdict: Verdict) -> str:
    """What a gate says, for a page that renders Markdown."""
    num_failed = len(verdict.failed)
    said = (
        f"**{num_failed:,} of {counted(len(verdict.checks), 'gate')} failed**"
        if num_failed
        else f"**{counted(len(verdict.checks), 'gate')} passed**"
    )
    problems = [
        f"- {literal_markdown(text)}" for check in verdict.failed for text in check.problems
    ]
    notes = [f"- {literal_markdown(note)}" for note in verdict.notes]
    parts = [
        "### Search quality",
        said,
        markdown_table(checks_table(verdict.checks)),
        *(["\n".join(problems)] if problems else []),
        *(["\n".join(notes)] if notes else []),
    ]
    return "\n\n".join(parts) + "\n"
