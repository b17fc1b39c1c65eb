"""The dialog of the page that tells whether the second pass pays."""

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from .browsing import accessibility_findings, overflow
from .conftest import Visiting
from .serving import ServedPage

QUESTIONS = ("Why is the sky blue?", "What is the capital of Australia?", "How does bread rise?")
SCORES = re.compile(r"Scores of the best candidates: half are above 0\.\d\d")


def search(server: ServedPage) -> None:
    for question in QUESTIONS:
        server.call("POST", "/collections/facts/search", {"query": question, "top_n": 3})


def open_report(page: Page, server: ServedPage) -> Locator:
    page.goto(f"{server.url}/ui#collections")
    page.get_by_role("button", name="Report of facts").click()
    return page.get_by_role("dialog", name="Does the second pass pay? facts")


def test_it_tells_in_words_and_figures_what_the_second_pass_changed(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    search(own_server)
    with visit_own() as page:
        dialog = open_report(page, own_server)
        expect(dialog).to_contain_text("The second pass changed the first hit in ")
        expect(dialog).to_contain_text("3 answers were compared: too few to judge by")
        expect(dialog.locator(".measure")).to_have_count(4)
        expect(dialog.locator(".counts")).to_contain_text("second pass: complete")
        expect(dialog.get_by_role("img")).to_have_attribute("aria-label", SCORES)
        expect(page.locator("#live")).to_contain_text("The second pass changed the first hit in ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1_600], ids="{}px".format)
def test_it_is_accessible_and_fits_its_window(
    visit_own: Visiting, own_server: ServedPage, width: int, scheme: str
) -> None:
    search(own_server)
    with visit_own(width=width, scheme=scheme) as page:
        expect(open_report(page, own_server)).to_contain_text("The second pass changed")
        assert accessibility_findings(page) == []
        assert overflow(page) == 0


def test_a_collection_that_was_not_reranked_says_so(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    own_server.call(
        "POST", "/collections/facts/search", {"query": "sky", "rerank": {"enabled": False}}
    )
    with visit_own() as page:
        dialog = open_report(page, own_server)
        expect(dialog).to_contain_text("answered, none of them with a second pass to compare.")
        expect(dialog.locator(".measure")).to_have_count(0)


def test_the_time_is_chosen_and_all_is_reached_by_keys(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    search(own_server)
    with visit_own() as page:
        page.goto(f"{own_server.url}/ui#collections")
        page.get_by_role("button", name="Report of facts").focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The second pass changed")
        window = dialog.get_by_label("In the last")
        window.focus()
        with page.expect_request("**/collections/facts/report?window=3600s"):
            window.select_option("hour")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("button", name="Report of facts")).to_be_focused()


def test_a_failure_is_told_where_the_report_would_stand(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503, json={"code": "unavailable", "message": "it drains"})

    with visit_own() as page:
        page.route("**/report?window=*", refuse)
        dialog = open_report(page, own_server)
        expect(dialog).to_contain_text("The server is not ready")
        page.unroute("**/report?window=*")
        dialog.get_by_role("button", name="Try again").click()
        expect(dialog.locator(".counts")).to_contain_text("searches")
