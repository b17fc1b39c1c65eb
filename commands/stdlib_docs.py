"""The documentation of the running Python: its standard library's docstrings as passages.

Sources are parsed, never imported: importing all of the library opens windows and browsers.
Modules written in C have no source; their docstrings come from those that are loaded anyway.
"""

import ast
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from twopass.client import Document

# Parts that document tests, deprecated tools and foreign packages rather than the library.
_SKIPPED = {"test", "tests", "idlelib", "lib2to3", "site-packages", "turtledemo"}
_MIN_CHARS = 25
_MAX_CHARS = 1_200

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def passages() -> list[Document]:
    """Every docstring of the standard library, long ones split at blank lines; ids are distinct."""
    documents: dict[str, Document] = {}
    for name, text in (*_from_sources(), *_from_loaded_modules()):
        for part, passage in enumerate(_split(text)):
            identifier = f"{name}#{part}" if part else name
            documents.setdefault(
                identifier,
                Document(id=identifier, title=name, text=passage, metadata={"part": part}),
            )
    return list(documents.values())


def _from_sources() -> Iterator[tuple[str, str]]:
    root = Path(sysconfig.get_path("stdlib"))
    for file in sorted(root.rglob("*.py")):
        relative = file.relative_to(root)
        parts = [p for p in relative.with_suffix("").parts if p != "__init__"]
        if _SKIPPED.intersection(parts) or any(part.startswith("_") for part in parts):
            continue
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):  # templates and files of other encodings
            continue
        yield from _docstrings(tree, ".".join(parts))


def _docstrings(node: _Documented, name: str) -> Iterator[tuple[str, str]]:
    """A node's docstring and those of everything public below it, by dotted name."""
    text = ast.get_docstring(node)
    if text:
        yield name, text
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not child.name.startswith("_"):
            yield from _docstrings(child, f"{name}.{child.name}")


def _from_loaded_modules() -> Iterator[tuple[str, str]]:
    for name in ("builtins", *sys.builtin_module_names):
        if name in sys.modules and not name.startswith("_"):
            yield from _members(sys.modules[name], name)


def _members(owner: ModuleType | type, name: str) -> Iterator[tuple[str, str]]:
    for key, member in vars(owner).items():
        if key.startswith("_") or not callable(member):
            continue
        text = inspect.getdoc(member)
        if text:
            yield f"{name}.{key}", text
        if isinstance(member, type) and isinstance(owner, ModuleType):
            yield from _members(member, f"{name}.{key}")


def _split(text: str) -> Iterator[str]:
    """Joins paragraphs while they fit into one passage; drops a last passage that is too short."""
    passage = ""
    for paragraph in text.split("\n\n"):
        if passage and len(passage) + len(paragraph) > _MAX_CHARS:
            yield passage
            passage = ""
        passage = f"{passage}\n\n{paragraph}".strip()[:_MAX_CHARS]
    if len(passage) >= _MIN_CHARS:
        yield passage
