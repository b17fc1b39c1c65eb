"""A browser that watches: what a page says on its console, and where its requests go."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Chromium says so of every answer of 400 and above; tests look at what the page tells of them.
_EXPECTED = "Failed to load resource"

# Gives JavaScript of a test the page's own modules: `const { api } = await module("api.js")`.
MODULE = """
  const entry = document.querySelector("script[type=module]").src;
  const module = (path) => import(new URL(path, entry));
"""


def launch(playwright: Playwright) -> Browser:
    """Starts the machine's Chromium: the program that $CHROMIUM names, or the first found on $PATH.

    Raises:
        AssertionError: There is none; these tests never skip.
    """
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    assert program, "no Chromium: apt-get install chromium, or name one by $CHROMIUM"
    return playwright.chromium.launch(executable_path=program)


@dataclass
class Visit:
    """An open page, and what it did that it must not.

    Attributes:
        page: The page.
        complaints: Errors and warnings of its console, which has violations of its policy too,
            exceptions, and requests to other origins.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self, origin: str) -> None:
        """Notes complaints from now on.

        Args:
            origin: Where the page may send requests.
        """

        def on_console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and _EXPECTED not in message.text:
                self.complaints.append(f"console {message.type}: {message.text}")

        def on_request(request: Request) -> None:
            if not request.url.startswith((f"{origin}/", "data:", "blob:")):
                self.complaints.append(f"a request to {request.url}")

        self.page.on("console", on_console)
        self.page.on("request", on_request)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))


@contextmanager
def visiting(
    browser: Browser,
    url: str,
    *,
    width: int = 1_600,
    height: int = 1_000,
    scheme: str = "light",
    **options: Any,
) -> Iterator[Page]:
    """Opens the page of a server at its root, and demands at the end that it did nothing wrong.

    Args:
        browser: A browser; the page has cookies, storage and permissions of its own in it.
        url: The server's, without a slash at the end.
        width: Of the window, in CSS pixels.
        height: Of the window, in CSS pixels.
        scheme: "light" or "dark": what the visitor prefers.
        options: Further ones of Playwright's `new_context`.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        base_url=url,
        **options,
    )
    context.set_default_timeout(25_000)  # a busy machine is no reason to fail
    visit = Visit(context.new_page())
    visit.watch(url)
    try:
        visit.page.goto("/ui")
        yield visit.page
        assert not visit.complaints, "\n".join(visit.complaints)
    finally:
        context.close()


def accessibility_findings(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is now, one line for each element."""
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(Path(os.environ["TWOPASS_AXE"]).read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document)).violations")
    return [
        f"{rule['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider
