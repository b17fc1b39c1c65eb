"""What the browser keeps, and a browser that keeps nothing."""

import pytest
from playwright.sync_api import expect

from .browsing import MODULE
from .conftest import Visiting
from .searching import ask

BLOCKED = """
  for (const name of ["localStorage", "sessionStorage"]) {
    const get = () => { throw new DOMException("denied", "SecurityError"); };
    Object.defineProperty(window, name, { get });
  }
"""
FULL = """
  Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
"""


@pytest.mark.parametrize("browsers", [BLOCKED, FULL], ids=["blocked", "full"])
def test_the_page_works_where_the_browser_keeps_nothing(visit: Visiting, browsers: str) -> None:
    with visit() as page:
        page.add_init_script(browsers)
        page.reload()
        ask(page)
        page.get_by_role("button", name="Auto colours").click()
        expect(page.get_by_role("button", name="Light colours")).to_be_visible()
        page.get_by_role("button", name="Relevant: ").first.click()
        expect(page.locator("#judged-told")).to_contain_text("1 judgement")
        page.get_by_role("tab", name="Collections").click()
        expect(page.get_by_role("heading", name="facts")).to_be_visible()


def test_a_text_that_the_browser_refuses_is_kept_until_the_page_is_closed(visit: Visiting) -> None:
    """And is never mixed up with an earlier one that the browser has."""
    script = (
        """async (full) => {"""
        + MODULE
        + """
        const { inBrowser } = await module("storage.js");
        const told = [inBrowser.set("a", "1"), inBrowser.get("a")];
        const own = Storage.prototype.setItem;
        eval(full);
        told.push(inBrowser.set("a", "2"), inBrowser.get("a"), localStorage.getItem("a"));
        Storage.prototype.setItem = own;
        told.push(inBrowser.set("a", null), inBrowser.get("a"), localStorage.getItem("a"));
        return told;
      }"""
    )
    with visit(bypass_csp=True) as page:
        assert page.evaluate(script, FULL) == [True, "1", False, "2", "1", True, None, None]
