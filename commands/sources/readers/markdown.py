"""Markdown: a file is one document, its front matter metadata."""

import re
from collections.abc import Iterator
from html import unescape

from twopass.commands.sources.decoding import read_whole_text
from twopass.commands.sources.readers.front_matter import split_front_matter
from twopass.commands.sources.readers.plain_text import one_document
from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.sources.source_file import SourceFile

_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
# Lines that are no paragraph, so that dashes below them underline nothing.
_BLOCK = re.compile(
    r"( {4}|\t| {0,3}([#>|]|[-+*][ \t]|\d{1,9}[.)][ \t]|<|={3,}|-{3,}|_{3,}|\*{3,}))"
)
_HTML_BEGINNING = re.compile(r"\s*<h1\b", re.IGNORECASE)
_HTML_HEADING = re.compile(r"<h1\b[^>]*>(.*?)</h1\s*>", re.DOTALL | re.IGNORECASE)
_IMAGE = re.compile(r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])")
_LINK = re.compile(r"\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_ANCHOR = re.compile(r"\s*\{#[^}]*\}$")  # of Pandoc, Docusaurus and others
_EMPHASIS = re.compile(r"(\*{1,3}|(?<!\w)_{1,3}|`+)(?=\S)(.+?)(?<=\S)\1(?!\w)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
# Bounds of a heading: expressions may look at each of its characters once for every other.
_LINE_CHARS = 1_000
_HTML_LINES = 10
_HEAD_CHARS = (4 * 1024, 256 * 1024)  # where a title is looked for: mostly it is soon found


def read_markdown(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads a file as one document.

    Its title is the front matter's, else its first heading of the first level, else its first
    heading, else its name.
    """
    front = split_front_matter(read_whole_text(file))
    if front.problem:
        yield LeftOut(
            where=file.where,
            kind="front matter that can't be read",
            reason=f"{front.problem}; it stays a part of the text",
            num_records=0,
            is_fault=False,
        )
    title = front.title or heading(front.text) or file.title
    yield from one_document(file, front.text, title, front.metadata)


def heading(text: str) -> str:
    """The text of a Markdown text's first heading of the first level, else of its first; or ""."""
    first = ""
    for num_chars in _HEAD_CHARS:
        # Whole lines, so that no heading is cut.
        head = text if len(text) <= num_chars else text[:num_chars].rpartition("\n")[0]
        first = ""
        for level, raw in _headings(_COMMENT.sub("", head) if "<!--" in head else head):
            shown = _without_markup(raw)
            if shown and level == 1:
                return shown
            first = first or shown
        if len(head) == len(text):
            break
    return first


def _headings(text: str) -> Iterator[tuple[int, str]]:
    """Levels and texts of headings outside of code, in order."""
    fence = ""
    paragraph: list[str] = []
    html: list[str] | None = None
    for whole_line in text.splitlines():
        line = whole_line[:_LINE_CHARS]
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not found[2].strip():
                fence = ""
            continue
        if found and not (found[1][0] == "`" and "`" in found[2]):
            fence = found[1]
            paragraph = []
            continue
        if html is not None or _HTML_BEGINNING.match(line):
            html = [*(html or []), line]
            if "</h1" in line.lower():
                if heading := _HTML_HEADING.search("\n".join(html)):
                    yield 1, heading[1]
                html = None
            elif len(html) == _HTML_LINES:
                html = None
            continue
        if atx := _ATX.match(line):
            yield len(atx[1]), atx[2] or ""
            paragraph = []
        elif paragraph and (setext := _SETEXT.match(line)):
            yield (1 if setext[1][0] == "=" else 2), " ".join(paragraph)[:_LINE_CHARS]
            paragraph = []
        elif not line.strip() or (not paragraph and _BLOCK.match(line)):
            paragraph = []
        else:
            paragraph.append(line.strip())


def _without_markup(raw: str) -> str:
    """A heading's words: no images, links, tags, emphasis and anchors."""
    text = _LINK.sub(r"\1", _IMAGE.sub("", raw))
    text = _ANCHOR.sub("", _TAG.sub("", text).strip())
    text = _EMPHASIS.sub(r"\2", _EMPHASIS.sub(r"\2", text))
    return " ".join(unescape(_ESCAPE.sub(r"\1", text)).split())
