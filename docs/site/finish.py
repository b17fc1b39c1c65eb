"""Finishes a built site: brings the one script it would fetch from elsewhere, and checks it all.

`python docs/site/finish.py FOLDER` prints links that lead nowhere and what a page would ask of
another machine, and exits with 1 if there is any.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

# Lets the search work in a page that was opened as a file; Zensical links to the newest of it.
_SHIM = Path(__file__).with_name("iframe-worker.js")
_SHIM_URL = "https://unpkg.com/iframe-worker/shim"

# What a browser fetches by itself, by element and attribute; links are followed only when clicked.
_FETCHED = {"script src", "img src", "source srcset", "iframe src", "link href"}
_NOT_FETCHED = {"canonical", "next", "prev", "alternate", "edit"}


class _Page(HTMLParser):
    """The ids of a page, its links, and what it fetches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.update(value for name in ("id", "name") if (value := values.get(name)))
        if tag == "a" and (href := values.get("href")):
            self.links.add(href)
        if tag == "link" and _NOT_FETCHED & set((values.get("rel") or "").split()):
            return
        for name in ("src", "srcset", "href"):
            if f"{tag} {name}" in _FETCHED and (value := values.get(name)):
                self.fetched.add(value)


def bring_shim(site: Path) -> None:
    """Copies the script into the site, and lets every page take it from there."""
    shim = site / "assets/javascripts" / _SHIM.name
    shutil.copy(_SHIM, shim)
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        here = os.path.relpath(shim, page.parent)
        page.write_text(text.replace(_SHIM_URL, here), "utf-8")


def faults(site: Path) -> Iterator[str]:
    """Says what leads nowhere, and what is fetched from elsewhere, page by page."""
    pages = {path: _Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        here = path.relative_to(site)
        if path.name == "404.html":  # its links begin at the root of a server
            continue
        for link in sorted(page.links | page.fetched):
            if re.match(r"(?:[a-z]+:)?//", link):
                if link in page.fetched:
                    yield f"{here}: {link}: fetched from another machine"
                continue
            if re.match(r"(?:mailto|data|javascript):", link):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / unquote(file)).resolve() if file else path
            if not target.exists():
                yield f"{here}: {link}: no such page or file"
            elif anchor and target in pages and unquote(anchor) not in pages[target].ids:
                yield f"{here}: {link}: no such heading"
    for style in site.rglob("*.css"):
        for url in re.findall(r"url\(['\"]?((?:https?:)?//[^)'\"]+)", style.read_text("utf-8")):
            yield f"{style.relative_to(site)}: {url}: fetched from another machine"


def main() -> int:
    """Finishes the site that is named, and prints its faults. Returns the exit status."""
    site = Path(sys.argv[1]).resolve()
    bring_shim(site)
    found = list(faults(site))
    for fault in found:
        print(fault)
    print(f"{len(list(site.rglob('*.html')))} pages, {len(found)} faults: {site / 'index.html'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
