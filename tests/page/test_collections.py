"""The tab of collections: what it tells of them, and how they are made and deleted."""

import re

from playwright.sync_api import Locator, Page, Route, expect

from .browsing import accessibility_findings
from .conftest import Visiting
from .serving import ServedPage


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem", name=name, exact=True)


def open_collections(page: Page, server: ServedPage) -> None:
    page.goto(f"{server.url}/ui#collections")
    page.get_by_role("heading", name="facts").wait_for()


def test_a_collection_shows_its_counts_and_what_decides_its_searches(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    own_server.call("POST", "/aliases", {"changes": [{"alias": "live", "collection": "facts"}]})
    schema = {
        "language": "de",
        "index_kind": "HNSW32",
        "indexed_fields": [{"field": "year", "type": "FIELD_TYPE_NUMBER"}],
    }
    own_server.call("POST", "/collections", {"name": "briefe", "schema": schema})
    with visit_own() as page:
        open_collections(page, own_server)
        expect(page.locator("#stored-told")).to_have_text("2 collections, 13 documents")
        expect(card(page, "facts")).to_contain_text("13 documents")
        expect(card(page, "facts")).to_contain_text("also called live")
        expect(card(page, "facts")).to_contain_text("all-MiniLM-L6-v2")
        for told in ("0 documents", "index HNSW32", "German", "year"):
            expect(card(page, "briefe")).to_contain_text(told)


def test_a_collection_is_made_with_the_settings_of_the_form(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    with visit_own() as page:
        open_collections(page, own_server)
        page.get_by_role("button", name="New collection").click()
        page.get_by_label("Name", exact=True).fill("briefe")
        page.get_by_label("Language").select_option("de")
        page.get_by_text("More: index").click()
        page.get_by_label("Vector index").select_option("HNSW32")
        page.get_by_label("Long documents").select_option("windows")
        page.get_by_label("Tokens of a window").fill("64")
        page.get_by_label("Tokens that windows share").fill("16")
        page.get_by_label("Fields for filters").fill("year:number, author")
        assert accessibility_findings(page) == []
        page.get_by_role("button", name="Create").click()
        card(page, "briefe").wait_for()
    schema = own_server.call("GET", "/collections/briefe")["collection"]["schema"]
    assert schema["language"] == "de"
    assert schema["index_kind"] == "HNSW32"
    assert schema["chunking"] == {"window_tokens": 64, "overlap_tokens": 16}
    assert [(field["field"], field["type"]) for field in schema["indexed_fields"]] == [
        ("year", "FIELD_TYPE_NUMBER"),
        ("author", "FIELD_TYPE_TEXT"),
    ]


def test_a_collection_is_made_for_vectors_that_documents_bring(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    with visit_own() as page:
        open_collections(page, own_server)
        page.get_by_role("button", name="New collection").click()
        page.get_by_label("Name", exact=True).fill("mine")
        page.get_by_label("Encoder").select_option("")
        page.get_by_label("Dimensions of a vector").fill("8")
        page.get_by_role("button", name="Create").click()
        expect(card(page, "mine")).to_contain_text("vectors come with the documents")
    schema = own_server.call("GET", "/collections/mine")["collection"]["schema"]
    assert (schema["client_vectors"], schema["dimension"]) == (True, 8)


def test_a_name_that_is_taken_is_told_in_the_dialog(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    with visit_own() as page:
        open_collections(page, own_server)
        page.get_by_role("button", name="New collection").click()
        page.get_by_label("Name", exact=True).fill("facts")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("dialog")).to_contain_text(re.compile("facts.*exists"))
        assert accessibility_findings(page) == []


def test_a_collection_is_deleted_with_its_aliases_once_its_name_is_typed(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    own_server.call("POST", "/aliases", {"changes": [{"alias": "live", "collection": "facts"}]})
    with visit_own() as page:
        open_collections(page, own_server)
        page.get_by_role("button", name="Delete facts").click()
        expect(page.get_by_role("dialog")).to_contain_text("its 13 documents are gone")
        expect(page.get_by_role("dialog")).to_contain_text("It is also called live")
        button = page.get_by_role("button", name="Delete for good")
        page.get_by_label("Type facts to confirm").fill("fact")
        expect(button).to_be_disabled()
        assert accessibility_findings(page) == []
        page.get_by_label("Type facts to confirm").fill("facts")
        button.click()
        expect(page.locator("#stored-more")).to_contain_text("No collections yet")
    assert own_server.call("GET", "/collections")["collections"] == []


def test_a_collection_is_renamed_and_its_old_name_goes_on_as_an_alias(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    with visit_own() as page:
        open_collections(page, own_server)
        page.get_by_role("button", name="Rename facts").click()
        expect(page.get_by_role("checkbox", name="facts stays as an alias")).to_be_checked()
        page.get_by_label("New name").fill("facts-1")
        assert accessibility_findings(page) == []
        page.get_by_role("button", name="Rename", exact=True).click()
        expect(card(page, "facts-1")).to_contain_text("also called facts")
        page.get_by_role("button", name="Rename facts-1").click()
        page.get_by_label("New name").fill("truths")
        page.get_by_role("checkbox").last.uncheck()
        page.get_by_role("button", name="Rename", exact=True).click()
        expect(card(page, "truths")).to_be_visible()
    found = own_server.call("GET", "/collections/truths")["collection"]
    assert (found["aliases"], found["num_documents"]) == (["facts"], "13")


def test_what_is_wrong_with_a_collection_is_told_on_its_card(page: Page) -> None:
    """As of one that can't be opened, which has a name alone."""

    def answer(route: Route) -> None:
        listed = route.fetch().json()
        (facts,) = listed["collections"]
        facts |= {"read_only_reason": "documents a, b are damaged; restore a snapshot"}
        unopened = {
            "name": "broken",
            "aliases": [],
            "encoder_problem": "no encoder of its revision",
        }
        route.fulfill(json=listed | {"collections": [facts, unopened]})

    page.route("**/api/v1/collections?*", answer)
    page.get_by_role("tab", name="Collections").click()
    expect(card(page, "facts")).to_contain_text("Takes no writes: documents a, b are damaged")
    expect(card(page, "broken")).to_contain_text("no encoder of its revision")
    assert accessibility_findings(page) == []


def test_escape_and_keep_it_delete_nothing(visit_own: Visiting, own_server: ServedPage) -> None:
    with visit_own() as page:
        open_collections(page, own_server)
        for leave in (
            lambda: page.keyboard.press("Escape"),
            lambda: page.get_by_role("button", name="Keep it").click(),
        ):
            page.get_by_role("button", name="Delete facts").click()
            page.get_by_label("Type facts to confirm").fill("facts")
            leave()
            expect(page.get_by_role("dialog")).to_be_hidden()
    assert own_server.call("GET", "/collections/facts")["collection"]["num_documents"] == "13"


def test_many_collections_are_found_by_a_part_of_their_name(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    for number in range(70):
        own_server.call("POST", "/collections", {"name": f"c-{number:02}"})
    with visit_own() as page:
        page.goto(f"{own_server.url}/ui#collections")
        expect(page.locator("#stored-more")).to_contain_text("11 more collections")
        page.get_by_label("Find a collection").fill("fac")
        expect(page.locator(".stored")).to_have_count(1)
        expect(card(page, "facts")).to_be_visible()


def test_an_alias_that_was_moved_meanwhile_outlives_the_collection(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    """What is deleted is told anew where it is no longer what the page said."""
    own_server.call("POST", "/collections", {"name": "newer"})
    own_server.call("POST", "/aliases", {"changes": [{"alias": "live", "collection": "facts"}]})
    with visit_own() as page:
        open_collections(page, own_server)
        page.get_by_role("button", name="Delete facts").click()
        expect(page.get_by_role("dialog")).to_contain_text("It is also called live")
        own_server.call("POST", "/aliases", {"changes": [{"alias": "live", "collection": "newer"}]})
        page.get_by_label("Type facts to confirm").fill("facts")
        page.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
            "Nothing was deleted: its aliases were changed meanwhile; it has no alias now"
        )
        expect(page.locator("#delete-told")).not_to_contain_text("live")
        assert accessibility_findings(page) == []
        page.get_by_role("button", name="Delete for good").click()
        expect(card(page, "facts")).to_have_count(0)
    (left,) = own_server.call("GET", "/collections")["collections"]
    assert (left["name"], left["aliases"]) == ("newer", ["live"])


def test_a_collection_that_was_made_anew_meanwhile_is_asked_about_again(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    with visit_own() as page:
        open_collections(page, own_server)
        page.get_by_role("button", name="Delete facts").click()
        own_server.call("DELETE", "/collections/facts")
        own_server.call("POST", "/collections", {"name": "facts"})
        page.get_by_label("Type facts to confirm").fill("facts")
        page.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("made anew")
        expect(page.locator("#delete-told")).to_contain_text("its 0 documents")
    assert own_server.call("GET", "/collections/facts")["collection"]["name"] == "facts"


def test_a_collection_that_can_not_be_deleted_keeps_its_aliases(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    own_server.call("POST", "/aliases", {"changes": [{"alias": "live", "collection": "facts"}]})
    with visit_own() as page:
        open_collections(page, own_server)

        def refuse(route: Route) -> None:
            if route.request.method == "DELETE":
                route.fulfill(status=503, json={"code": "unavailable", "message": "it ends"})
            else:
                route.continue_()

        page.route("**/api/v1/collections/facts", refuse)
        page.get_by_role("button", name="Delete facts").click()
        page.get_by_label("Type facts to confirm").fill("facts")
        page.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_role("dialog")).to_contain_text("The server is not ready")
    assert own_server.call("GET", "/collections/facts")["collection"]["aliases"] == ["live"]
