"""`twopass models …`: the models that a server holds, those in folders, and those to recommend."""

import dataclasses

import typer

from twopass.client import Model
from twopass.commands.model_check import check
from twopass.commands.model_recommend import recommend
from twopass.commands.options import DEFAULT_TARGET, AsJson, Target, connected, print_json
from twopass.commands.terminal.tables import Table, figures, names, print_table

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
    table = Table(
        [
            *names("model", "kind", "engine", "precision", "device"),
            *figures("most tokens", "of a passage", "dimension", "blend"),
            *names("revision"),
        ]
    )
    for model in found:
        table.add(
            model.id + (" (default)" if model.is_default else ""),
            model.kind,
            model.engine,
            model.precision,
            model.device,
            f"{model.max_seq_len:,}",
            _figure(model.max_passage_tokens),
            _figure(model.dimension),
            f"{model.blend:g}" if model.kind == "reranker" else "",
            model.revision[:_REVISION_DIGITS],
        )
    members = [_members(model) for model in found if model.members]
    print_table(table, *members)


def _members(model: Model) -> Table:
    """The engines that compute a model together."""
    columns = figures("tokens/s", "batches", "held")
    kinds = names("engine", "precision", "device")
    table = Table([*names(f"{model.id} is computed at"), *kinds, *columns, *names("")])
    for member in model.members:
        table.add(
            member.name,
            member.engine,
            member.precision,
            member.device,
            _figure(round(member.tokens_per_second)),
            f"{member.num_batches:,}",
            f"{member.num_batches_held:,}",
            "owes an answer" if member.is_suspected else "",
        )
    return table


def _figure(value: int) -> str:
    """A number; empty where the model has none."""
    return f"{value:,}" if value else ""
