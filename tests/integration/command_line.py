"""Runs the command line in this process, as a shell and as a script do."""

import json

from typer.testing import CliRunner

from twopass.commands.main import app


def invoke(*arguments: str, stdin: str | None = None):
    return CliRunner().invoke(app, arguments, input=stdin, env={"COLUMNS": "200"})


def answer(*arguments: str, stdin: str | None = None):
    ended = invoke(*arguments, "--json", stdin=stdin)
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)
