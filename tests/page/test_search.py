"""The tab that searches: both passes side by side, and what they say of themselves."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from .browsing import accessibility_findings, overflow, visiting
from .conftest import Visiting
from .facts import HARMFUL, QUESTION
from .serving import ServedPage

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


def test_what_was_found_is_said_to_those_who_do_not_see_it(page: Page) -> None:
    ask(page)
    expect(page.locator("#live")).to_contain_text("Found 13 candidates by meaning and by words.")
    expect(page.locator("#live")).to_contain_text("First: Canberra")


@pytest.fixture
def copied(visit: Visiting) -> Iterator[Callable[[str], tuple[str, list[str]]]]:
    """What a button copies after a search with every setting, and the ids that the page shows."""
    with visit(permissions=["clipboard-read", "clipboard-write"]) as page:
        page.get_by_label("Candidates", exact=True).fill("4")
        page.get_by_label("Blend").press("Home")
        page.get_by_label("Top", exact=True).fill("2")
        page.get_by_role("textbox", name="Filter on metadata").fill(
            'place>=0 & title!="it\'s" & !x'
        )
        ask(page, 'What\'s the "capital" of Australia? $HOME `id` \\')

        def copy_as(name: str) -> tuple[str, list[str]]:
            page.get_by_role("button", name=name, exact=True).click()
            expect(page.locator("#copy-told")).to_have_text("copied")
            return page.evaluate("navigator.clipboard.readText()"), ids(page, "second")[:3]

        yield copy_as


def test_what_is_copied_as_curl_runs_and_finds_the_same(copied: Any) -> None:
    text, expected = copied("curl")
    ran = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    assert [hit["id"] for hit in json.loads(ran.stdout)["hits"]] == expected


def test_what_is_copied_as_python_runs_and_finds_the_same(copied: Any, tmp_path: Path) -> None:
    text, expected = copied("Python")
    script = tmp_path / "copied.py"
    script.write_text(text)
    ran = subprocess.run(
        [os.environ["TWOPASS_PYTHON"], str(script)], capture_output=True, text=True, check=True
    )
    assert [line.split()[-1] for line in ran.stdout.splitlines()[:-1]] == expected


def test_what_is_copied_for_grpcurl_is_a_request_of_the_contract(copied: Any) -> None:
    text, _ = copied("grpcurl")
    words = shlex.split(text.replace("\\\n", " "))
    assert words[:2] == ["grpcurl", "-plaintext"]
    assert words[-1] == "twopass.v1.SearchService/Search"
    parse = (
        "import sys; from google.protobuf.json_format import Parse; "
        "from twopass.v1.search_pb2 import SearchRequest; "
        "print(Parse(sys.argv[1], SearchRequest()).top_n)"
    )
    ran = subprocess.run(
        [os.environ["TWOPASS_PYTHON"], "-c", parse, words[words.index("-d") + 1]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "3"


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
