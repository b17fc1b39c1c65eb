"""What the tests of the page share: a browser, and a server with a collection of facts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .browsing import launch, visiting
from .facts import FACTS
from .serving import ServedPage

# A busy machine is no reason to fail.
expect.set_options(timeout=25_000)

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
    """The page of the shared server in a wide window, once it knows the collections."""
    with visit() as page:
        page.locator("#collection option").first.wait_for(state="attached")
        yield page


@pytest.fixture(scope="session")
def _changeable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    with ServedPage(tmp_path_factory.mktemp("changeable")) as server:
        yield server


@pytest.fixture
def own_server(_changeable: ServedPage) -> ServedPage:
    """A server that a test may change, with `facts` in it and nothing else."""
    _changeable.clear()
    _changeable.fill("facts", FACTS)
    return _changeable


@pytest.fixture
def visit_own(browser: Browser, own_server: ServedPage) -> Visiting:
    """Opens the page of the test's own server."""
    return partial(visiting, browser, own_server.url)
