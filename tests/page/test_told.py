"""What the page makes of an answer: its best part; in words, what was cut, failed or not found."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from .browsing import accessibility_findings
from .conftest import Visiting
from .facts import QUESTION
from .searching import SEARCH, ask
from .serving import ServedPage


@pytest.fixture
def answered(page: Page) -> Callable[..., None]:
    """Searches, and shows the server's answer with some of its fields changed."""

    def search(change: Callable[[Any], object], column: str = "second") -> None:
        def altered(route: Route) -> None:
            response = route.fetch()
            answer = response.json()
            change(answer)
            route.fulfill(response=response, body=json.dumps(answer))

        page.route(SEARCH, altered)
        page.get_by_role("searchbox", name="Query").fill(QUESTION)
        page.keyboard.press("Enter")
        page.locator(f"#{column}-hits .hit").first.wait_for()

    return search


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("RERANK_STATUS_COMPLETE", "read all"),
        ("RERANK_STATUS_PARTIAL", "time budget was enough for"),
        ("RERANK_STATUS_DISABLED", "second pass is off"),
        ("RERANK_STATUS_SKIPPED_DEADLINE", "time budget was not enough"),
        ("RERANK_STATUS_SKIPPED_OVERLOAD", "queue was full"),
        ("RERANK_STATUS_FAILED", "reranker failed"),
    ],
)
def test_what_became_of_the_second_pass_is_told_in_words(
    page: Page, answered: Any, status: str, told: str
) -> None:
    def change(answer: Any) -> None:
        answer["rerank_status"] = status
        if status not in ("RERANK_STATUS_COMPLETE", "RERANK_STATUS_PARTIAL"):
            answer["num_reranked"] = 0

    answered(change, "first" if status.endswith("DISABLED") else "second")
    expect(page.locator("#facts")).to_contain_text(told)
    expect(page.locator("#facts")).not_to_contain_text("STATUS")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("RETRIEVE_STATUS_COMPLETE", "by meaning and by words"),
        ("RETRIEVE_STATUS_LEXICAL_DEADLINE", "By words alone: the query’s embedding"),
        ("RETRIEVE_STATUS_LEXICAL_OVERLOAD", "By words alone: the encoder’s queue"),
        ("RETRIEVE_STATUS_LEXICAL_FAILED", "By words alone: the encoder or the vector index"),
        ("RETRIEVE_STATUS_DENSE_DEADLINE", "By meaning alone: the search by words"),
        ("RETRIEVE_STATUS_DENSE_OVERLOAD", "By meaning alone: too many"),
        ("RETRIEVE_STATUS_DENSE_FAILED", "By meaning alone: the index of words"),
        ("RETRIEVE_STATUS_FUSED_DEADLINE", "By meaning and by words, but how similar"),
        ("RETRIEVE_STATUS_FUSED_OVERLOAD", "By meaning and by words, but too many"),
        ("RETRIEVE_STATUS_FUSED_FAILED", "By meaning and by words, but how similar"),
        ("RETRIEVE_STATUS_NO_WINDOWS_DEADLINE", "came too late for the time budget"),
        ("RETRIEVE_STATUS_NO_WINDOWS_OVERLOAD", "too many searches were waiting"),
        ("RETRIEVE_STATUS_NO_WINDOWS_FAILED", "by their beginning: which part is nearest"),
    ],
)
def test_what_became_of_the_first_pass_is_told_in_words(
    page: Page, answered: Any, status: str, told: str
) -> None:
    answered(lambda answer: answer.update(retrieve_status=status))
    expect(page.locator("#facts")).to_contain_text(told)
    expect(page.locator("#facts")).not_to_contain_text("STATUS")


def test_whether_anything_answers_is_told_where_it_is_known(page: Page, answered: Any) -> None:
    answered(lambda answer: answer.update(answerable=False, answer_threshold=0.75))
    expect(page.locator("#facts")).to_contain_text("Nothing here answers: no score reaches 0.750.")


def test_what_was_cut_or_approximated_is_told(page: Page, answered: Any) -> None:
    answered(lambda answer: answer.update(exact=False, query_truncated=True, num_words_dropped=3))
    for told in ("Approximate", "did not read the query’s end", "3 most frequent words"):
        expect(page.locator("#facts")).to_contain_text(told)


def test_the_best_part_is_marked_by_code_points_of_title_and_text(
    page: Page, answered: Any
) -> None:
    def change(answer: Any) -> None:
        text = "before 😀 the 𝔅est part, and after"
        whole = f"Title 😀 {text}"
        start = whole.index("𝔅est")
        answer["hits"][0].update(
            title="Title 😀",
            text=text,
            span={"start": start, "end": start + len("𝔅est part")},
            spans=[],
        )

    answered(change)
    card = page.locator("#second-hits .hit").first
    expect(card.locator("mark")).to_have_text("𝔅est part")
    card.get_by_role("button", name="The whole of").click()
    expect(card.locator("mark")).to_have_text("𝔅est part")
    expect(card.locator(".passage")).to_have_text("before 😀 the 𝔅est part, and after")


def test_a_long_text_that_is_opened_shows_its_best_part_and_is_scrolled_by_keys(
    page: Page, answered: Any
) -> None:
    def change(answer: Any) -> None:
        text = "filler words " * 2_000 + "the answer" + " filler words" * 2_000
        start = text.index("the answer")
        answer["hits"][0].update(
            title="",
            text=text,
            span={"start": start, "end": start + len("the answer")},
            spans=[],
        )

    answered(change)
    card = page.locator("#second-hits .hit").first
    card.get_by_role("button", name="The whole of").click()
    expect(card.locator("mark")).to_be_in_viewport()
    passage = card.get_by_role("group", name="The whole text")
    before = passage.evaluate("passage => passage.scrollTop")
    passage.press("PageDown")
    page.wait_for_timeout(300)
    assert passage.evaluate("passage => passage.scrollTop") > before > 0
    assert accessibility_findings(page) == []


def test_what_was_found_is_said_to_those_who_do_not_see_it(page: Page) -> None:
    ask(page)
    expect(page.locator("#live")).to_contain_text("Found 13 candidates by meaning and by words.")
    expect(page.locator("#live")).to_contain_text("First: Canberra")


def test_without_a_collection_the_page_says_where_to_begin(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    own_server.clear()
    with visit_own() as page:
        page.get_by_role("button", name="Bring documents in").click()
        expect(page.get_by_role("tab", name="Collections")).to_have_attribute(
            "aria-selected", "true"
        )


def test_no_hits_say_why_and_what_to_do(page: Page) -> None:
    page.get_by_role("radio", name="Words", exact=True).check()
    page.get_by_role("searchbox", name="Query").fill("zzyzx")
    page.keyboard.press("Enter")
    expect(page.locator("#search-notice")).to_contain_text("No document has any of the query’s")
    page.get_by_role("button", name="Search by meaning too").click()
    page.locator("#second-hits .hit").first.wait_for()


def test_a_filter_that_can_not_be_read_is_told_beside_it(page: Page) -> None:
    ask(page)
    page.get_by_role("textbox", name="Filter on metadata").fill("=3")
    expect(page.get_by_role("alert")).to_contain_text("is no condition")
    page.get_by_role("textbox", name="Filter on metadata").fill("place=[1]")
    expect(page.locator("#second-hits .hit")).to_have_count(1)
    expect(page.locator("#filter-told")).to_be_empty()


def test_a_server_that_is_gone_is_told_with_a_way_to_try_again(page: Page) -> None:
    page.route("**/api/v1/**", lambda route: route.abort())
    page.get_by_role("searchbox", name="Query").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#search-notice")).to_contain_text("does not answer")
    page.unroute("**/api/v1/**")
    page.get_by_role("button", name="Try again").first.click()
    page.locator("#second-hits .hit").first.wait_for()
