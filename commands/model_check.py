"""`twopass models check`: what was read of a folder, what runs it, whether it computes the same."""

import dataclasses
import math
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from twopass.commands.options import AsJson, print_json
from twopass.commands.terminal.consoles import literal
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.sentences import say, say_exactly
from twopass.commands.terminal.tables import Table, figures, names, print_table, texts

if TYPE_CHECKING:  # heavy imports wait until a command runs: --help stays quick
    from twopass.engines.model.folder import ModelFolder
    from twopass.evaluation.model_check import Attempt, Difference
    from twopass.evaluation.model_references import Reference

Compared = list[tuple["Attempt", "Difference | None"]]

# What the command ends with, beside 0: a folder that is refused, or that nothing here runs; and an
# engine whose outputs are not the reference's.
_REFUSED, _DIFFERS = 1, 3


def check(
    model: Annotated[str, typer.Argument(help="A shipped model, a folder, or a hub id.")],
    threads: Annotated[
        int, typer.Option(min=0, help="Threads of a forward pass; 0 for one each CPU.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Tell how a model's folder is read, what runs it here, and whether its outputs are right.

    Every setting is listed with the file it comes from. Every engine is tried on a dozen texts and
    compared with sentence-transformers where that is installed, else with transformers.

    Ends with 0 if the model can be served; with 1 if its folder is refused or no engine runs it
    here; with 3 if an engine's outputs differ from the reference by more than its precision.
    """
    from twopass.engines.errors import EngineError
    from twopass.engines.model.folder import open_model
    from twopass.evaluation import model_check
    from twopass.evaluation.model_references import reference

    try:
        folder = open_model(model)
    except EngineError as error:
        exit_with(error)
    tried = list(model_check.attempts(model, threads))
    expected = reference(folder)
    compared: Compared = []
    for attempt in tried:
        has_both = attempt.outputs is not None and not isinstance(expected, str)
        difference = None
        if has_both:
            assert not isinstance(expected, str)
            difference = model_check.difference(attempt, expected.outputs, folder.spec.kind)
        compared.append((attempt, difference))
    if as_json:
        print_json(_as_json(folder, compared, expected))
    else:
        _print(folder, compared, expected)
    if all(attempt.refusal for attempt in tried):
        raise typer.Exit(_REFUSED)
    if any(found is not None and not found.within for _, found in compared):
        raise typer.Exit(_DIFFERS)


def _print(folder: "ModelFolder", compared: Compared, expected: "Reference | str") -> None:
    spec = folder.spec
    runs = [attempt for attempt, _ in compared if not attempt.refusal]
    answer = f"runs on {', '.join(dict.fromkeys(a.engine for a in runs))}" if runs else "runs on no"
    wrong = any(found is not None and not found.within for _, found in compared)
    say(
        literal(spec.id, "bold"),
        f": {spec.kind.value}, {answer if runs else 'no engine runs it'}",
        Text("; its outputs differ from the reference" if wrong else "", style="bold red"),
    )
    for warning in folder.warnings:
        say(Text("warning: ", style="yellow"), warning)
    say()
    table = Table(texts("setting", "value", "read from"))
    for reading in folder.readings:
        table.add(reading.setting, reading.value, reading.source)
    print_table(table)
    say()
    for name, value in _identity(folder).items():
        say_exactly(literal(f"{name}: {value}"))
    if runs:
        print_table(_engines_table(compared))
        say()
    for attempt, _ in compared:
        if attempt.refusal:
            say(f"not on {attempt.engine}: {attempt.refusal}")
    say(
        f"not compared: {expected}"
        if isinstance(expected, str)
        else f"compared with {expected.library} in float32"
    )
    flag = "--reranker" if spec.kind.value == "reranker" else "--encoder"
    if runs:
        say_exactly(literal(f"serve it: twopass serve {flag} {shlex.quote(spec.id)}"))


def _engines_table(compared: Compared) -> Table:
    """The engines that run the model, and how far they are from the reference if there is one."""
    ran = [(attempt, found) for attempt, found in compared if not attempt.refusal]
    if all(found is None for _, found in ran):
        table = Table(names("engine", "precision"))
        for attempt, _ in ran:
            table.add(attempt.engine, attempt.precision)
        return table
    measured = figures("largest difference", "least cosine", "Kendall's tau")
    table = Table([*names("engine", "precision"), *measured, *names("")])
    for attempt, found in ran:
        table.add(
            attempt.engine,
            attempt.precision,
            "" if found is None else f"{found.largest:.1e}",
            "" if found is None or found.cosine is None else f"{found.cosine:.5f}",
            "" if found is None or found.tau is None else f"{found.tau:.3f}",
            Text("" if found is None or found.within else "differs", style="bold red"),
        )
    return table


def _identity(folder: "ModelFolder") -> dict[str, str]:
    spec = folder.spec
    told = {"revision": spec.revision}
    if spec.read_anew:
        told["otherwise than older servers"] = spec.read_anew
    return told


def _as_json(
    folder: "ModelFolder", compared: Compared, expected: "Reference | str"
) -> dict[str, Any]:
    return {
        "model": folder.spec.id,
        "kind": folder.spec.kind.value,
        "path": str(folder.path),
        "readings": [dataclasses.asdict(reading) for reading in folder.readings],
        "warnings": list(folder.warnings),
        **_identity(folder),
        "engines": [
            {
                "engine": attempt.engine,
                "precision": attempt.precision or None,
                "runs": not attempt.refusal,
                "refusal": attempt.refusal or None,
                "largest_difference": _finite(found.largest) if found else None,
                "least_cosine": found.cosine if found else None,
                "kendall_tau": found.tau if found else None,
                "within": found.within if found else None,
            }
            for attempt, found in compared
        ],
        "compared_with": None if isinstance(expected, str) else expected.library,
        "not_compared": expected if isinstance(expected, str) else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
