"""What `--help` prints: every option's name, type, range and help, whole at any width.

Help texts are taken literally. Typer reads them as Rich's markup by default, in which `[all]` is a
tag that vanishes, and cuts names and defaults that its columns have no room for.
"""

import enum
import inspect
import itertools
import re
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from rich.text import Text
from typer.core import TyperCommand, TyperGroup
from typer.models import ArgumentInfo, CommandInfo, OptionInfo, TyperInfo

from twopass.commands.terminal.consoles import never_fail_to_write, output, text_columns
from twopass.commands.terminal.failures import say_error
from twopass.commands.terminal.sentences import broken_lines, say_beside

# Below this width an option's help stands below its name, from here on beside it.
_MIN_COLUMNS_BESIDE = 72
_MAX_NAME_COLUMNS = 34
# Longer lines are hard to read.
_MAX_COLUMNS = 120
_INDENT = 2
_BELOW = 6
_NAME, _TYPE, _HEAD, _DIM = "bold cyan", "yellow", "bold", "dim"
_OPTIONS = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
# An example of a command: what to type, and after a gap what it does.
_EXAMPLE = re.compile(r"(?P<typed> +\S.*?)(?: {2,}(?P<told>\S.*))?")
# A word as a shell reads it, with the quotes around its spaces.
_SHELL_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"(?:\\.|[^"\\])*"|['"])+""")
_TYPES = {int: "int", float: "number", str: "text", Path: "path"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A command as the help of the one above it shows it.

    Attributes:
        subject: The heading below which it stands.
        name: What is typed.
        help: Its whole help.
    """

    subject: str
    name: str
    help: str


def with_whole_help(app: typer.Typer, below: Mapping[str, Any] | None = None) -> typer.Typer:
    """Has a command line, and all of its commands, print help and errors of usage as this module.

    It is called when all commands are added.

    Args:
        app: The command line.
        below: Its commands by name, in the order of help, where they are not added to it. Where it
            has a method `listed`, help shows what that yields and looks at no command.
    """
    app.rich_markup_mode = None
    app.info.cls = _Group if below is None else type("_GroupOf", (_Group,), {"below": below})
    commands: list[CommandInfo] = app.registered_commands
    for command in commands:
        command.cls = _Command
    groups: list[TyperInfo] = app.registered_groups
    for group in groups:
        group.cls = _Group
        assert group.typer_instance is not None
        with_whole_help(group.typer_instance)
    return app


class _Command(TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # printed at once
        _print_help(self, ctx)


class _Group(TyperGroup):
    below: Mapping[str, Any] | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.below is not None:
            self.commands: Any = self.below

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # printed at once
        _print_help(self, ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs the command line; says in a sentence what is wrong with its arguments."""
        never_fail_to_write()
        rest = (windows_expand_args,)
        try:
            status = super().main(args, prog_name, complete_var, False, *rest, **extra)
        except typer.Abort:
            if not standalone_mode:
                raise
            say_beside("Aborted.")
            sys.exit(1)
        except Exception as error:
            # Typer's errors of usage; where their classes are differs between its versions.
            is_usage = hasattr(error, "format_message") and hasattr(error, "exit_code")
            if not (standalone_mode and is_usage):
                raise
            _say_wrong_usage(error)
            sys.exit(getattr(error, "exit_code", 2))
        if not standalone_mode:
            return status
        sys.exit(status if isinstance(status, int) else 0)


def _say_wrong_usage(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":  # its help is printed
        return
    context = getattr(error, "ctx", None)
    message = error.format_message()
    say_error(_elsewhere(message, context) or _wrong_value(error, context) or message)
    if context is not None:
        say_beside(f"{context.command_path} --help tells what it takes.")


def _wrong_value(error: Any, context: Any) -> str:
    """What was given and what is needed, which Typer leaves out; "" for errors of other kinds."""
    parameter = getattr(error, "param", None)
    problems = getattr(error.__cause__, "errors", None)  # Pydantic's
    if parameter is None or context is None or problems is None:
        return ""
    kind, _ = _kind_and_info(_annotations(context.command).get(parameter.name))
    if not kind:
        return ""
    given = next((problem["input"] for problem in problems()), None)
    is_argument = parameter.param_type_name == "argument"
    name = _placeholder(parameter) if is_argument else max(parameter.opts, key=len)
    choices = kind.split("|")
    needed = f"one of {', '.join(choices)}" if len(choices) > 1 else kind
    return f"{name}: {given!r} given, {needed} is needed"


def _elsewhere(message: str, context: Any) -> str:
    """Says where an unknown command is known, below another one or as an option; "" if nowhere."""
    found = re.match("No such command '([^']+)'", message)
    group = getattr(context, "command", None)
    if found is None or group is None:
        return ""
    for option in group.get_params(context):
        if f"--{found[1]}" in option.opts:
            return f"{found[0]}; there is `{context.command_path} --{found[1]}`."
    places = [
        f"`{context.command_path} {name} {found[1]}`"
        for name in group.list_commands(context)
        if found[1] in getattr(group.get_command(context, name), "commands", {})
    ]
    return f"{found[0]}; there is {' and '.join(places)}." if places else ""


def help_lines(command: Any, context: Any, columns: int) -> list[Text]:
    """What `--help` says of a command, in lines of at most so many columns."""
    lines = [*_usage(command, context, columns), Text(), *_description(command.help or "", columns)]
    for heading, entries in _sections(command, context):
        lines += [Text(), Text(heading, style=_HEAD), *_entries(entries, columns)]
    return lines


def _print_help(command: Any, context: Any) -> None:
    console = output()
    for line in help_lines(command, context, min(text_columns(), _MAX_COLUMNS)):
        console.print(line)


def _usage(command: Any, context: Any, columns: int) -> list[Text]:
    begun = f"Usage: {context.command_path} "
    pieces = ["[OPTIONS]", *map(_placeholder, _shown_parameters(command, context, "argument"))]
    if hasattr(command, "commands"):
        pieces.append("[COMMAND]" if command.invoke_without_command else "COMMAND")
        pieces.append("...")
    indent = min(len(begun), columns // 3)
    text = Text(" ".join(pieces))
    first, *others = broken_lines(text, max(1, columns - len(begun)))
    rest = broken_lines(Text(" ").join(others), columns - indent) if others else []
    return [
        Text.assemble((begun, _HEAD), first),
        *(Text(" " * indent) + line for line in rest),
    ]


def _description(help_text: str, columns: int) -> list[Text]:
    """The paragraphs of a command's docstring; indented lines are examples, each on its own."""
    lines: list[Text] = []
    for paragraph in inspect.cleandoc(help_text).partition("\f")[0].split("\n\n"):
        lines += [Text()] if lines else []
        for is_example, run in itertools.groupby(paragraph.splitlines(), _is_indented):
            if is_example:
                for line in run:
                    lines += _example(line, columns)
            else:
                lines += broken_lines(_help(" ".join(" ".join(run).split())), columns)
    return lines


def _is_indented(line: str) -> bool:
    return line.startswith(" ")


def _example(line: str, columns: int) -> list[Text]:
    """A line to be typed: where it is too long, what it does stands below it, and it is continued.

    It can be pasted however it is broken: a backslash ends what goes on.
    """
    found = _EXAMPLE.fullmatch(line)
    if found is None or len(line) <= columns:
        return [Text(line)]
    told = broken_lines(Text(found["told"] or "", style=_DIM), columns - _BELOW)
    return [
        *_continued(found["typed"], columns),
        *(Text(" " * _BELOW) + part for part in told if part),
    ]


def _continued(typed: str, columns: int) -> list[Text]:
    indent = len(typed) - len(typed.lstrip())
    lines = [" " * indent]
    for word in _SHELL_WORD.findall(typed):
        is_first = not lines[-1].strip()
        if not is_first and len(lines[-1]) + len(word) + 3 > columns:
            lines[-1] += " \\"
            lines.append(" " * (indent + 2))
            is_first = True
        lines[-1] += word if is_first else f" {word}"
    return [Text(line) for line in lines]


def _sections(command: Any, context: Any) -> Iterable[tuple[str, list[tuple[Text, Text]]]]:
    """Arguments, options by their subject, and commands: a heading, then names and helps."""
    annotations = _annotations(command)
    by_heading: dict[str, list[tuple[Text, Text]]] = {}
    for kind, heading in (("argument", "Arguments"), ("option", "Options")):
        for parameter in _shown_parameters(command, context, kind):
            subject = getattr(parameter, "rich_help_panel", None) or heading
            entry = _parameter(parameter, annotations.get(parameter.name))
            by_heading.setdefault(subject, []).append(entry)
    # What a command's own options are about comes first, then its named subjects in their order.
    first = [heading for heading in ("Arguments", "Options") if heading in by_heading]
    for heading in dict.fromkeys([*first, *by_heading]):
        yield heading, by_heading[heading]
    if hasattr(command, "commands"):
        by_subject: dict[str, list[tuple[Text, Text]]] = {}
        for each in _listed(command, context):
            told = _help(_first_paragraph(each.help))
            by_subject.setdefault(each.subject, []).append((Text(each.name, _NAME), told))
        yield from by_subject.items()


def _listed(command: Any, context: Any) -> Iterable[Listed]:
    if (listed := getattr(command.commands, "listed", None)) is not None:
        yield from listed()
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            subject = getattr(found, "rich_help_panel", None) or "Commands"
            yield Listed(subject, found.name or "", found.help or "")


def _shown_parameters(command: Any, context: Any, kind: str) -> list[Any]:
    return [
        parameter
        for parameter in command.get_params(context)
        if parameter.param_type_name == kind and not getattr(parameter, "hidden", False)
    ]


def _parameter(parameter: Any, annotation: Any) -> tuple[Text, Text]:
    """The names and the type of a parameter, and its help with what the help does not say."""
    name = Text()
    is_argument = parameter.param_type_name == "argument"
    if is_argument:
        name.append(_placeholder(parameter), style=_NAME)
    else:
        short_first = sorted(parameter.opts, key=lambda option: option.startswith("--"))
        name.append(", ".join(short_first), style=_NAME)
        if parameter.secondary_opts:
            name.append(" / ").append(", ".join(parameter.secondary_opts), style=_NAME)
    kind, info = _kind_and_info(annotation)
    shown = getattr(parameter, "metavar", None) or (None if is_argument and not kind else kind)
    if shown and not (is_argument and parameter.metavar):
        name.append(" ").append(f"<{shown}>", style=_TYPE)
        if getattr(parameter, "multiple", False):
            name.append("...", style=_TYPE)
    told = _help(parameter.help or "")
    extras = [
        extra
        for extra in (
            _default(parameter, info),
            f"env: {parameter.envvar}" if parameter.envvar else "",
            "required" if parameter.required and not is_argument else "",
        )
        if extra
    ]
    if extras:
        told.append(" " if told else "").append(f"[{'; '.join(extras)}]", style=_DIM)
    return name, told


def _placeholder(parameter: Any) -> str:
    """An argument as it stands in the line of usage: optional ones in brackets."""
    name = parameter.metavar or parameter.name.upper()
    if parameter.nargs != 1 and not name.endswith("..."):
        name += "..."
    return name if parameter.required else f"[{name}]"


def _default(parameter: Any, info: ArgumentInfo | OptionInfo | None) -> str:
    show = info.show_default if info is not None else False
    if isinstance(show, str):
        return f"default: {show}"
    default = parameter.default
    if not show or default is None or callable(default) or default in ((), [], ""):
        return ""
    if isinstance(default, bool):
        if not parameter.secondary_opts:
            return ""
        return f"default: {(parameter.opts if default else parameter.secondary_opts)[0]}"
    values = default if isinstance(default, list | tuple) else [default]
    return "default: " + ", ".join(
        str(value.value if isinstance(value, enum.Enum) else value) for value in values
    )


def _annotations(command: Any) -> dict[str, Any]:
    """The annotations of the function behind a command, by parameter."""
    if command.callback is None:
        return {}
    signature = inspect.signature(command.callback, eval_str=True)
    return {name: parameter.annotation for name, parameter in signature.parameters.items()}


def _kind_and_info(annotation: Any) -> tuple[str, ArgumentInfo | OptionInfo | None]:
    """What a parameter takes, such as "int, 1 to 2048"; "" for a switch."""
    info = None
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
        info = next((m for m in metadata if isinstance(m, ArgumentInfo | OptionInfo)), None)
    return _kind(annotation, info), info


def _kind(annotation: Any, info: ArgumentInfo | OptionInfo | None) -> str:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        some = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _kind(some[0], info)
    if origin in (list, tuple):
        return _kind(get_args(annotation)[0], info)
    if origin is Annotated:
        return _kind(get_args(annotation)[0], info)
    if origin is Literal:
        return "|".join(map(str, get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "|".join(str(each.value) for each in annotation)
    if annotation is bool:
        return ""
    kind = _TYPES.get(annotation, "")
    return ", ".join(filter(None, [kind, _range(info)]))


def _range(info: ArgumentInfo | OptionInfo | None) -> str:
    low, high = (None, None) if info is None else (info.min, info.max)
    if low is None and high is None:
        return ""
    if low is None:
        return f"at most {high}"
    return f"{low} or more" if high is None else f"{low} to {high}"


def _entries(entries: Sequence[tuple[Text, Text]], columns: int) -> list[Text]:
    """Names and helps: beside each other where there is room, else the help below the name."""
    if columns < _MIN_COLUMNS_BESIDE:
        lines: list[Text] = []
        for name, told in entries:
            lines += [Text(" " * _INDENT) + line for line in _broken_name(name, columns - _INDENT)]
            lines += [Text(" " * _BELOW) + line for line in broken_lines(told, columns - _BELOW)]
        return lines
    widest = max((name.cell_len for name, _ in entries), default=0)
    beside = _INDENT + min(widest, _MAX_NAME_COLUMNS) + 2
    lines = []
    for name, told in entries:
        names = _broken_name(name, columns - _INDENT)
        helps = broken_lines(told, columns - beside)
        if len(names) == 1 and names[0].cell_len + 2 <= beside - _INDENT:
            space = " " * (beside - _INDENT - names[0].cell_len)
            first = Text(" " * _INDENT) + names[0]
            lines.append(first + space + helps[0] if helps and helps[0] else first)
            helps = helps[1:]
        else:
            lines += [Text(" " * _INDENT) + line for line in names]
        lines += [Text(" " * beside) + line for line in helps if line]
    return lines


def _broken_name(name: Text, columns: int) -> list[Text]:
    """Names and a type, broken at spaces, and within a long choice after a bar."""
    lines: list[Text] = []
    for line in broken_lines(name, columns):
        while line.cell_len > columns and (at := line.plain.rfind("|", 0, columns)) > 0:
            head, line = line.divide([at + 1])
            lines.append(head)
            line = Text("  ") + line
        lines.append(line)
    return lines


def _first_paragraph(help_text: str) -> str:
    return " ".join(inspect.cleandoc(help_text).partition("\n\n")[0].split())


def _help(text: str) -> Text:
    told = Text(text)
    told.highlight_regex(_OPTIONS, "cyan")
    return told
