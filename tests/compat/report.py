"""The table of clients, for a terminal of 80 columns and for the documentation."""

from collections.abc import Sequence
from datetime import date

from .catalogue import CLIENTS, Runtime
from .judging import ERRORS
from .servers import ENCODER, RERANKER
from .trying import Trial

COLUMNS = ("rerank", "embed", "foreign", "long", "uncut", "key", "model", "retry", "load")
_NAME, _VERSION, _CELL = 27, 8, 5
_HEADS = {
    "rerank": "rank",
    "embed": "emb",
    "foreign": "name",
    "long": "long",
    "uncut": "cut",
    "key": "key",
    "model": "mdl",
    "retry": "wait",
    "load": "load",
}
_MARKS = {True: "yes", False: "NO", None: "–"}


def head() -> str:
    """The table's first line."""
    cells = "".join(f"{_HEADS[column]:>{_CELL}}" for column in COLUMNS)
    return f"{'client':<{_NAME}}{'version':<{_VERSION}}{cells}"


def row(trial: Trial) -> str:
    """A client's line, and a line below for each thing that is wrong."""
    cells = "".join(f"{_MARKS[_cell(trial, column)]:>{_CELL}}" for column in COLUMNS)
    lines = [f"{trial.client.name:<{_NAME}}{trial.version[:_VERSION]:<{_VERSION}}{cells}"]
    lines += [f"  {r.check}: {r.detail}" for r in trial.results if r.ok is False]
    return "\n".join(lines)


def legend() -> str:
    """What the columns mean."""
    return (
        "rank, emb: order and scores, and embeddings, are gRPC's; name: another service's model\n"
        "name is answered by the default model; long: too long a text is cut; cut: refused where\n"
        "the client forbids cutting; key, mdl: a wrong key and an unknown model are told; wait,\n"
        "load: told by 429 with Retry-After; –: the client has no such thing"
    )


def _cell(trial: Trial, column: str) -> bool | None:
    found = [r.ok for r in trial.results if r.check.partition(":")[0] == column]
    if any(ok is False for ok in found):
        return False
    return True if any(found) else None


def markdown(trials: Sequence[Trial], today: date) -> str:
    """The page of the documentation."""
    order = {client.name: place for place, client in enumerate(CLIENTS)}
    trials = sorted(trials, key=lambda trial: order[trial.client.name])
    return "\n".join(
        [
            *_opening(trials, today),
            *_table(trials),
            "",
            *_settings(trials),
            "",
            *_errors(trials),
            "",
        ]
    )


def _opening(trials: Sequence[Trial], today: date) -> list[str]:
    right = sum(trial.ok for trial in trials)
    return [
        "# Clients that work with twopass",
        "",
        f"{right} of {len(trials)} clients got what they should, on {today:%-d %B %Y}.",
        "",
        "`make compat COMPAT='--upgrade --markdown docs/compatibility.md'` makes this page: each "
        "client is installed in an environment of its",
        "own, at its newest version, and asks a real server with the shipped models. The order of "
        "passages, their scores and the",
        "embeddings must be those of gRPC for the same texts, number by number; what is refused "
        "must arrive as the client's own error.",
        "Programs that are no libraries are asked by the requests that their sources send.",
        "",
    ]


def _table(trials: Sequence[Trial]) -> list[str]:
    names = {
        "rerank": "rerank",
        "embed": "embed",
        "foreign": "another service's model name",
        "long": "too long: cut",
        "uncut": "too long: refused",
        "key": "wrong key",
        "model": "unknown model",
        "retry": "over its quota",
        "load": "server full",
    }
    lines = [
        "| client | version | dialect | " + " | ".join(names[c] for c in COLUMNS) + " |",
        "|---|---|---|" + "---|" * len(COLUMNS),
    ]
    for trial in trials:
        cells = " | ".join(_MARKS[_cell(trial, column)] for column in COLUMNS)
        lines.append(
            f"| {trial.client.name} | {trial.version} | {trial.client.dialect} | {cells} |"
        )
    lines += [
        "",
        "“Another service's model name” is what a client sends that was made for that service: the "
        "default model answers, unless",
        "`--http-unknown-model reject` is set, as it was for “unknown model”. – means that the "
        "client has no such thing.",
    ]
    return lines


def _settings(trials: Sequence[Trial]) -> list[str]:
    lines = [
        "## What to set",
        "",
        "| client | packages | where the address goes | asks for |",
        "|---|---|---|---|",
    ]
    for trial in trials:
        client = trial.client
        manager = "npm" if client.runtime is Runtime.NODE else "pip"
        packages = (
            f"{manager} install {' '.join(client.packages)}" if client.packages else client.source
        )
        asked = dict.fromkeys(
            path
            for result in trial.results
            if result.ok and result.check.partition(":")[0] in ("rerank", "embed")
            for path in result.detail.split(", ")
            if path
        )
        paths = ", ".join(dict.fromkeys(f"`{_generic(path)}`" for path in asked))
        lines.append(f"| {client.name} | {packages} | `{client.setting}` | {paths} |")
    return lines


def _generic(path: str) -> str:
    for model in (RERANKER, ENCODER):
        path = path.replace(f"/models/{model}/", "/models/MODEL/").replace(model, "MODEL")
    return path


def _errors(trials: Sequence[Trial]) -> list[str]:
    checks = [check for check in COLUMNS if check in ERRORS]
    names = {
        "uncut": "too long",
        "key": "wrong key",
        "model": "unknown model",
        "retry": "over its quota",
        "load": "server full",
    }
    lines = [
        "## How errors arrive",
        "",
        "What the client raised, and how long it waited before it asked again, beside what the "
        "server's `Retry-After` had asked for",
        "in whole seconds. Some obey `retry-after-ms` instead, which says it to the millisecond.",
        "LlamaIndex's clients of text-embeddings-inference look at no status: they raise what they "
        "stumble over. For programs there is the status.",
        "",
        "| client | " + " | ".join(names[check] for check in checks) + " |",
        "|---|" + "---|" * len(checks),
    ]
    for trial in trials:
        details = {result.check: result.detail for result in trial.results}
        cells = " | ".join(details.get(check, "–") for check in checks)
        lines.append(f"| {trial.client.name} | {cells} |")
    return lines
