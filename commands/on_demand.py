"""Commands that are imported when they are called, so that none waits for what others need.

All of them together import for more than a second: engines, the server, NumPy, faiss. A search
needs the client alone.
"""

import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer

from twopass.commands.terminal.help import with_whole_help


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
