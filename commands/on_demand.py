"""Commands that are imported when they are called, so that none waits for what others need.

All of them together import for more than a second: engines, the server, NumPy, faiss. A search
needs the client alone, and the list of commands none of it: their helps are read from the sources.
"""

import ast
import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from twopass.commands.terminal.help import Listed, with_whole_help


class CommandsOnDemand(Mapping[str, Any]):
    """The commands of a command line by name, in the order of help."""

    def __init__(self, places: Mapping[str, Mapping[str, str]]) -> None:
        """Keeps where commands are.

        Args:
            places: For each subject of the help its commands by name, each as "module:name" of a
                function, or of a `Typer` that holds the commands below it.
        """
        self._places = {
            name: (place, subject)
            for subject, commands in places.items()
            for name, place in commands.items()
        }
        self._imported: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        place, subject = self._places[name]
        if name not in self._imported:
            self._imported[name] = _imported(name, place, subject)
        return self._imported[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def listed(self) -> Iterator[Listed]:
        """Yields all commands with their helps, and imports none whose source is there."""
        for name, (place, subject) in self._places.items():
            told = _help_in_source(place)
            yield Listed(subject, name, self[name].help or "" if told is None else told)


def _imported(name: str, place: str, subject: str) -> Any:
    if name != "serve":  # whose log has what gRPC says as records
        # Read when gRPC is first imported. What its core writes to stderr by itself, such as a line
        # for each handshake that fails, has no form of ours and says nothing that our own sentences
        # don't.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    module, _, attribute = place.partition(":")
    target = getattr(import_module(f"twopass.commands.{module}"), attribute)
    alone = typer.Typer()
    if isinstance(target, typer.Typer):
        alone.add_typer(target, name=name, rich_help_panel=subject)
    else:
        alone.command(name, rich_help_panel=subject)(target)
    return typer.main.get_group(with_whole_help(alone)).commands[name]


def _help_in_source(place: str) -> str | None:
    """The help of a command as its module's source has it; None where it can't be told from that.

    It is the docstring of a function, of one that a decorator is called with, or what a `Typer` is
    given.
    """
    module, _, attribute = place.partition(":")
    try:
        tree = ast.parse(Path(__file__).with_name(f"{module}.py").read_bytes())
    except OSError:  # installed without sources
        return None
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    if attribute in functions:
        return ast.get_docstring(functions[attribute])
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(call := statement.value, ast.Call):
            (target,) = statement.targets
            if isinstance(target, ast.Name) and target.id == attribute:
                return _help_of_call(call, functions)
    return None


def _help_of_call(call: ast.Call, functions: Mapping[str, ast.FunctionDef]) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    for argument in call.args:
        if isinstance(argument, ast.Name) and argument.id in functions:
            return ast.get_docstring(functions[argument.id])
    return None
