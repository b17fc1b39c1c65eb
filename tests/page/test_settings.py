"""The settings of a search, the address that shares them, and the tabs beside it."""

from playwright.sync_api import Page, expect

from .conftest import Visiting
from .facts import FACTS
from .searching import ask
from .serving import ServedPage


def test_an_address_of_a_collection_that_is_gone_searches_no_other(visit: Visiting) -> None:
    with visit() as page:
        calls: list[str] = []
        page.on("request", lambda sent: calls.append(sent.url))
        page.goto("/ui#search?collection=gone&q=sky")
        page.reload()
        expect(page.locator("#search-notice")).to_contain_text("There is no collection “gone”")
        expect(page.get_by_role("searchbox", name="Query")).to_have_value("sky")
        assert "collection=gone" in page.url
        assert not [url for url in calls if url.endswith("/search")]
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator("#second-hits .hit").first).to_have_attribute("data-id", "sky")
        expect(page.locator("#search-notice")).to_be_empty()


def test_a_setting_that_rests_behind_another_tab_waits_for_its_own(page: Page) -> None:
    ask(page, "sky")
    page.get_by_label("Blend").press("Home")
    page.get_by_role("tab", name="Collections").click()
    page.wait_for_timeout(600)  # longer than a setting takes to rest
    assert page.url.endswith("#collections")
    assert page.title() == "twopass: collections"
    page.get_by_role("tab", name="Search").click()
    expect(page.locator("#second-told")).to_contain_text("by the logit alone")
    assert "blend=0" in page.url
    assert page.title() == "sky · twopass"


def test_the_search_without_a_query_has_an_address_of_its_own(page: Page) -> None:
    page.get_by_role("tab", name="Collections").click()
    page.get_by_role("tab", name="Search").click()
    assert "#search" in page.url
    assert page.title() == "twopass: search"


def test_a_query_that_is_emptied_leaves_the_address_and_the_title(page: Page) -> None:
    ask(page, "sky")
    page.get_by_role("searchbox", name="Query").fill("")
    expect(page.locator("#found")).to_be_hidden()
    assert "q=" not in page.url
    assert page.title() == "twopass: search"


def test_a_value_beside_the_stops_of_a_slider_is_kept(visit: Visiting) -> None:
    with visit() as page:
        page.goto("/ui#search?collection=facts&q=sky&k=60&depth=7&blend=0.33&budget=1234&top_n=4")
        page.reload()
        expect(page.locator("#second-hits .hit").first).to_have_attribute("data-id", "sky")
        for setting in ("k=60", "depth=7", "blend=0.33", "budget=1234", "top_n=4"):
            assert setting in page.url
        expect(page.locator("#settings-told")).to_contain_text("60 candidates")
        page.get_by_label("Candidates", exact=True).press("ArrowLeft")
        expect(page.locator("#k-told")).to_have_text("50")
        page.get_by_label("Candidates", exact=True).press("ArrowRight")
        expect(page.locator("#k-told")).to_have_text("60")


def test_a_value_beyond_what_a_slider_has_is_its_last_stop(visit: Visiting) -> None:
    with visit() as page:
        page.goto("/ui#search?collection=facts&q=sky&k=99999&depth=0&blend=7")
        page.reload()
        expect(page.locator("#second-hits .hit").first).to_be_visible()
        expect(page.locator("#k-told")).to_have_text("2,048")
        expect(page.locator("#depth-told")).to_have_text("1")
        expect(page.locator("#blend-told")).to_have_text("1.00")


def test_the_focus_goes_to_the_query_where_a_button_that_searched_is_gone(page: Page) -> None:
    query = page.get_by_role("searchbox", name="Query")
    page.locator("#examples .chip").first.press("Enter")
    page.locator("#second-hits .hit").first.wait_for()
    expect(query).to_be_focused()
    page.get_by_role("switch", name="Rerank").press("Space")
    page.get_by_role("button", name="Turn it on").press("Enter")
    page.locator("#second-hits .hit").first.wait_for()
    expect(query).to_be_focused()
    page.get_by_role("textbox", name="Filter on metadata").fill("place=99")
    page.get_by_role("button", name="Without the filter").press("Enter")
    page.locator("#second-hits .hit").first.wait_for()
    expect(query).to_be_focused()


def test_hits_go_with_the_collection_that_they_are_of(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    own_server.fill("gone", FACTS)
    with visit_own() as page:
        page.locator("#collection").select_option("gone")
        ask(page, "sky")
        own_server.call("DELETE", "/collections/gone")
        page.get_by_role("tab", name="Collections").click()
        expect(page.locator("#collection")).to_have_value("facts")
        page.get_by_role("tab", name="Search").click()
        expect(page.locator("#found")).to_be_hidden()
        expect(page.get_by_role("searchbox", name="Query")).to_have_value("sky")


def test_the_sentence_that_answers_is_marked_until_that_is_switched_off(page: Page) -> None:
    ask(page)
    best = page.locator("#second-hits .hit").first
    expect(best.locator(".passage mark")).to_have_text("Canberra is the capital city of Australia.")
    expect(best.locator(".badges")).to_contain_text("best sentence: score 0.")
    page.get_by_role("button", name="curl", exact=True).click()
    expect(page.locator("#copy-code")).to_contain_text('"spans":{"hits":10,"max_spans":1}')
    page.get_by_role("switch", name="Mark the sentence that answers").uncheck()
    expect(page.locator("#second-hits mark")).to_have_count(0)
    assert "spans=off" in page.url
    expect(page.locator("#copy-code")).not_to_contain_text("spans")
    page.reload()
    expect(page.get_by_role("switch", name="Mark the sentence that answers")).not_to_be_checked()
