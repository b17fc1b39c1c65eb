"""Bounds how deep a page's elements can be: parsers look through all that are open at each tag."""

import re
from collections import Counter

# What browsers nest at most (Chromium's HTMLDocumentParser); what is deeper stands beside.
MAX_DEPTH = 512
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)[^>]*>")
# Elements that have nothing in them, and those that the next of their kind ends.
_FLAT = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source")
).union(
    ("track", "wbr", "a", "p", "li", "dt", "dd", "tr", "td", "th", "tbody", "thead", "tfoot"),
    ("option", "optgroup", "colgroup", "rp", "rt", "html", "head", "body"),
    # What is text to the parser.
    ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext"),
)
_LINE_BREAK = "<br>"


def with_bounded_depth(page: str) -> str:
    """The page without the tags of elements deeper than a browser nests them; line breaks instead.

    Depth is counted by tags alone, so that it is never less than the parser's where elements are
    properly closed.
    """
    if page.count("<") <= MAX_DEPTH:
        return page
    open_tags: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    depth = 0
    pieces: list[str] = []
    start = 0
    for found in _TAG.finditer(page):
        slash, name = found.groups()
        name = name.lower()
        if name in _FLAT:
            continue
        if not slash:
            if depth < MAX_DEPTH:
                depth += 1
                open_tags[name] += 1
                continue
            dropped[name] += 1
        elif dropped[name]:
            dropped[name] -= 1
        else:
            if open_tags[name]:
                open_tags[name] -= 1
                depth -= 1
            continue
        pieces += (page[start : found.start()], _LINE_BREAK)
        start = found.end()
    return "".join([*pieces, page[start:]]) if pieces else page
