"""What an answer shows: the newest alone, its true times and numbers, and what was read."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Visiting
from .facts import QUESTION
from .searching import SEARCH, ask
from .serving import ServedPage

TEXTS = "**/api/v1/collections/*/documents/get"
_LARGE = 1_234_567_890_123_456_789


def _altered(page: Page, change: Callable[[Any], object]) -> None:
    """Changes the answers of searches from now on."""

    def alter(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        change(answer)
        route.fulfill(response=response, body=json.dumps(answer))

    page.route(SEARCH, alter)


def test_an_older_answer_whose_texts_are_late_does_not_take_the_place_of_a_newer_one(
    page: Page,
) -> None:
    page.get_by_label("Time budget").fill("15")
    held: list[Route] = []
    page.route(TEXTS, lambda route: route.continue_() if held else held.append(route))
    page.get_by_role("searchbox", name="Query").fill(QUESTION)
    with page.expect_request(TEXTS):
        page.keyboard.press("Enter")
    ask(page, "Why is the sky blue?")
    first = page.locator("#second-hits .hit").first
    expect(first).to_have_attribute("data-id", "sky")
    held[0].abort()
    page.wait_for_load_state("networkidle")
    expect(first).to_have_attribute("data-id", "sky")
    expect(page.locator("#panel-search")).not_to_have_attribute("aria-busy", "true")


def test_a_search_with_a_time_budget_spends_none_of_it_on_texts(page: Page) -> None:
    page.get_by_label("Time budget").fill("15")
    page.get_by_label("Top", exact=True).fill("2")
    sent: list[Any] = []
    for calls in (SEARCH, TEXTS):
        page.route(
            calls, lambda route: (sent.append(route.request.post_data_json), route.continue_())
        )
    ask(page)
    search, texts = sent
    assert search["time_budget"] == "5s"
    assert search["fields"] == {"text": False, "metadata": False}
    shown = page.locator("#first-hits .hit").evaluate_all("cards => cards.map(c => c.dataset.id)")
    assert sorted(texts["ids"]) == sorted(shown)
    expect(page.locator("#second-hits .hit").first).to_contain_text("capital city of Australia")
    expect(page.locator("#waterfall-told")).to_contain_text("for 13 hits without their texts")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#second-hits .passage").nth(12)).not_to_contain_text("did not fit")


def test_the_time_says_that_it_includes_the_texts_of_all_candidates(page: Page) -> None:
    ask(page)
    expect(page.locator("#waterfall-told")).to_contain_text("in the server, with the texts of 13")


def test_numbers_of_64_bits_are_shown_as_they_are(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    metadata = f'{{"number": {_LARGE}, "nested": [{_LARGE}, 1.5]}}'
    own_server.fill("large", [{"id": "a", "text": "a number", "metadata_json": metadata}])
    with visit_own() as page:
        page.locator("#collection").select_option("large")
        for budget in ("16", "15"):
            page.get_by_label("Time budget").fill(budget)
            ask(page, "number")
            page.locator("#second-hits .whole").click()
            expect(page.locator("#second-hits .detail")).to_contain_text(f"[{_LARGE},1.5]")
            expect(page.locator("#second-hits dd", has_text=str(_LARGE))).to_have_count(2)
            page.locator("#second-hits .whole").click()


def test_what_was_read_of_both_lists_is_not_called_the_first(page: Page) -> None:
    page.get_by_label("Depth").fill("3")
    ask(page)
    expect(page.locator("#facts")).to_contain_text("read 5, the best of both lists, of 13")
    page.get_by_role("radio", name="Meaning", exact=True).check()
    expect(page.locator("#facts")).to_contain_text("read the first 5 of 13")


def test_a_second_pass_that_ran_out_of_time_is_measured_by_its_depth(page: Page) -> None:
    _altered(page, lambda answer: answer.update(rerank_status="RERANK_STATUS_PARTIAL"))
    page.get_by_label("Depth").fill("3")
    ask(page)
    expect(page.locator("#facts")).to_contain_text("of the 5 to be read")


def test_a_blend_says_that_scores_are_standardised(page: Page) -> None:
    page.get_by_label("Blend").fill("8")
    ask(page)
    expect(page.locator("#second-told")).to_contain_text("logit, both standardised")


def test_stages_that_overlap_end_with_the_call(page: Page) -> None:
    names = ("tokenize", "embed", "retrieve", "load", "queue", "rerank")
    times = dict.fromkeys(names, "0.008s") | {"total": "0.010s"}
    _altered(page, lambda answer: answer.update(timings=times))
    ask(page)
    expect(page.locator("#waterfall-told")).to_contain_text("stages ran at the same time")
    ends = page.locator("#waterfall i:not(.way)").evaluate_all(
        "bars => bars.map(bar => parseFloat(bar.style.left) + parseFloat(bar.style.width))"
    )
    way = page.locator("#waterfall i.way").evaluate("bar => parseFloat(bar.style.left)")
    assert max(ends) == pytest.approx(way, rel=1e-3)  # a browser rounds shares


def test_what_could_not_be_copied_is_not_said_to_be(page: Page) -> None:
    page.evaluate("() => { document.execCommand = () => false; }")
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    )
    ask(page)
    page.get_by_role("button", name="curl", exact=True).click()
    expect(page.locator("#copy-told")).to_contain_text("does not let the page copy")


def test_a_title_of_two_lines_leaves_the_scores_readable(page: Page) -> None:
    _altered(page, lambda answer: answer["hits"][0].update(title="A title of many words " * 8))
    ask(page)
    card = page.locator("#second-hits .hit").first
    title, scores = card.locator("h4").bounding_box(), card.locator(".scores").bounding_box()
    assert title is not None
    assert scores is not None
    assert title["x"] + title["width"] <= scores["x"] + 1
