"""`twopass models`: the models that a server holds."""

import dataclasses

from rich.console import Console
from rich.table import Table

from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json

# Of a revision's 64 digits, as many as messages tell.
_REVISION_DIGITS = 12


def models(target: Target = DEFAULT_TARGET, as_json: AsJson = False) -> None:
    """List the models a server holds, and the engines that run them."""
    with connected(target) as client:
        found = client.models()
    if as_json:
        print_json([dataclasses.asdict(model) for model in found])
        return
    table = Table(box=None, header_style="bold")
    for column in ("model", "kind", "engine", "precision", "device"):
        table.add_column(column)
    for column in ("max tokens", "of a passage", "dimension", "blend"):
        table.add_column(column, justify="right")
    table.add_column("revision")
    for model in found:
        table.add_row(
            model.id + (" (default)" if model.is_default else ""),
            model.kind,
            model.engine,
            model.precision,
            model.device,
            str(model.max_seq_len),
            str(model.max_passage_tokens or ""),
            str(model.dimension or ""),
            f"{model.blend:g}" if model.kind == "reranker" else "",
            model.revision[:_REVISION_DIGITS],
        )
    Console().print(table)
