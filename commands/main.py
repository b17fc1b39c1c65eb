"""The command `twopass`, which joins the modules of its subcommands."""

import typer

from twopass.commands import (
    alias,
    bench,
    choose,
    compare,
    demo,
    engine,
    evaluate,
    export,
    frontier,
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

app = typer.Typer(
    name="twopass",
    help="Both passes of retrieval behind one gRPC server: vector search, then a cross-encoder.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("index")(index.index)
app.command("export")(export.export)
app.command("search")(search.search)
app.command("rerank")(rerank.rerank)
app.command("keys")(keys.keys)
app.add_typer(models.app, name="models")
app.command("info")(info.info)
app.command("recall")(recall.recall)
app.command("alias")(alias.alias)
app.add_typer(snapshot.app, name="snapshot")
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
