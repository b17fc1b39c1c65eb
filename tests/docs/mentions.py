"""Commands that pages mention, in blocks that are not run and between backticks: do they exist?

Of `twopass` the subcommand and the names of its options are looked up, of `make` its target and
variables, of `python -m` the module, and its options in what its --help says.
"""

import functools
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import typer

from .pages import ROOT, SHELL, Block

_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_OURS = re.compile(
    r"(?:TWOPASS_\w+=\S+ +)*(?P<command>twopass |make [a-z]|python3? -m (?:twopass|tests)\b)"
)
# What ends one command of a line: an operator of the shell, a comment, words that stand for more.
_ENDS = re.compile(r"\s(?:[|&;<>]|\d?>|#|…|\.\.\.).*|[)…].*")


def mentioned(text: str, blocks: list[Block]) -> Iterator[tuple[int, str]]:
    """The commands that a page mentions, each with its line, but for those of blocks that run."""
    inside: set[int] = set()
    for block in blocks:
        length = block.code.count("\n")
        inside.update(range(block.line, block.line + length + 2))
        if block.language in SHELL and not block.is_run:
            joined = block.code.replace("\\\n", " ")
            for line in joined.splitlines():
                yield from _commands(block.line, line.strip().removeprefix("$ "))
    for number, line in enumerate(text.splitlines(), 1):
        if number not in inside:
            for code in _CODE.findall(line):
                yield from _commands(number, code.replace("\\|", "|").strip())


def _commands(number: int, code: str) -> Iterator[tuple[int, str]]:
    for part in re.split(r"\s(?:&&|\|\||\|)\s", code):
        if found := _OURS.match(part):
            yield number, _ENDS.sub("", part[found.start("command") :]).strip()


def fault(command: str) -> str:
    """Says what is wrong with a command, or nothing."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation that ends after what was cut
        words = command.split()
    if words[0] == "twopass":
        return _fault_of_twopass(words[1:])
    if words[0] == "make":
        return _fault_of_make(words[1:])
    return _fault_of_module(words[2], words[3:])


def _fault_of_twopass(words: list[str]) -> str:
    command: Any = _twopass()
    context = command.make_context("twopass", [], resilient_parsing=True)
    names = "twopass"
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        word = words.pop(0)
        if re.search(r"[A-Z{<[]", word):  # `twopass COMMAND`
            return ""
        below = command.get_command(context, word.rstrip(",.:"))
        if below is None:
            return f"{names} has no command {word!r}"
        names = f"{names} {word}"
        context = below.make_context(word, [], parent=context, resilient_parsing=True)
        command = below
    known = {"--help", "-h", "--install-completion", "--show-completion"}
    for parameter in command.get_params(context):
        known.update(parameter.opts, parameter.secondary_opts)
    return _unknown(names, words, known)


@functools.cache
def _twopass() -> Any:
    from twopass.commands.main import app

    return typer.main.get_command(app)


def _unknown(names: str, words: list[str], known: set[str]) -> str:
    for word in words:
        option = word.partition("=")[0].rstrip(",.:")
        if re.fullmatch(r"-[a-z]|--[a-z][a-z0-9-]*", option) and option not in known:
            return f"{names} has no option {option}"
    return ""


@functools.cache
def _makefile() -> tuple[set[str], set[str]]:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = {
        target
        for line in re.findall(r"^([a-z][a-z0-9 -]*):(?!=)", text, re.M)
        for target in line.split()
    }
    for line in re.findall(r"^\.PHONY:(.*)", text, re.M):
        targets.update(line.split())
    return targets, set(re.findall(r"\$[({](\w+)", text))


def _fault_of_make(words: list[str]) -> str:
    targets, variables = _makefile()
    for word in words:
        name, equals, _ = word.partition("=")
        if equals and name not in variables:
            return f"the Makefile reads no variable {name}"
        if not equals and re.fullmatch(r"[a-z][a-z0-9-]*", word) and word not in targets:
            return f"the Makefile has no target {word}"
    return ""


def _fault_of_module(module: str, words: list[str]) -> str:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None and not _is_in_tests(module):
        return f"there is no module {module}"
    options = [word for word in words if word.startswith("--")]
    if not options:
        return ""
    said = _help_of(module)
    return _unknown(f"python -m {module}", options, set(re.findall(r"--[a-z][a-z0-9-]*", said)))


def _is_in_tests(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


@functools.cache
def _help_of(module: str) -> str:
    command = [sys.executable, "-m", module, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
