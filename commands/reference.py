"""`docs/commands.md`: what `--help` says of every command, on one page.

`python -m twopass.commands.reference > docs/commands.md` makes the page anew.
"""

import sys
from collections.abc import Iterator
from typing import Any

import typer

from twopass.commands.main import app
from twopass.commands.terminal.help import help_lines

_COLUMNS = 100
_BEGINNING = """\
# Commands

What `--help` says of every command, made from it by `python -m twopass.commands.reference`.

`twopass --install-completion` makes bash, zsh, fish and PowerShell complete commands and options;
`twopass --show-completion` prints what it would add. `--json` prints one JSON document on stdout
and nothing else there; what is said beside results goes to stderr. Tables are laid out for a
terminal of any width, and a row stays on one line in a pipe.

| variable | what it is for |
|---|---|
| `TWOPASS_TARGET` | the server, host:port, where `--target` is not given |
| `TWOPASS_API_KEY` | the API key; no flag, since that would show in the list of processes |
| `TWOPASS_CA` | speak TLS, trusting this PEM file of authorities; `system`: the machine's |
| `TWOPASS_CLIENT_CERTIFICATE`, `TWOPASS_CLIENT_KEY` | PEM files, where a server asks for them |
| `TWOPASS_TIMEOUT` | seconds that a call may take, 30 unless set; 0: no limit |

| exit status | when |
|---|---|
| 0 | all was done |
| 1 | something was refused or failed |
| 2 | the command was given wrongly |
| 3 | the server is out of reach, not ready, full or late: the same may work later |
| 4 | a collection, document, snapshot or model does not exist |
| 5 | `twopass eval` found quality below a limit, or worse than a baseline |
| 130 | Ctrl-C ended it |

"""


def reference() -> str:
    """The page, in Markdown."""
    root: Any = typer.main.get_command(app)
    commands = [("twopass", _help(root, None)), *_below(root, None)]
    index = "".join(
        f"| [`{name}`](#{_anchor(name)}) | {_first_sentence(text)} |\n" for name, text in commands
    )
    index = f"| command | what it does |\n|---|---|\n{index}"
    pages = "".join(f"\n## {name}\n\n```text\n{text}\n```\n" for name, text in commands)
    return f"{_BEGINNING}{index}{pages}"


def _below(group: Any, parent: Any) -> Iterator[tuple[str, str]]:
    """The commands of a group, and those below them, in the order of help."""
    context = _context(group, parent)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield f"{context.command_path} {name}", _help(command, context)
        if hasattr(command, "commands"):
            yield from _below(command, context)


def _help(command: Any, parent: Any) -> str:
    lines = help_lines(command, _context(command, parent), _COLUMNS)
    return "\n".join(line.plain.rstrip() for line in lines)


def _context(command: Any, parent: Any) -> Any:
    name = "twopass" if parent is None else command.name
    return command.make_context(name, [], parent=parent, resilient_parsing=True)


def _first_sentence(text: str) -> str:
    """What a help's first paragraph, after the line of its usage, begins with."""
    paragraph = text.split("\n\n")[1].replace("\n", " ")
    return paragraph.partition(". ")[0].rstrip(".").replace("|", "\\|")


def _anchor(heading: str) -> str:
    return heading.replace(" ", "-")


if __name__ == "__main__":
    sys.stdout.write(reference())
