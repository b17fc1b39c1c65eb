"""`--help` of every command at every width."""

import enum
import inspect
import re
from typing import Annotated

import pytest
import typer
from rich.cells import cell_len
from typer.main import get_command
from typer.testing import CliRunner

from twopass.commands.main import app
from twopass.commands.serve_flags import SUBJECTS
from twopass.commands.terminal.help import with_whole_help
from twopass.server.config import ServerConfig


class _Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def _walked(command, path=()):
    """Every command of the command line, and the path that is typed to reach it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _walked(below, (*path, name))


COMMANDS = dict(_walked(get_command(app)))
EVERY_COMMAND = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def _help(path, columns, command_line=app):
    ended = CliRunner().invoke(command_line, [*path, "--help"], env={"COLUMNS": str(columns)})
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def _words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
@EVERY_COMMAND
def test_help_holds_every_name_and_help_whole_and_fits(path, columns):
    shown = _help(path, columns)
    words = _words(shown)
    command = COMMANDS[path]
    context = command.make_context("twopass", ["--help"], resilient_parsing=True)
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        is_option = parameter.param_type_name == "option"
        names = (*parameter.opts, *parameter.secondary_opts) if is_option else ()
        assert all(re.search(rf"(?m)^  .*{re.escape(name)}\b", shown) for name in names), names
        assert _words(parameter.help or "") in words
    for below in getattr(command, "commands", {}).values():
        assert _words(below.help.split("\n\n")[0]) in words
    assert "…" not in shown.replace("TWOPASS_…", "").replace('"…"', "")
    assert "[/" not in shown
    assert "\\[" not in shown
    assert max(cell_len(line) for line in shown.splitlines()) <= columns or columns < 60


@EVERY_COMMAND
def test_lines_to_be_typed_are_shown_as_lines(path):
    docstring = inspect.cleandoc(COMMANDS[path].help or "")
    assert not re.search(r"(?m)^twopass [a-z]", docstring), "indent what is to be typed"


def test_the_docstring_of_a_command_is_whole():
    words = _words(_help(("alias",), 60))
    assert "Clients search `docs`; you fill a new collection" in words
    assert "twopass alias docs docs-2027" in words


def test_brackets_in_help_texts_are_text():
    assert "field=[a, list], field (exists)" in _words(_help(("search",), 80))


def test_types_ranges_defaults_and_variables_are_told():
    example = typer.Typer()

    @example.command()
    def paint(
        walls: Annotated[list[str], typer.Argument(help="What to paint: [all] of it.")],
        colour: Annotated[_Colour, typer.Option(help="In which colour.")] = _Colour.RED,
        coats: Annotated[int, typer.Option(min=1, max=9, help="How often.")] = 2,
        share: Annotated[float, typer.Option(max=1, envvar="SHARE", help="How much.")] = 0.5,
        is_dry: Annotated[bool, typer.Option("--dry/--wet", help="How it ends.")] = False,
        tool: Annotated[list[str] | None, typer.Option(help="With what.")] = None,
    ):
        """Paint."""

    shown = _help((), 80, with_whole_help(example))
    assert "WALLS... <text>" in shown
    assert "[all] of it." in shown
    assert "--colour <red|blue>" in shown
    assert "In which colour. [default: red]" in _words(shown)
    assert "--coats <int, 1 to 9>" in shown
    assert "--share <number, at most 1>" in shown
    assert "How much. [default: 0.5; env: SHARE]" in _words(shown)
    assert "--dry / --wet" in shown
    assert "How it ends. [default: --wet]" in _words(shown)
    assert "--tool <text>..." in shown


def test_every_setting_of_the_server_has_a_flag_below_a_subject():
    fields = [name for names in SUBJECTS.values() for name in names]
    assert sorted(fields) == sorted(ServerConfig.model_fields)
    shown = _help(("serve",), 80)
    positions = [shown.index(f"\n{subject}\n") for subject in SUBJECTS]
    assert positions == sorted(positions)


def test_bounds_of_the_servers_settings_are_told():
    words = _words(_help(("serve",), 80))
    assert "--threads <int, 0 to 1,024>" in words
    assert "--keepalive-seconds <number, above 0>" in words
    assert "--max-calls <int, 1 or more>" in words
    assert "[default: 67,108,864]" in words


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["serch"], "No such command 'serch'. Did you mean 'search'"),
        (["search", "--frob"], "No such option: --frob"),
        (["search", "docs"], "Missing argument"),
        (["search", "docs", "sky", "-n", "x"], "--top-n: 'x' given, int, 1 to 2048 is needed"),
        (["search", "docs", "sky", "--blend", "7"], "--blend: '7' given, number, 0 to 1 is needed"),
        (["search", "docs", "sky", "-m", "x"], "--mode: 'x' given, one of dense, lexical, hybrid"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence_with_where_to_look(arguments, reason):
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 2
    assert ended.stdout == ""
    first, second = ended.stderr.splitlines()
    assert first.startswith(f"error: {reason}")
    assert second.endswith("--help tells what it takes.")


def test_wrong_usage_shows_control_characters_instead_of_sending_them():
    ended = CliRunner().invoke(app, ["search", "docs", "sky", "--top-n", "\x1b[31m\x9bx[/red]"])
    assert ended.exit_code == 2
    assert not set(ended.stderr) & {"\x1b", "\x9b"}


def test_a_command_without_arguments_that_needs_some_shows_its_help():
    ended = CliRunner().invoke(app, ["snapshot"])
    assert ended.exit_code in (0, 2)
    assert "restore" in ended.output
    assert "error" not in ended.output
