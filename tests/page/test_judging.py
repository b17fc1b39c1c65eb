"""Judging hits: what the browser keeps, and the file of judgements, whatever things are called."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Visiting
from .facts import QUESTION
from .searching import SEARCH, ask


def _judgements(page: Page, tmp_path: Path) -> list[Any]:
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save for twopass eval").click()
    saving.value.save_as(tmp_path / "saved.jsonl")
    return [json.loads(line) for line in (tmp_path / "saved.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("query", "key"),
    [("constructor", "keys"), ("__proto__", "__proto__"), ("toString", "constructor")],
)
def test_queries_and_documents_may_be_called_as_properties_of_objects_are(
    page: Page, tmp_path: Path, query: str, key: str
) -> None:
    def renamed(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        answer["hits"][0]["id"] = key
        route.fulfill(response=response, body=json.dumps(answer))

    page.route(SEARCH, renamed)
    ask(page, query)
    card = page.locator(f'#second-hits [data-id="{key}"]')
    card.locator(".g1").click()
    expect(page.locator("#judged-told")).to_contain_text("1 judgement on 1 query")
    expect(page.locator(".measure.second strong")).to_have_text("1.000")
    page.reload()
    expect(card.locator(".g1")).to_have_attribute("aria-pressed", "true")
    assert _judgements(page, tmp_path) == [
        {"collection": "facts", "query": query, "judgements": {key: 1}}
    ]
    assert page.evaluate("() => typeof Object.keys") == "function"
    card.locator(".g1").click()
    expect(page.locator("#judged-told")).to_contain_text("Say with")


def test_a_file_with_a_line_that_is_no_judgement_is_refused_whole(
    page: Page, tmp_path: Path
) -> None:
    ask(page)
    good = {"collection": "facts", "query": QUESTION, "judgements": {"bees": 1}}
    changes: list[dict[str, Any]] = [
        *({"judgements": grades} for grades in (None, [1], "1")),
        *({"judgements": {"bees": grade}} for grade in ("1", -1, 0.5, True, None)),
        {"query": 1},
        {"collection": 3},
    ]
    for number, line in enumerate(["null", "[]", *(json.dumps(good | each) for each in changes)]):
        file = tmp_path / f"wrong{number}.jsonl"
        file.write_text(f"{json.dumps(good)}\n\n{line}\n")
        page.locator("#judged-load").set_input_files(file)
        expect(page.locator("#judged-told")).to_contain_text(f"{file.name}, line 3")
        assert page.evaluate("() => localStorage.getItem('twopass-judged:facts')") is None


def test_a_document_with_a_higher_grade_is_shown_as_relevant(page: Page, tmp_path: Path) -> None:
    ask(page)
    file = tmp_path / "graded.jsonl"
    file.write_text(json.dumps({"query": QUESTION, "judgements": {"canberra": 2, "sydney": 1}}))
    page.locator("#judged-load").set_input_files(file)
    button = page.locator('#second-hits [data-id="canberra"] .g1')
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_mode_that_no_search_has_leaves_the_page_alive(visit: Visiting) -> None:
    with visit() as page:
        page.goto("/ui#search?collection=facts&mode=constructor&q=sky")
        page.reload()
        expect(page.locator("#second-hits .hit").first).to_have_attribute("data-id", "sky")
        expect(page.get_by_role("radio", name="Meaning and words")).to_be_checked()
