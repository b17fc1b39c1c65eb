"""The tab that searches: both passes side by side, and what they say of themselves."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from .browsing import accessibility_findings, overflow, visiting
from .conftest import Visiting
from .facts import HARMFUL, QUESTION
from .searching import SEARCH, ask, ids
from .serving import ServedPage


def test_one_call_feeds_both_columns(page: Page, server: ServedPage) -> None:
    calls: list[str] = []
    page.on("request", lambda sent: calls.append(sent.url) if sent.method == "POST" else None)
    page.wait_for_load_state("networkidle")
    calls.clear()
    ask(page)
    page.wait_for_load_state("networkidle")
    assert [url.rsplit("/", 1)[1] for url in calls] == ["search"]
    hits = server.call(
        "POST",
        "/collections/facts/search",
        {"query": QUESTION, "top_n": 50, "retrieve": {"mode": "RETRIEVE_MODE_HYBRID", "k": 50}},
    )["hits"]
    top = [hit["id"] for hit in hits][:10]
    by_first = [h["id"] for h in sorted(hits, key=lambda hit: hit["first_pass_rank"])]
    assert ids(page, "second")[:10] == top
    assert ids(page, "first")[:10] == by_first[:10]


def test_a_document_that_one_column_has_in_its_top_has_a_card_in_both(page: Page) -> None:
    page.get_by_label("Top", exact=True).fill("2")
    ask(page)
    assert set(ids(page, "first")) == set(ids(page, "second"))
    expect(page.locator(".hit:not(.beyond)")).to_have_count(2 * 3)
    page.get_by_role("button", name="Show all").click()
    assert len(ids(page, "first")) == 13


def test_the_page_is_no_longer_than_its_longer_column(page: Page) -> None:
    ask(page)
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Top", exact=True).fill("0")
    expect(page.locator("#second-hits .hit:not(.beyond)")).to_have_count(1)
    heights = page.evaluate(
        """() => ['#passes', '.pass.first', '.pass.second'].map(
             (each) => document.querySelector(each).getBoundingClientRect().height)"""
    )
    assert heights[0] == max(heights[1:])


def test_a_line_joins_the_cards_of_each_document_and_tells_its_way(page: Page) -> None:
    ask(page)
    expect(page.locator("#lines path")).to_have_count(len(ids(page, "second")))
    for card in page.locator("#second-hits .hit").all():
        label = card.get_attribute("aria-label") or ""
        way = "up" if "up from" in label else "down" if "down from" in label else "same"
        assert f" {way}" in f" {card.get_attribute('class')}"
    card = page.locator("#second-hits .hit").nth(1)
    card.hover()
    expect(page.locator(".line.linked")).to_have_count(1)
    same = page.locator(f'#first-hits [data-id="{card.get_attribute("data-id")}"]')
    expect(same).to_have_class(re.compile(r"\blinked\b"))


def test_nothing_of_a_document_becomes_markup(visit_own: Visiting, own_server: ServedPage) -> None:
    own_server.fill("harm", HARMFUL)
    with visit_own() as page:
        page.locator("#collection").select_option("harm")
        ask(page, "harm <b>alert</b>")
        for button in page.locator(".act.whole").all():
            button.click()
        expect(page.locator("#second-hits")).to_contain_text("<script>alert(1)</script>")
        expect(page.locator("#second-hits")).to_contain_text("<iframe src=javascript:alert(3)>")
        assert page.locator(".hits img, .hits script, .hits iframe").count() == 0


def test_an_address_that_is_shared_shows_the_same_search(
    visit: Visiting, server: ServedPage
) -> None:
    with visit() as page:
        page.get_by_role("radio", name="Words", exact=True).check()
        page.get_by_label("Candidates", exact=True).fill("4")
        page.get_by_label("Blend").press("Home")
        page.get_by_role("textbox", name="Filter on metadata").fill("place<8")
        ask(page, "capital city")
        shared = page.url
        order = ids(page, "second")
    for setting in ("mode=lexical", "k=10", "blend=0", "filter=place%3C8", "collection=facts"):
        assert setting in shared
    with visit() as page:
        page.goto(shared.replace(server.url, ""))
        page.reload()
        page.locator("#second-hits .hit").first.wait_for()
        assert ids(page, "second") == order
        assert page.get_by_label("Candidates", exact=True).get_attribute("aria-valuetext") == "10"


def test_back_returns_to_the_search_before(page: Page) -> None:
    ask(page)
    ask(page, "Why is the sky blue?")
    expect(page.locator("#second-hits .hit").first).to_have_attribute("data-id", "sky")
    page.go_back()
    expect(page.get_by_role("searchbox", name="Query")).to_have_value(QUESTION)
    expect(page.locator("#second-hits .hit").first).to_have_attribute("data-id", "canberra")


def test_a_search_that_runs_is_given_up_when_another_begins(page: Page) -> None:
    held: list[Route] = []
    page.route(SEARCH, lambda route: route.continue_() if held else held.append(route))
    with page.expect_event("requestfailed") as failed:
        page.get_by_role("searchbox", name="Query").fill(QUESTION)
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('[aria-busy]') !== null")
        ask(page, "Why is the sky blue?")
    assert failed.value.url.endswith("/search")
    expect(page.locator("#second-hits .hit").first).to_have_attribute("data-id", "sky")


def test_a_slider_that_is_dragged_searches_once_it_rests(page: Page) -> None:
    ask(page)
    calls: list[Any] = []
    page.on(
        "request",
        lambda sent: calls.append(sent.post_data_json) if sent.url.endswith("/search") else None,
    )
    blend = page.get_by_label("Blend")
    for _ in range(6):
        blend.press("ArrowLeft")
    expect(page.locator("#second-told")).to_contain_text("0.40 × first pass")
    assert [round(call["rerank"]["blend"], 2) for call in calls] == [0.4]


def test_all_can_be_done_by_keys(page: Page) -> None:
    page.locator("body").press("/")
    expect(page.get_by_role("searchbox", name="Query")).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#second-hits .hit").first.wait_for()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#second-hits .hit").first).to_be_focused()
    page.locator("#first-hits .hit").first.focus()
    page.keyboard.press("ArrowDown")
    focused = page.locator("#first-hits .hit").nth(1)
    expect(focused).to_be_focused()
    page.keyboard.press("ArrowRight")
    same = page.locator(f'#second-hits [data-id="{focused.get_attribute("data-id")}"]')
    expect(same).to_be_focused()
    page.keyboard.press("Enter")
    expect(same.locator(".detail")).to_be_visible()
    page.keyboard.press("r")
    expect(same.get_by_role("button", name="Relevant:", exact=False).first).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("n")
    expect(same.locator(".g0")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("n")
    expect(same.locator(".g0")).to_have_attribute("aria-pressed", "false")


def test_hits_that_were_judged_measure_both_passes_here_and_in_twopass_eval(
    page: Page, tmp_path: Path
) -> None:
    ask(page)
    page.locator('#second-hits [data-id="canberra"] .g1').click()
    page.locator('#second-hits [data-id="sydney"] .g0').click()
    expect(page.locator("#judged-told")).to_contain_text("2 judgements on 1 query")
    expect(page.locator(".measure.second strong")).to_have_text("1.000")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save for twopass eval").click()
    file = tmp_path / saving.value.suggested_filename
    saving.value.save_as(file)
    assert json.loads(file.read_text()) == {
        "collection": "facts",
        "query": QUESTION,
        "judgements": {"canberra": 1, "sydney": 0},
    }
    command = page.locator("#judged-next code").inner_text()
    program, *arguments = shlex.split(command)
    assert program == "twopass"
    ran = subprocess.run(
        [os.environ["TWOPASS_PYTHON"], "-m", "twopass.commands.main", *arguments, "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    hybrid = json.loads(ran.stdout)[2]
    assert hybrid["mode"] == "hybrid"
    assert hybrid["reranked"]["50"]["ndcg"] == 1.0


def test_judgements_stay_and_can_be_loaded_elsewhere(page: Page, tmp_path: Path) -> None:
    ask(page)
    page.locator('#second-hits [data-id="canberra"] .g1').click()
    page.reload()
    card = page.locator('#second-hits [data-id="canberra"]')
    expect(card).to_have_class(re.compile(r"\brelevant\b"))
    file = tmp_path / "more.jsonl"
    file.write_text(
        json.dumps({"collection": "facts", "query": QUESTION, "judgements": {"sydney": 0}}) + "\n"
    )
    page.locator("#judged-load").set_input_files(file)
    expect(page.locator("#judged-told")).to_contain_text("2 judgements on 1 query")
    file.write_text("{}\n")
    page.locator("#judged-load").set_input_files(file)
    expect(page.locator("#judged-told")).to_contain_text("more.jsonl, line 1")


def test_a_stranger_begins_with_one_click(page: Page) -> None:
    chip = page.locator("#examples .chip").first
    query = chip.inner_text()
    chip.click()
    page.locator("#second-hits .hit").first.wait_for()
    expect(page.get_by_role("searchbox", name="Query")).to_have_value(query)


def test_a_server_with_keys_asks_for_one_and_takes_it(browser: Browser, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    made = subprocess.run(
        [os.environ["TWOPASS_PYTHON"], "-c", _MAKE_KEY, str(keys)],
        capture_output=True,
        text=True,
        check=True,
    )
    secret = made.stdout.strip()
    with ServedPage(tmp_path / "data", "--keys", str(keys)) as server:
        server.call("POST", "/collections", {"name": "facts"}, key=secret)
        with visiting(browser, server.url) as page:
            expect(page.locator("#notice")).to_contain_text("wants an API key")
            page.get_by_label("API key").fill("wrong")
            expect(page.locator("#notice")).to_contain_text("unknown to the server")
            assert accessibility_findings(page) == []
            page.get_by_label("API key").fill(secret)
            expect(page.locator("#notice")).to_be_hidden()
            expect(page.locator("#collection")).to_have_value("facts")


_MAKE_KEY = """
import hashlib, pathlib, sys
secret = "a" * 43
digest = hashlib.sha256(secret.encode()).hexdigest()
pathlib.Path(sys.argv[1]).write_text(
    f'[[keys]]\\nname = "a"\\nrole = "admin"\\nsha256 = "{digest}"\\n'
)
print(secret)
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 800, 1_600], ids="{}px".format)
def test_an_answer_is_accessible_and_fits_its_window(
    visit: Visiting, width: int, scheme: str
) -> None:
    with visit(width=width, scheme=scheme) as page:
        ask(page)
        page.locator("#second-hits .whole").first.click()
        page.locator("#second-hits .g1").first.click()
        page.locator("#second-hits .g0").nth(1).click()
        page.get_by_role("button", name="Python", exact=True).click()
        page.locator("#settings").evaluate("settings => { settings.open = true; }")
        assert accessibility_findings(page) == []
        assert overflow(page) == 0


def test_a_narrow_window_shows_one_column_at_a_time(visit: Visiting) -> None:
    with visit(width=400) as page:
        ask(page)
        expect(page.locator("#first-hits")).to_be_hidden()
        page.get_by_role("radio", name="First pass").check()
        expect(page.locator("#first-hits")).to_be_visible()
        expect(page.locator("#second-hits")).to_be_hidden()


def test_nothing_moves_where_the_visitor_wants_no_motion(visit: Visiting) -> None:
    with visit(reduced_motion="reduce") as page:
        ask(page)
        ask(page, "Why is the sky blue?")
        assert page.evaluate("() => document.getAnimations().length") == 0


def test_in_a_narrow_window_the_buttons_of_a_hit_stand_in_a_row_beside_each_other(
    visit: Visiting,
) -> None:
    with visit(width=400) as page:
        ask(page)
        buttons = page.locator("#second-hits .hit").first.locator(".acts button").all()
        boxes = [button.bounding_box() or {} for button in buttons]
        assert len({round(box["y"]) for box in boxes}) == 1
        assert overflow(page) == 0
