"""The page begins with the chosen collection's search defaults, shows them, and sends them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .browsing import visiting
from .facts import FACTS
from .serving import ServedPage

SEARCH = "**/search"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    with ServedPage(tmp_path_factory.mktemp("defaults")) as server:
        for name in ("plain", "tuned"):
            server.fill(name, FACTS)
        own = {"mode": "RETRIEVE_MODE_LEXICAL", "k": 5, "depth": 2, "answer_threshold": 1}
        server.call("PUT", "/collections/tuned/search-defaults", {"search_defaults": own})
        yield server


@pytest.fixture
def page(browser: Any, served: ServedPage) -> Iterator[Page]:
    with visiting(browser, served.url) as page:
        yield page


def asked(page: Page, collection: str) -> dict[str, Any]:
    """What the page sends for a question to a collection."""
    page.locator("#collection").select_option(collection)
    with page.expect_request(SEARCH) as sent:
        page.get_by_role("searchbox", name="Query").fill("the capital of Australia")
        page.keyboard.press("Enter")
    page.locator("#second-hits .hit").first.wait_for()
    return json.loads(sent.value.post_data or "{}")


def test_the_form_begins_with_the_collections_own(page: Page) -> None:
    sent = asked(page, "tuned")
    assert sent["retrieve"] == {"mode": "RETRIEVE_MODE_LEXICAL", "k": 5}
    assert sent["rerank"]["depth"] == 2
    expect(page.locator("#settings-told")).to_contain_text("words · 5 candidates · depth 2")
    expect(page.locator("#facts")).to_contain_text("Nothing here answers")


def test_another_collection_begins_with_its_own_again(page: Page) -> None:
    asked(page, "tuned")
    sent = asked(page, "plain")
    assert sent["retrieve"] == {"mode": "RETRIEVE_MODE_HYBRID", "k": 50}
    assert "rerank" not in sent


def test_an_address_says_what_differs_from_them(page: Page, served: ServedPage) -> None:
    page.goto(f"{served.url}/ui#search?collection=tuned&q=capital&depth=null&mode=hybrid")
    page.reload()
    page.locator("#second-hits .hit").first.wait_for()
    expect(page.locator("#settings-told")).to_contain_text(
        "meaning and words · 5 candidates · depth all"
    )
