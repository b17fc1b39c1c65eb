"""`twopass keys`: makes an API key."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from twopass.commands.key_file import KeyExistsError, add_key
from twopass.commands.terminal.consoles import is_terminal, literal
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.own_command import own_command
from twopass.commands.terminal.sentences import say_beside
from twopass.server.edge.key_problems import NEEDED
from twopass.server.edge.keys import ApiKey, KeysError, ScoreSharing, make_key
from twopass.server.request import Role


def keys(
    name: Annotated[str, typer.Argument(help="Who will use it; appears in logs and messages.")],
    file: Annotated[
        Path, typer.Option("--file", "-f", help="TOML file that `twopass serve --keys` reads.")
    ] = Path("twopass-keys.toml"),
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection",
            "-c",
            help="Collection it may use, or a pattern such as docs*; repeatable; all if unset.",
        ),
    ] = None,
    role: Annotated[
        Role,
        typer.Option(
            help="What it may do: reader (search and read), writer (also change documents), or "
            "admin (also create, delete, copy and rename collections)."
        ),
    ] = Role.ADMIN,
    max_calls: Annotated[
        int, typer.Option(min=0, help="Most calls under way at once; 0 for no limit of its own.")
    ] = 0,
    calls_per_second: Annotated[
        float, typer.Option(min=0, help="Most calls a second; 0 for no limit of its own.")
    ] = 0.0,
    score_cache: Annotated[
        ScoreSharing,
        typer.Option(
            help="Whose computed scores its calls use: shared (those of all keys), own (those of "
            "its own calls), or off. How fast an answer comes tells whether the same was asked "
            "before."
        ),
    ] = ScoreSharing.SHARED,
) -> None:
    """Make an API key, print it, and add its hash to a file.

    The key itself is stored nowhere: whoever loses it needs a new one. A
    running server notices the change by itself. To revoke a key, delete its
    lines.
    """
    made = make_key()
    try:
        key = ApiKey(
            name=name,
            sha256=made.sha256,
            role=role,
            collections=tuple(collection or ("*",)),
            max_calls=max_calls,
            calls_per_second=calls_per_second,
            score_cache=score_cache,
        )
        add_key(file, key)
    except ValidationError as error:
        exit_with("\n".join(_problem(each["loc"], each["input"]) for each in error.errors()))
    except KeyExistsError as error:
        exit_with(f"{error}; delete its lines first, or take another name")
    except KeysError as error:
        exit_with(error)
    except OSError as error:
        exit_with(f"--file {file}: {error.strerror}; nothing was changed, and no key was made")
    typer.echo(made.secret)
    if is_terminal(sys.stdout):
        _tell_next(file, name)


def _tell_next(file: Path, name: str) -> None:
    """Says on stderr where the key is known now, and how it is used; scripts know."""
    say_beside()
    say_beside(f"The key of {name}, shown only now; {file} holds its hash.")
    served = f"{own_command()} serve --keys {shlex.quote(str(file))}"
    for head, command in (("server", served), ("callers", "export TWOPASS_API_KEY=tp_…")):
        say_beside(literal(f"  {head:<7}  {command}"))


def _problem(place: tuple[int | str, ...], value: object) -> str:
    return f"{place[0]}: {value!r} given; {NEEDED[str(place[0])]} needed"
