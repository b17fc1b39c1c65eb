"""Texts of documents stay text: nothing runs, is loaded, becomes an element or writes backwards."""

import re

from playwright.sync_api import expect

from .browsing import accessibility_findings
from .conftest import Visiting
from .facts import HARMFUL
from .searching import ask
from .serving import ServedPage

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def test_hits_show_documents_as_they_stand(visit_own: Visiting, own_server: ServedPage) -> None:
    own_server.fill("harm", HARMFUL)
    with visit_own() as page:
        page.get_by_label("Collection", exact=True).select_option("harm")
        ask(page, "harm script alert")
        for button in page.locator("#second-hits .whole").all():
            button.click()
        for document in HARMFUL[:2]:
            card = page.locator("#second-hits .hit").filter(has_text=document["title"])
            expect(card).to_contain_text(document["text"])
        foreign = "img, script, iframe, b > b, [onerror], a[href^='javascript']"
        assert page.locator(f".hit :is({foreign})").count() == 0
        assert not _UNSEEN.search(page.locator("#found").inner_text())
        labels = page.locator("#found [aria-label]").evaluate_all(
            "(all) => all.map((each) => each.ariaLabel).join()"
        )
        assert not _UNSEEN.search(labels)
        assert accessibility_findings(page) == []


def test_passages_to_rerank_are_shown_as_they_stand(visit: Visiting) -> None:
    with visit() as page:
        page.get_by_role("tab", name="Rerank").click()
        page.locator("#rerank-query").fill("harm")
        texts = [document["text"].replace("\n", " ") for document in HARMFUL]
        page.locator("#rerank-passages").fill("\n".join(texts))
        page.get_by_role("tabpanel").get_by_role("button", name="Rerank").click()
        expect(page.locator(".ranked-hit")).to_have_count(3)
        expect(page.locator(".ranked")).to_contain_text(texts[0])
        assert page.locator(".ranked :is(img, script)").count() == 0
        assert not _UNSEEN.search(page.locator(".ranked").inner_text())
