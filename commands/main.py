"""The command `twopass`, which joins the modules of its subcommands."""

from typing import Annotated

import typer

from twopass.commands.on_demand import CommandsOnDemand
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

        twopass serve  in one terminal; in another:
        twopass index docs notes/  whatever text there is
        twopass search docs "How do I ...?"

    A server elsewhere is named by --target or TWOPASS_TARGET, a key by TWOPASS_API_KEY, the
    authorities for TLS by TWOPASS_CA. `twopass --install-completion` makes your shell complete
    commands and options.

    The exit status is 0 where all was done, 1 where something was refused or failed, 2 where the
    command was given wrongly, 3 where the server is out of reach, not ready, full or late, 4 where
    a collection, document, snapshot or model does not exist, and 5 where `eval` finds quality too
    low.
    """


with_whole_help(
    app,
    CommandsOnDemand(
        {
            "Server": {
                "serve": "serve:serve",
                "demo": "demo:demo",
                "info": "info:info",
                "models": "models:app",
                "keys": "keys:keys",
                "engine": "engine:app",
            },
            "Documents": {
                "index": "index:index",
                "search": "search:search",
                "rerank": "rerank:rerank",
                "get": "get:get",
                "update": "update:update",
                "delete": "delete:delete",
                "export": "export:export",
            },
            "Collections": {
                "collections": "collections:app",
                "alias": "alias:alias",
                "snapshot": "snapshot:app",
            },
            "Quality and speed": {
                "feedback": "feedback:app",
                "tune": "tune:tune",
                "eval": "evaluate:evaluate",
                "compare": "compare:compare",
                "report": "report:report",
                "choose": "choose:choose",
                "frontier": "frontier:frontier",
                "calibrate": "calibrate:calibrate",
                "train": "train:train",
                "recall": "recall:recall",
                "bench": "bench:bench",
            },
        }
    ),
)


if __name__ == "__main__":
    app()
