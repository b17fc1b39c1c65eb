"""A search as a visitor makes it, and the cards that it shows."""

from playwright.sync_api import Page

from .facts import QUESTION

SEARCH = "**/api/v1/collections/*/search"


def ask(page: Page, query: str = QUESTION) -> None:
    page.get_by_role("searchbox", name="Query").fill(query)
    page.keyboard.press("Enter")
    page.locator("#second-hits .hit").first.wait_for()


def ids(page: Page, column: str) -> list[str]:
    found: list[str] = page.locator(f"#{column}-hits .hit").evaluate_all(
        "cards => cards.map(card => card.dataset.id)"
    )
    return found
