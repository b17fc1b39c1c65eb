"""What the pages of the documentation hold: blocks of code, each with how it is to be tried.

A block is fenced by three backticks and says its language. It is tried as its language says, unless
comments just above the fence say otherwise; CONTRIBUTING.md lists them.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PATTERNS = [
    "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md",
    "client/README.md", "client/typescript/README.md", "benchmarks/**/*.md", "models/**/*.md",
    "integrations/*/README.md", "deploy/**/*.md",
]  # fmt: skip
_BUILT = {"node_modules", "build", "dist"}

SHELL = {"sh", "bash"}
DATA = {"toml", "json", "jsonl", "yaml"}
# Nothing in them is a program's to read: output, drawings, differences.
SHOWN = {"text", "diff", "mermaid"}

# What a block may lack here, said after "needs"; other words are those of the block's author.
_MISSING = {
    "Docker", "Kubernetes", "a GPU", "a clone", "a compiler", "a package index", "another machine",
    "another program", "data of your own", "hours", "minutes", "root", "systemd",
    "test collections", "the network",
}  # fmt: skip
# The same for whole sentences: a piece of something larger, and what a target of the Makefile runs.
_FRAGMENT = "a fragment"
_RUN_BY = re.compile(r"run by `(make [a-z-]+)[^`]*`")
REASONS = (
    f"one of: needs {', needs '.join(sorted(_MISSING))}, {_FRAGMENT}, run by `make TARGET`; "
    "after a colon there may be more: needs another program: Open WebUI"
)

_COMMENT = re.compile(
    r"[ \t]*<!-- (?P<word>[a-z]+(?: [a-z]+)?)(?::[ \t]*(?P<value>.*?))?[ \t]*-->\s*"
)
_HIDDEN = re.compile(r"[ \t]*<!-- (setup|check)( python)?[ \t]*")
_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<ticks>`{3,})(?P<language>[^\s`]*)[^`]*")
_WORDS = {"not run", "needs", "environment", "session", "file", "parsed"}


class PageError(ValueError):
    """A page whose blocks can't be told from its text. The message names page and line."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page.

    Attributes:
        line: Of the fence, from 1.
        language: As the fence says.
        code: Without the fence and its indentation.
        comments: What is said above the fence, by word.
        hidden: Of a comment that holds commands, "setup" or "check"; readers don't see it.
    """

    line: int
    language: str
    code: str
    comments: dict[str, str] = field(default_factory=dict)
    hidden: str = ""

    @property
    def is_run(self) -> bool:
        """Whether a session runs it, or writes it into its folder."""
        if "not run" in self.comments or self._is_for_a_clone:
            return False
        return self.language in {*SHELL, "python"} or "file" in self.comments

    @property
    def _is_for_a_clone(self) -> bool:
        """Whether it has targets of the Makefile and nothing else: these are looked up instead."""
        lines = [line for line in self.code.splitlines() if line.partition("#")[0].strip()]
        return self.language in SHELL and all(line.startswith("make ") for line in lines)

    @property
    def session(self) -> str:
        """The session it belongs to; blocks of a session are run in order in one folder."""
        return self.comments.get("session", "")

    @property
    def environment(self) -> str:
        """The environment whose Python runs it; empty for that of twopass."""
        return self.comments.get("environment", "")


def pages() -> list[Path]:
    """Every page that is tried, in order."""
    found = {path for pattern in _PATTERNS for path in ROOT.glob(pattern)}
    return sorted(path for path in found if not _BUILT & set(path.relative_to(ROOT).parts))


def name(page: Path) -> str:
    """How a page is named in messages and among the tests."""
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else page.name


def blocks(page: Path) -> list[Block]:
    """Reads every block of a page.

    Raises:
        PageError: A block is not closed.
    """
    return list(_read(name(page), page.read_text("utf-8")))


def _read(page: str, text: str) -> Iterator[Block]:
    comments: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if hidden := _HIDDEN.fullmatch(line):
            code = _until(lines, r"[ \t]*-->\s*", page, number)
            yield Block(number, hidden[2].strip() if hidden[2] else "sh", code, comments, hidden[1])
            comments = {}
        elif (comment := _COMMENT.fullmatch(line)) and comment["word"] in _WORDS:
            comments[comment["word"]] = comment["value"] or ""
        elif fence := _FENCE.fullmatch(line):
            code = _until(lines, rf"[ \t]*`{{{len(fence['ticks'])},}}[ \t]*", page, number)
            yield Block(number, fence["language"], code, comments)
            comments = {}
        elif line.strip():
            comments = {}


def _until(lines: Iterator[tuple[int, str]], end: str, page: str, began: int) -> str:
    taken = []
    for _, line in lines:
        if re.fullmatch(end, line):
            return textwrap.dedent("\n".join(taken)) + "\n"
        taken.append(line)
    raise PageError(f"{page}:{began}: this block is never closed")


def fault(block: Block) -> str:
    """Says of a block that nobody knows how to try, or whose reason is none, what it should say."""
    reason = block.comments.get("not run")
    if reason is not None:
        return "" if _is_reason(reason) else f"not run: {reason!r} is no reason; it is {REASONS}"
    if not block.language:
        return "say a language after the backticks; `text` for what is no program"
    if block.language in {*SHELL, *DATA, *SHOWN, "python"}:
        return ""
    return (
        f"no test runs {block.language}; say why above the fence, <!-- not run: REASON -->, "
        f"with {REASONS}"
    )


def _is_reason(reason: str) -> bool:
    kind, _, _ = reason.partition(": ")
    is_missing = kind.startswith("needs ") and kind.removeprefix("needs ") in _MISSING
    return is_missing or kind == _FRAGMENT or _RUN_BY.fullmatch(kind) is not None
