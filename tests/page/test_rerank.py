"""The tab that reranks pasted passages, which needs no collection."""

import json
import os
import shlex
import subprocess
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from .browsing import accessibility_findings
from .conftest import Visiting
from .facts import FACTS, QUESTION
from .serving import ServedPage

PASSAGES = [fact["text"] for fact in FACTS]


def rerank(page: Page, query: str, text: str) -> None:
    page.get_by_role("tab", name="Rerank").click()
    page.get_by_label("Query").last.fill(query)
    page.locator("#rerank-passages").fill(text)
    page.get_by_role("tabpanel", name="Rerank").get_by_role("button", name="Rerank").click()
    page.locator(".ranked-hit").first.wait_for()


def test_passages_stand_in_the_order_of_the_rpc_with_their_scores_and_places_before(
    page: Page, server: ServedPage
) -> None:
    candidates = [{"text": text} for text in PASSAGES]
    hits = server.call("POST", "/rerank", {"query": QUESTION, "candidates": candidates})["hits"]
    rerank(page, QUESTION, "\n".join(PASSAGES))
    shown = page.locator(".ranked-hit")
    expect(shown).to_have_count(len(PASSAGES))
    for rank, (row, hit) in enumerate(zip(shown.all(), hits, strict=True)):
        text = row.inner_text()
        assert PASSAGES[hit["index"]] in text
        assert f"{hit['score']:.3f}" in text
        assert f"logit {hit['logit']:.2f}" in text
        assert (f"was {hit['index'] + 1}" if hit["index"] != rank else "as it was") in text


def test_blank_lines_divide_passages_where_they_are_chosen(page: Page) -> None:
    text = "Canberra is\nthe capital.\n\n  \nBees dance.\r\n\r\nThe sky is blue.\n"
    page.get_by_role("tab", name="Rerank").click()
    page.locator("#rerank-passages").fill(text)
    expect(page.locator("#rerank-number")).to_have_text("4 passages")
    page.get_by_label("A passage is").select_option("paragraphs")
    expect(page.locator("#rerank-number")).to_have_text("3 passages")


def test_the_part_of_a_long_passage_that_counted_is_marked(page: Page) -> None:
    filler = "Honey bees dance to tell their hive where the flowers are. " * 60
    long = f"{filler}Canberra is the capital city of Australia. {filler}"
    page.get_by_role("tab", name="Rerank").click()
    page.get_by_label("Of a long one").select_option("TRUNCATION_MAX_WINDOW")
    rerank(page, QUESTION, long)
    expect(page.locator(".ranked-hit mark")).to_contain_text("Canberra")
    page.get_by_label("Of a long one").select_option("TRUNCATION_TRUNCATE")
    rerank(page, QUESTION, long)
    expect(page.locator(".ranked-hit")).to_contain_text("its end was cut off")
    page.get_by_label("Of a long one").select_option("TRUNCATION_REJECT")
    page.get_by_role("tabpanel", name="Rerank").get_by_role("button", name="Rerank").click()
    expect(page.locator("#rerank-results")).to_contain_text("The server can't do that")
    expect(page.locator("#rerank-results")).to_contain_text("candidates[0]")
    assert accessibility_findings(page) == []


def test_what_is_missing_is_asked_for_where_it_belongs(page: Page) -> None:
    page.get_by_role("tab", name="Rerank").click()
    button = page.get_by_role("tabpanel", name="Rerank").get_by_role("button", name="Rerank")
    button.click()
    expect(page.locator("#rerank-results")).to_contain_text("Write what you are looking for")
    expect(page.locator("#rerank-query")).to_be_focused()
    page.keyboard.type("sky")
    button.click()
    expect(page.locator("#rerank-results")).to_contain_text("Paste at least one passage")
    expect(page.locator("#rerank-passages")).to_be_focused()


def test_the_example_can_be_reranked_by_keys_alone(visit: Visiting) -> None:
    with visit() as page:
        page.get_by_role("tab", name="Search").focus()
        page.keyboard.press("End")
        page.locator("#rerank-example").focus()
        page.keyboard.press("Enter")
        page.locator(".ranked-hit").first.wait_for()
        page.locator("#rerank-passages").focus()
        page.keyboard.press("Control+End")
        page.keyboard.type("\nTo undo is human.")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".ranked-hit")).to_have_count(6)
        assert accessibility_findings(page) == []


def test_what_is_copied_runs_as_it_is(visit: Visiting, tmp_path: Path) -> None:
    """Quotes of every kind in the texts; the answer's order is that of the page."""
    texts = ['it\'s "quoted" $HOME `id` \\n', *PASSAGES[:2]]
    permissions = ["clipboard-read", "clipboard-write"]
    with visit(permissions=permissions) as page:
        rerank(page, "What's the capital of Australia?", "\n".join(texts))
        copied = {}
        for name in ("curl", "Python", "grpcurl"):
            page.get_by_role("button", name=f"Copy as {name}").click()
            expect(page.get_by_text(f"{name} copied")).to_be_visible()
            copied[name] = page.evaluate("() => navigator.clipboard.readText()")
        shown = [row.inner_text() for row in page.locator(".ranked-text").all()]
    answer = json.loads(subprocess.check_output(["bash", "-c", f"{copied['curl']} --silent"]))
    assert [texts[hit["index"]] for hit in answer["hits"]] == shown
    script = tmp_path / "copied.py"
    script.write_text(copied["Python"])
    printed = subprocess.check_output([os.environ["TWOPASS_PYTHON"], script], text=True)
    assert [line.split(" ", 1)[1] for line in printed.splitlines()] == shown
    words = shlex.split(copied["grpcurl"].replace("\\\n", ""))
    assert json.loads(words[words.index("-d") + 1])["candidates"] == [{"text": t} for t in texts]
    assert words[-1] == "twopass.v1.RerankService/Rerank"


def test_a_reranking_that_another_took_the_place_of_shows_nothing(page: Page) -> None:
    held: list[Route] = []
    page.get_by_role("tab", name="Rerank").click()
    page.route("**/api/v1/rerank", lambda route: held.append(route))
    page.locator("#rerank-query").fill("sky")
    page.locator("#rerank-passages").fill("The sky is blue.")
    button = page.get_by_role("tabpanel", name="Rerank").get_by_role("button", name="Rerank")
    button.click()
    expect(page.locator("#rerank-results")).to_have_attribute("aria-busy", "true")
    page.locator("#rerank-passages").fill("")
    button.click()
    expect(page.locator("#rerank-results")).to_contain_text("Paste at least one passage")
    expect(page.locator("#rerank-results")).not_to_have_attribute("aria-busy", "true")
    assert held


def test_addresses_are_quoted_in_what_is_copied(visit: Visiting, server: ServedPage) -> None:
    """Brackets of an IPv6 address are patterns of some shells."""
    with visit(permissions=["clipboard-read", "clipboard-write"]) as page:
        rerank(page, QUESTION, PASSAGES[0])
        for name, address in (
            ("curl", f"'{server.url}/api/v1/rerank'"),
            ("grpcurl", f"'{server.target}'"),
        ):
            page.get_by_role("button", name=f"Copy as {name}", exact=True).click()
            expect(page.get_by_text(f"{name} copied", exact=True)).to_be_visible()
            assert address in page.evaluate("() => navigator.clipboard.readText()")
