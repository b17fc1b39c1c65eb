"""`twopass models …`: the models that a server holds, those in folders, and those to recommend."""

import dataclasses

import typer
from rich.console import Console
from rich.table import Table

from twopass.commands.model_check import check
from twopass.commands.model_recommend import recommend
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json

# Of a revision's 64 digits, as many as messages tell.
_REVISION_DIGITS = 12

app = typer.Typer(help="List a server's models; check a folder's; recommend public ones.")
app.command("check")(check)
app.command("recommend")(recommend)


@app.callback(invoke_without_command=True)
def models(
    context: typer.Context, target: Target = DEFAULT_TARGET, as_json: AsJson = False
) -> None:
    """List the models a server holds, and the engines that run them.

    `check` tells how a model's folder is read and what runs it; `recommend` names public models.
    """
    if context.invoked_subcommand is not None:
        return
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
