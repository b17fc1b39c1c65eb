"""What goes wrong is told in words, with what to do about it, where a visitor looks."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from .browsing import MODULE, accessibility_findings, visiting
from .conftest import Visiting
from .facts import FACTS, QUESTION
from .searching import ask
from .serving import ServedPage

ADMIN, READER, SLOW = "key-of-an-admin", "key-of-a-reader", "key-of-few-calls"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """A server with keys, whose queue has room for few pairs."""
    folder = tmp_path_factory.mktemp("locked")
    keys = folder / "keys.toml"
    keys.write_text(
        "".join(
            f'[[keys]]\nname = "{key}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n'
            f"{rest}\n"
            for key, rest in (
                (ADMIN, 'role = "admin"'),
                (READER, 'role = "reader"'),
                (SLOW, 'role = "reader"\ncalls_per_second = 0.02'),
            )
        )
    )
    keys.chmod(0o600)
    flags = ("--keys", str(keys), "--max-queued-pairs", "12")
    with ServedPage(folder / "data", *flags) as server:
        server.fill("facts", FACTS[:10], key=ADMIN)
        server.call("PUT", "/collections/facts/documents", {"documents": FACTS[10:]}, key=ADMIN)
        yield server


def give_key(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")


def test_a_server_with_keys_asks_for_one_and_shows_its_collections_then(
    browser: Browser, locked: ServedPage
) -> None:
    with visiting(browser, locked.url) as page:
        expect(page.locator("#notice")).to_contain_text("wants an API key")
        # What the server says names a header: programs need that.
        expect(page.locator("#notice")).not_to_contain_text("authorization")
        assert accessibility_findings(page) == []
        page.get_by_role("button", name="To the field").click()
        expect(page.get_by_label("API key")).to_be_focused()
        give_key(page, READER)
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.get_by_label("Collection", exact=True)).to_have_value("facts")


def test_a_wrong_key_is_told(browser: Browser, locked: ServedPage) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, "no such key")
        expect(page.locator("#notice")).to_contain_text("This API key is unknown to the server")
        assert accessibility_findings(page) == []


def test_what_a_key_may_not_do_is_told_in_the_dialog(browser: Browser, locked: ServedPage) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, READER)
        page.get_by_role("tab", name="Collections").click()
        page.get_by_role("button", name="New collection").click()
        page.get_by_label("Name", exact=True).fill("mine")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("dialog")).to_contain_text("This API key may not do that")
        assert accessibility_findings(page) == []


def test_a_key_is_kept_for_the_tab_alone(browser: Browser, locked: ServedPage) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, READER)
        page.reload()
        expect(page.get_by_label("API key")).to_have_value(READER)
        assert page.evaluate("() => Object.values(localStorage).join()").find(READER) < 0
        assert READER not in page.url
        other = page.context.new_page()
        other.goto("/ui")
        expect(other.get_by_label("API key")).to_have_value("")


def test_a_quota_that_is_used_up_is_told_with_what_to_do(
    browser: Browser, locked: ServedPage
) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, SLOW)
        expect(page.locator("#notice")).to_contain_text("may make 0.02 a second")
        expect(page.locator("#notice")).to_contain_text("try again")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
        assert accessibility_findings(page) == []


def test_a_reranker_without_room_leaves_the_first_pass_and_says_so(
    browser: Browser, locked: ServedPage
) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, READER)
        expect(page.get_by_label("Collection", exact=True)).to_have_value("facts")
        ask(page)
        expect(page.locator("#found")).to_contain_text("queue was full")
        expect(page.locator("#headline")).to_contain_text("in first-pass order")
        assert accessibility_findings(page) == []


def test_passages_that_have_no_room_are_refused_with_the_limit(
    browser: Browser, locked: ServedPage
) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, READER)
        page.get_by_role("tab", name="Rerank").click()
        page.locator("#rerank-query").fill(QUESTION)
        page.locator("#rerank-passages").fill("\n".join(fact["text"] for fact in FACTS))
        page.get_by_role("tabpanel").get_by_role("button", name="Rerank").click()
        results = page.locator("#rerank-results")
        expect(results.locator(".notice")).to_be_visible()
        expect(results).to_contain_text("12")
        assert accessibility_findings(page) == []


def test_a_server_that_is_gone_is_told_and_found_again(browser: Browser, tmp_path: Path) -> None:
    with ServedPage(tmp_path / "data") as first:
        first.fill("facts", FACTS)
        port = int(first.url.rpartition(":")[2])
        opened = visiting(browser, first.url)
        page = opened.__enter__()
        ask(page)
    page.get_by_label("Query").first.fill("sky")
    page.keyboard.press("Enter")
    expect(page.locator("#search-notice")).to_contain_text("The server does not answer")
    assert accessibility_findings(page) == []
    with ServedPage(tmp_path / "data", port=port):
        page.get_by_role("button", name="Try again").first.click()
        expect(page.locator("#second-hits .hit").first).to_be_visible()
        opened.__exit__(None, None, None)


def test_a_key_that_http_can_not_carry_is_told_as_that(
    browser: Browser, locked: ServedPage
) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, "ключ")
        expect(page.locator("#notice")).to_contain_text("This API key can\u2019t be sent")
        expect(page.locator("#notice")).to_contain_text("character 1")
        assert accessibility_findings(page) == []
        give_key(page, READER)
        expect(page.locator("#notice")).to_be_hidden()


def test_a_late_answer_to_an_old_key_changes_nothing(browser: Browser, locked: ServedPage) -> None:
    with visiting(browser, locked.url) as page:
        expect(page.locator("#notice")).to_contain_text("wants an API key")
        late: list[Route] = []

        def hold(route: Route) -> None:
            if "old key" in route.request.headers["authorization"]:
                late.append(route)
            else:
                route.continue_()

        page.route("**/api/v1/**", hold)
        give_key(page, "old key")
        page.wait_for_timeout(100)
        give_key(page, READER)
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#server")).to_contain_text("version")
        with page.expect_response(lambda answer: answer.status == 401):
            for route in late:
                route.continue_()
        page.wait_for_timeout(300)
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#key-form")).not_to_have_class(re.compile("wanted"))
        assert late


def test_without_a_key_the_page_says_so_once_and_offers_no_search(
    browser: Browser, locked: ServedPage
) -> None:
    with visiting(browser, locked.url) as page:
        page.goto(f"{locked.url}/ui#collections")
        page.reload()
        expect(page.locator("#notice")).to_contain_text("wants an API key")
        page.get_by_role("tab", name="Rerank").click()
        page.get_by_role("tab", name="Collections").click()
        page.wait_for_load_state("networkidle")
        expect(page.locator(".notice:visible")).to_have_count(1)
        page.get_by_role("tab", name="Search").click()
        expect(page.get_by_label("Collection", exact=True)).to_be_disabled()
        expect(page.locator("#search-go")).to_be_disabled()
        give_key(page, READER)
        expect(page.locator("#search-go")).to_be_enabled()


def test_an_answer_that_ends_before_its_end_is_no_answer(page: Page) -> None:
    told = page.evaluate(
        """async () => {"""
        + MODULE
        + """
          const { api } = await module("api.js");
          const own = window.fetch;
          const pull = (sent) => sent.error(new TypeError("network error"));
          window.fetch = async () => new Response(new ReadableStream({ pull }));
          try {
            await api("GET", "/models");
          } catch ({ status, message }) {
            return { status, message };
          } finally {
            window.fetch = own;
          }
        }"""
    )
    assert told["status"] == 0
    assert "does not answer" in told["message"]


def test_what_is_no_longer_shown_is_not_said_to_be_from_before(page: Page) -> None:
    page.route("**/api/v1/**", lambda route: route.abort())
    page.get_by_role("searchbox", name="Query").fill("sky")
    page.keyboard.press("Enter")
    expect(page.locator("#search-notice")).to_contain_text("The server does not answer")
    expect(page.locator("#search-notice")).not_to_contain_text("from before")
    page.get_by_role("tab", name="Collections").click()
    expect(page.locator("#stored-more")).to_contain_text("What stands here is from before")


def test_what_was_tried_again_has_the_focus_still(page: Page) -> None:
    page.route("**/api/v1/**", lambda route: route.abort())
    page.get_by_role("searchbox", name="Query").fill("sky")
    page.keyboard.press("Enter")
    again = page.locator("#search-notice").get_by_role("button", name="Try again")
    again.focus()
    page.keyboard.press("Enter")
    expect(again).to_be_focused()
    page.unroute_all()
    page.keyboard.press("Enter")
    page.locator("#second-hits .hit").first.wait_for()
    expect(page.locator("#panel-search")).to_be_focused()


def test_what_a_key_was_refused_is_told_before_a_name_is_typed_again(
    browser: Browser, locked: ServedPage
) -> None:
    with visiting(browser, locked.url) as page:
        give_key(page, READER)
        page.get_by_role("tab", name="Collections").click()
        page.get_by_role("button", name="Rename facts").click()
        expect(page.get_by_role("dialog")).not_to_contain_text("may not do that")
        page.get_by_label("New name").fill("truths")
        page.get_by_role("button", name="Rename", exact=True).click()
        expect(page.get_by_role("dialog")).to_contain_text("This API key may not do that")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Delete facts").click()
        expect(page.get_by_role("dialog")).to_contain_text("This API key may not do that")
        assert accessibility_findings(page) == []


def test_the_way_to_the_content_leaves_the_view_as_it_is(visit: Visiting) -> None:
    with visit() as page:
        ask(page)
        address = page.url
        page.get_by_role("link", name="Skip to the content").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#content")).to_be_focused()
        assert page.url == address
        page.evaluate("() => { location.hash = 'no-such-tab'; }")
        page.wait_for_timeout(100)
        expect(page.locator("#second-hits .hit").first).to_be_visible()
        expect(page.get_by_role("searchbox", name="Query")).to_have_value(QUESTION)


def test_a_button_of_a_card_keeps_the_focus_when_collections_are_read_again(page: Page) -> None:
    page.get_by_role("tab", name="Collections").click()
    button = page.get_by_role("button", name="Rename facts")
    button.focus()
    script = f"async () => {{ {MODULE} await (await module('server.js')).refreshCollections(); }}"
    page.evaluate(script)
    expect(button).to_be_focused()
