"""What the tests of the page share: a browser, and a server with a collection of facts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .browsing import launch, visiting
from .facts import FACTS
from .serving import ServedPage

Visiting = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """A server without keys, whose collection `facts` no test changes."""
    with ServedPage(tmp_path_factory.mktemp("server")) as server:
        server.fill("facts", FACTS)
        yield server


@pytest.fixture
def visit(browser: Browser, server: ServedPage) -> Visiting:
    """Opens the page of the shared server; takes what `visiting` takes after the URL."""
    return partial(visiting, browser, server.url)


@pytest.fixture
def page(visit: Visiting) -> Iterator[Page]:
    """The page of the shared server in a wide window."""
    with visit() as page:
        yield page


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServedPage]:
    """A server that a test may change, with `facts` in it."""
    with ServedPage(tmp_path / "data") as server:
        server.fill("facts", FACTS)
        yield server
