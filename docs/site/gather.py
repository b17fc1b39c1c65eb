"""Gathers the pages of the site, from all over the repository, into a folder that Zensical builds.

`python docs/site/gather.py FOLDER` writes FOLDER/pages and FOLDER/zensical.toml. Links between
pages stay links between pages, those to other files of the repository lead to its forge, and
pictures come along.
"""

import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
FORGE = "https://github.com/twopass/twopass"

_PICTURES = {".png", ".svg", ".webp", ".jpg"}
_FENCE = re.compile(r"^[ \t]*(`{3,}).*?^[ \t]*\1`*[ \t]*$|`[^`\n]+`|<!--.*?-->", re.M | re.S)
_LINK = re.compile(r"(\]\(|(?:src|srcset|href)=\")([^)\s\"]+)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|/|#")
# A picture of each palette: the site's reader chooses it by a button, not by the system alone.
_PICTURE = re.compile(
    r"<picture>\s*<source media=\"\(prefers-color-scheme: dark\)\" srcset=\"(?P<dark>[^\"]+)\">\s*"
    r"<img src=\"(?P<light>[^\"]+)\"(?P<rest>[^>]*)>\s*</picture>"
)


class ContentsError(ValueError):
    """A page that contents.toml names twice or not at all, or that is not there."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the navigation. `pages` are paths in the repository, in order."""

    title: str
    pages: tuple[str, ...]


def contents() -> list[Section]:
    """The sections of the site, with the pages that there are.

    Raises:
        ContentsError: A page below docs/ is in no section, or one is named that does not exist.
    """
    table = tomllib.loads((HERE / "contents.toml").read_text("utf-8"))["section"]
    named = {page for section in table for page in section["pages"] if "*" not in page}
    optional = {"SECURITY.md"}
    sections = []
    taken: set[str] = set()
    for section in table:
        pages: list[str] = []
        for pattern in section["pages"]:
            if "*" not in pattern:
                if (ROOT / pattern).is_file():
                    pages.append(pattern)
                elif pattern not in optional:
                    raise ContentsError(f"contents.toml: {pattern}: there is no such page")
                continue
            found = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)} - named
            pages += sorted(found - taken, key=lambda page: title(ROOT / page).lower())
        taken.update(pages)
        sections.append(Section(section["title"], tuple(pages)))
    every = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")}
    if left := sorted(every - taken):
        raise ContentsError(f"docs/site/contents.toml has no place for {', '.join(left)}")
    return [section for section in sections if section.pages]


def title(page: Path) -> str:
    """The page's heading, without marks."""
    found = re.search(r"^# (.+)$", page.read_text("utf-8"), re.M)
    return re.sub(r"[`*]", "", found[1]).strip() if found else page.stem


def place(page: str) -> str:
    """Where a page of the repository lies in the site."""
    path = PurePosixPath(page)
    if page == "README.md":
        return "index.md"
    if path.parts[0] == "docs":
        return path.relative_to("docs").as_posix()
    if path.name == "README.md":
        return f"{path.parent}.md"
    return path.with_name(path.name.lower()).as_posix()


def gather(folder: Path) -> None:
    """Writes the pages, their pictures, and the settings with the navigation."""
    sections = contents()
    places = {page: place(page) for section in sections for page in section.pages}
    pages = folder / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    for page, at in places.items():
        target = pages / at
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(moved(page, places, pages), "utf-8")
    shutil.copy(HERE / "style.css", pages)
    settings = (HERE / "zensical.toml").read_text("utf-8")
    (folder / "zensical.toml").write_text(
        settings.replace("[project]\n", f"[project]\nnav = {_navigation(sections)}\n", 1), "utf-8"
    )


def _navigation(sections: list[Section]) -> str:
    lines = []
    for section in sections:
        inside = ", ".join(
            f"{{ {_quoted(title(ROOT / page))} = {_quoted(place(page))} }}"
            for page in section.pages
        )
        lines.append(f"  {{ {_quoted(section.title)} = [{inside}] }},\n")
    return "[\n" + "".join(lines) + "]"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def moved(page: str, places: dict[str, str], pages: Path) -> str:
    """The text of a page whose links and pictures lead from its place to where they led.

    Args:
        page: Its path in the repository.
        places: Where each page of the site lies, by its path in the repository.
        pages: The folder of the site's pages, into which its pictures are copied.
    """
    text = _PICTURE.sub(
        r'<img src="\g<dark>#only-dark"\g<rest>> <img src="\g<light>#only-light"\g<rest>>',
        (ROOT / page).read_text("utf-8"),
    )

    def linked(prose: str) -> str:
        return _LINK.sub(lambda link: link[1] + _target(page, link[2], places, pages), prose)

    pieces, at = [], 0
    for code in _FENCE.finditer(text):
        pieces += [linked(text[at : code.start()]), "" if code[0].startswith("<!--") else code[0]]
        at = code.end()
    return "".join([*pieces, linked(text[at:])])


def _target(page: str, link: str, places: dict[str, str], pages: Path) -> str:
    if _ELSEWHERE.match(link):
        return link
    path, mark, anchor = link.partition("#")
    there = os.path.normpath(PurePosixPath(page).parent / path)
    source = ROOT / there
    at = places.get(there) or places.get(f"{there}/README.md")
    if at is None and source.suffix in _PICTURES:
        at = there.removeprefix("docs/")
        target = pages / at
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    if at is None:
        return f"{FORGE}/{'tree' if source.is_dir() else 'blob'}/main/{there}{mark}{anchor}"
    return os.path.relpath(at, PurePosixPath(places[page]).parent) + mark + anchor


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
