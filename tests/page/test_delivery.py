"""What the server says with the page, and what it asks for."""

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Browser, Page

from .serving import ServedPage

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def test_the_policy_of_the_page_is_this_one_exactly(server: ServedPage) -> None:
    with urllib.request.urlopen(f"{server.url}/ui") as answer:
        headers = answer.headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_browser_is_sent_from_the_root_to_the_page(page: Page) -> None:
    page.goto("/")
    assert page.url.endswith("/ui")


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_programs_that_get_the_root_are_not_sent_to_the_page(
    server: ServedPage, accept: str
) -> None:
    class _Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    asked = urllib.request.Request(f"{server.url}/", headers={"accept": accept})
    try:
        with urllib.request.build_opener(_Stay).open(asked) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    assert status not in (301, 302, 303, 307, 308)


def test_an_inline_script_would_not_run(browser: Browser, server: ServedPage) -> None:
    """The browser enforces the policy: what slipped through as HTML could do nothing."""
    page = browser.new_page()
    page.goto(f"{server.url}/ui")
    refused = page.evaluate(
        """() => new Promise((resolve) => {
          document.addEventListener("securitypolicyviolation", (e) => resolve(e.violatedDirective));
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
        })"""
    )
    assert refused.startswith("script-src")
    assert page.evaluate("() => window.ran") is None
    page.close()
