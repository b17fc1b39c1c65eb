"""The command `twopass`, which joins the modules of its subcommands."""

from typing import Annotated

import typer

from twopass.commands import (
    alias,
    bench,
    choose,
    collections,
    compare,
    delete,
    demo,
    engine,
    evaluate,
    export,
    frontier,
    get,
    index,
    info,
    keys,
    models,
    recall,
    rerank,
    search,
    serve,
    snapshot,
    train,
)
from twopass.commands.terminal.help import with_whole_help
from twopass.commands.versions import print_versions

app = typer.Typer(
    name="twopass",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def twopass(
    version: Annotated[  # eager: its callback has ended the command
        bool,
        typer.Option(
            "--version",
            help="Print the versions of twopass and of what it runs on.",
            callback=print_versions,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Both passes of retrieval behind one gRPC server: vector search, then a cross-encoder.

    Commands that ask a server take it from --target or TWOPASS_TARGET, a key from TWOPASS_API_KEY,
    and the authorities for TLS from TWOPASS_CA. `twopass --install-completion` makes your shell
    complete commands and options.

    The exit status is 0 where all was done, 1 where something was refused or failed, 2 where the
    command was given wrongly, 3 where the server is out of reach, not ready, full or late, and 4
    where a collection, document, snapshot or model does not exist.
    """


app.command("serve")(serve.serve)
app.command("index")(index.index)
app.command("export")(export.export)
app.command("search")(search.search)
app.command("rerank")(rerank.rerank)
app.command("get")(get.get)
app.command("delete")(delete.delete)
app.add_typer(collections.app, name="collections")
app.command("alias")(alias.alias)
app.add_typer(snapshot.app, name="snapshot")
app.command("keys")(keys.keys)
app.add_typer(models.app, name="models")
app.command("info")(info.info)
app.command("recall")(recall.recall)
app.command("demo")(demo.demo)
app.command("eval")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("choose")(choose.choose)
app.command("frontier")(frontier.frontier)
app.command("train")(train.train)
app.command("bench")(bench.bench)
app.add_typer(engine.app, name="engine")
with_whole_help(app)


if __name__ == "__main__":
    app()
