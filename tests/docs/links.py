"""Links between pages, and to other files of the repository: whether what they lead to is there.

Files of the repository that stand between backticks are looked up too.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from .pages import ROOT, blocks

_LINK = re.compile(r"(?:\]\(|(?:src|srcset|href)=\")([^)\s\"]+)")
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*\s*")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|/")
# What begins with a folder of the repository; "…" and capitals stand for something else.
_FOLDERS = "|".join(
    sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
)
_NAMED = re.compile(rf"`((?:{_FOLDERS})/[a-z0-9_./{{}},*-]*)`")
_BUILT = ("build/", "dist/", "bench-results/", "twopass-data/")


def broken(page: Path) -> Iterator[str]:
    """Says of each link that leads nowhere what it is."""
    for number, line in _prose(page):
        for link in _LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if _ELSEWHERE.match(link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                yield f"line {number}: {link}: no such file"
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                yield f"line {number}: {link}: no such heading"


def missing_files(page: Path) -> Iterator[str]:
    """Says of each file of the repository that a page names, and that is not there, what it is."""
    for number, line in _prose(page):
        for named in _NAMED.findall(line):
            if named.startswith(_BUILT):
                continue
            for path in _each(named):
                if not any(ROOT.glob(path.rstrip("/"))):
                    yield f"line {number}: {path}: no such file"


def _each(named: str) -> Iterator[str]:
    """`a/{b,c}.py` is two files."""
    before, brace, rest = named.partition("{")
    if not brace:
        yield named
        return
    choices, _, after = rest.partition("}")
    for choice in choices.split(","):
        yield from _each(f"{before}{choice}{after}")


def anchors(page: Path) -> set[str]:
    """What headings of a page are linked as, by the rules of forges that show Markdown."""
    found: set[str] = set()
    for _, line in _prose(page):
        if heading := _HEADING.fullmatch(line):
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)|`", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            times = sum(1 for one in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", one))
            found.add(f"{slug}-{times}" if slug in found else slug)
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
    return found


def _prose(page: Path) -> Iterator[tuple[int, str]]:
    inside = {
        number
        for block in blocks(page)
        for number in range(block.line, block.line + block.code.count("\n") + 2)
    }
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if number not in inside:
            yield number, line
