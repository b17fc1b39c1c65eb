"""HTML: a file is one document, the text that a reader of the page would see."""

import re
from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING

from twopass.commands.sources.decoding import decoded, read_whole
from twopass.commands.sources.readers.depth import with_bounded_depth
from twopass.commands.sources.readers.plain_text import one_document
from twopass.commands.sources.records import LeftOut, Record, UnreadableError
from twopass.commands.sources.source_file import SourceFile

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_HEAD_BYTES = 1_024  # where a page must declare its encoding (HTML Standard, 4.2.5.4)
_DECLARED = re.compile(
    rb"""<meta[^>]*?charset\s*=\s*["']?\s*([-\w.:]+)|<\?xml[^>]*?encoding\s*=\s*["']([-\w.:]+)""",
    re.IGNORECASE,
)
# What pages mean by these names (Encoding Standard, 4.2); UTF-16 can't be declared in ASCII.
_MEANT = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "utf-16": "utf-8",
    "utf-16le": "utf-8",
    "utf-16be": "utf-8",
}
# What is not read: programs, what is drawn, and what leads to other pages.
_NOT_READ = [
    *("script", "style", "noscript", "template", "svg", "annotation", "iframe", "object", "canvas"),
    *("noembed", "noframes", "xmp", "plaintext", "audio", "video", "select", "button"),
    *("nav", "footer"),
]
_NOT_READ_BY_ATTRIBUTE = (
    "[role=navigation]",
    "[role=search]",
    "[hidden]:not(body)",
    ".headerlink",  # the signs after headings that link to them, of Sphinx and its kind
)
_PARAGRAPHS = frozenset(
    (
        "blockquote",
        "dl",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ol",
        "p",
        "pre",
        "table",
        "ul",
    )
)
_BLOCKS = _PARAGRAPHS.union(
    ("address", "article", "aside", "body", "caption", "dd", "details", "dialog", "div", "dt"),
    ("fieldset", "figcaption", "form", "header", "hgroup", "hr", "html", "legend", "li", "main"),
    ("menu", "section", "summary", "tbody", "tfoot", "thead", "tr"),
)
_CELLS = frozenset(("td", "th"))
# Of HTML as the parser writes it: values of attributes are in double quotes, and text has no `<`.
_TOKEN = re.compile(
    r"""<!--.*?-->|<(?P<slash>/?)(?P<tag>[a-z][^\s/>]*)(?:[^>"]|"[^"]*")*>|(?P<text>[^<]+)""",
    re.DOTALL,
)
_SPACES = re.compile(" {2,}")
_BLANKS = re.compile(r"[ \t\n\r\f]+")


def read_web_page(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads a page as one document, titled by its `<title>`, else its first heading, else its name.

    Where a page says what its main part is, by `<main>`, `role=main` or one `<article>`, that alone
    is its text.
    """
    from selectolax.lexbor import LexborHTMLParser

    content = read_whole(file)
    page = LexborHTMLParser(with_bounded_depth(decoded(content, file, _declared(content))))
    title = _first_text(page, "head title") or _first_text(page, "h1") or file.title
    page.strip_tags(_NOT_READ)
    for selector in _NOT_READ_BY_ATTRIBUTE:
        # The innermost first: what is removed takes along what is in it.
        for node in reversed(page.css(selector)):
            node.decompose()
    yield from one_document(file, _main_text(page), title)


def _declared(content: bytes) -> str | None:
    """The encoding that a page declares itself.

    Raises:
        UnreadableError: It is none that is known.
    """
    found = _DECLARED.search(content[:_HEAD_BYTES])
    if not found:
        return None
    name = (found[1] or found[2]).decode("ascii", "replace").lower()
    encoding = _MEANT.get(name, name)
    try:
        "".encode(encoding)
    except (LookupError, UnicodeError) as error:
        reason = f"it declares the encoding {name}, which is not known; --encoding names another"
        raise UnreadableError("files of other encodings", reason) from error
    return encoding


def _main_text(page: "LexborHTMLParser") -> str:
    for selector in ("main, [role=main]", "article"):
        parts = page.css(selector)
        if len(parts) == 1 and (text := _text(parts[0])):
            return text
    return _text(page.body) if page.body else ""


def _first_text(page: "LexborHTMLParser", selector: str) -> str:
    node = page.css_first(selector)
    return " ".join(node.text().split()) if node else ""


def _text(root: "LexborNode") -> str:
    """The text below a node: blocks on lines of their own, paragraphs between blank lines.

    It is taken from the node as HTML, which a parser wrote: what nests can't nest Python's calls,
    and no node has to become an object.
    """
    lines = _Lines()
    depth_of_pre = 0
    for token in _TOKEN.finditer(root.html or ""):
        tag = token["tag"]
        if tag is None:
            if text := token["text"]:
                lines.add(unescape(text), is_preformatted=depth_of_pre > 0)
        elif tag in _BLOCKS:
            lines.end(is_paragraph=tag in _PARAGRAPHS)
            if tag == "pre":
                depth_of_pre += -1 if token["slash"] else 1
        elif tag == "br":
            lines.end()
        elif tag in _CELLS and token["slash"]:
            lines.add(" ", is_preformatted=False)
    return lines.text()


class _Lines:
    """Lines of text as they come, blanks joined, with blank lines between paragraphs."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pieces: list[str] = []
        self._is_preformatted = False

    def add(self, text: str, *, is_preformatted: bool) -> None:
        """Goes on with a line."""
        self._pieces.append(text if is_preformatted else _BLANKS.sub(" ", text))
        self._is_preformatted = self._is_preformatted or is_preformatted

    def end(self, *, is_paragraph: bool = False) -> None:
        """Ends the line, and the paragraph."""
        line = "".join(self._pieces)
        line = (
            line.strip("\n").rstrip() if self._is_preformatted else _SPACES.sub(" ", line.strip())
        )
        self._pieces = []
        self._is_preformatted = False
        if line:
            self._lines.append(line)
        if is_paragraph and self._lines and self._lines[-1]:
            self._lines.append("")

    def text(self) -> str:
        """All of it."""
        self.end()
        return "\n".join(self._lines).strip("\n")
