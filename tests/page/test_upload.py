"""Files become documents: fields are shown first, what is bad is named, progress is told."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from .browsing import accessibility_findings, overflow, visiting
from .conftest import Visiting
from .serving import ServedPage


@pytest.fixture
def panel(visit_own: Visiting, own_server: ServedPage) -> Iterator[Page]:
    """The tab of collections, with an empty collection `docs` chosen."""
    own_server.call("POST", "/collections", {"name": "docs"})
    with visit_own() as page:
        open_panel(page)
        yield page


def open_panel(page: Page, collection: str = "docs") -> None:
    page.goto("/ui#collections")
    page.get_by_role("button", name=f"Add files to {collection}").click()
    expect(page.get_by_label("to", exact=True)).to_have_value(collection)


def choose(page: Page, *files: Path) -> None:
    page.set_input_files("#upload-input", files)
    page.locator(".review").wait_for()


def upload(page: Page) -> None:
    page.get_by_role("button", name="Upload to").click()
    page.locator(".ended").wait_for(timeout=120_000)


def stored(server: ServedPage, collection: str = "docs") -> dict[str, dict[str, Any]]:
    body = {"fields": {"metadata_as_json": True}, "page_size": 1000}
    page = server.call("POST", f"/collections/{collection}/documents/list", body)
    return {document["id"]: document for document in page["documents"]}


def lines(*records: object) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def test_several_files_of_several_kinds_become_documents(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    books = tmp_path / "books.jsonl"
    books.write_text(
        '{"_id": 7, "headline": "Sieben", "body": "Text", "pages": 9007199254740993, "x": 1.0}\n'
    )
    sales = tmp_path / "sales.csv"
    sales.write_bytes('id;name;notes;price\n1;Käse;"Milk, ""hard"";\nold";3\n'.encode("cp1252"))
    notes = tmp_path / "notes.md"
    notes.write_text("# My notes\n\nFirst.")
    choose(panel, books, sales, notes)
    expect(panel.get_by_role("heading", name="3 files")).to_be_focused()
    expect(panel.get_by_label("_id becomes")).to_have_value("id")
    expect(panel.get_by_label("body becomes")).to_have_value("text")
    expect(panel.locator(".files")).to_contain_text("divided by ;")
    panel.get_by_label("price becomes").select_option("number")
    assert accessibility_findings(panel) == []
    upload(panel)
    expect(panel.locator(".ended")).to_contain_text("docs: 3 inserted, 0 replaced.")
    found = stored(own_server)
    assert (found["7"]["title"], found["7"]["text"]) == ("Sieben", "Text")
    assert found["7"]["metadata_json"] == '{"pages":9007199254740993,"x":1.0}'
    assert (found["1"]["title"], found["1"]["text"]) == ("Käse", 'Milk, "hard";\nold')
    assert json.loads(found["1"]["metadata_json"]) == {"price": 3}
    assert found["notes.md"]["title"] == "My notes"


def test_the_choice_of_fields_decides_what_is_stored(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines({"id": "a", "code": "c", "title": "T", "text": "one", "note": "two"}))
    choose(panel, file)
    panel.get_by_label("id becomes").select_option("none")
    panel.get_by_role("button", name="Upload to docs").focus()
    panel.get_by_label("code becomes").select_option("id")
    panel.get_by_label("text becomes").select_option("metadata")
    panel.get_by_label("title becomes").select_option("none")
    panel.get_by_role("button", name="Upload to docs").click()
    expect(
        panel.get_by_role("alert").filter(has_text="Choose which field is the text")
    ).to_be_visible()
    assert accessibility_findings(panel) == []
    panel.get_by_label("note becomes").select_option("text")
    upload(panel)
    assert stored(own_server)["c"]["text"] == "two"
    assert stored(own_server)["c"]["title"] == ""
    assert json.loads(stored(own_server)["c"]["metadata_json"]) == {"text": "one"}


def test_without_an_id_a_record_is_known_by_its_place(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines({"text": "one"}) + "\n" + lines({"text": "two"}))
    choose(panel, file)
    upload(panel)
    assert sorted(stored(own_server)) == ["a.jsonl:1", "a.jsonl:3"]


BAD: list[tuple[str, str]] = [
    ("{not json}", r"a\.jsonl:3: not JSON"),
    (lines({"text": "no id"}), r"a\.jsonl:3: no field “id”"),
    (lines({"id": "x"}), r"a\.jsonl:3: id “x”: neither a text nor a title"),
    (lines({"id": "x", "text": ["list"]}), r"a\.jsonl:3: field “text”: a list, a text is needed"),
    (lines({"id": "x\u0001", "text": "t"}), r"a\.jsonl:3: id .*id: control characters"),
    (lines({"id": "x" * 513, "text": "t"}), r"a\.jsonl:3: id .*id: "),
    (lines({"id": "x", "text": "t" * 262_145}), r"a\.jsonl:3: id “x”: text.*262,?144"),
    (lines({"id": "x", "text": "t", "m": "y" * 70_000}), r"a\.jsonl:3: id “x”: metadata"),
    ('{"id": "x", "text": "t", "n": 1e999}\n', r"a\.jsonl:3: id “x”: metadata"),
    ('{"id": "x", "text": "t", "n": ' + "[" * 40 + "]" * 40 + "}\n", r"a\.jsonl:3: id “x”"),
]


@pytest.mark.parametrize(("bad", "told"), BAD, ids=[told for _, told in BAD])
def test_a_bad_record_ends_the_upload_by_name_or_is_left_out(
    panel: Page, own_server: ServedPage, tmp_path: Path, bad: str, told: str
) -> None:
    """What stands before it is written either way, and what comes after where it is left out."""
    file = tmp_path / "a.jsonl"
    good = [{"id": str(number), "text": f"text {number}"} for number in range(4)]
    file.write_text(lines(*good[:2]) + bad.rstrip("\n") + "\n" + lines(*good[2:]))
    choose(panel, file)
    upload(panel)
    expect(panel.locator(".ended h4")).to_have_text("Stopped")
    expect(panel.locator(".ended .problem")).to_have_text(re.compile(told))
    assert {"0", "1"} <= set(stored(own_server))
    panel.get_by_role("button", name="Again, leaving bad records out").click()
    expect(panel.locator(".ended h4")).to_have_text("Done")
    expect(panel.locator(".ended")).to_contain_text("1 left out")
    name, reason = told.split(": ", 1)
    expect(panel.locator(".left-out li")).to_have_text(re.compile(f"{name} {reason}"))
    assert sorted(stored(own_server)) == ["0", "1", "2", "3"]


def test_many_refused_documents_cost_no_other(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    ids = [f"{number}\u0001" if number % 3 == 0 else f"{number}" for number in range(300)]
    file.write_text(lines(*({"id": each, "text": "a text"} for each in ids)))
    choose(panel, file)
    panel.get_by_label("A bad record").select_option("skip")
    upload(panel)
    expect(panel.locator(".ended")).to_contain_text("docs: 200 inserted, 0 replaced, 100 left out.")
    expect(panel.locator(".left-out li")).to_have_count(100)
    assert len(stored(own_server)) == 200


@pytest.mark.parametrize(
    ("choice", "heading", "text"),
    [
        ("ON_CONFLICT_REPLACE", "Done", "new"),
        ("ON_CONFLICT_SKIP", "Done", "old"),
        ("ON_CONFLICT_FAIL", "Stopped", "old"),
    ],
)
def test_an_id_that_is_there_is_replaced_kept_or_ends_the_upload(
    panel: Page, own_server: ServedPage, tmp_path: Path, choice: str, heading: str, text: str
) -> None:
    documents = [{"id": "a", "text": "old"}]
    own_server.call("PUT", "/collections/docs/documents", {"documents": documents})
    file = tmp_path / "a.jsonl"
    file.write_text(lines({"id": "a", "text": "new"}))
    choose(panel, file)
    panel.get_by_label("An id that is there already").select_option(choice)
    upload(panel)
    expect(panel.locator(".ended h4")).to_have_text(heading)
    assert stored(own_server)["a"]["text"] == text
    assert accessibility_findings(panel) == []


def test_of_an_id_that_comes_twice_the_later_counts(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines(*({"id": "same", "text": f"text {number}"} for number in range(3))))
    choose(panel, file)
    upload(panel)
    expect(panel.locator(".ended")).to_contain_text("docs: 1 inserted, 2 replaced.")
    assert stored(own_server)["same"]["text"] == "text 2"


def test_files_dropped_anywhere_on_the_tab_are_taken(panel: Page, own_server: ServedPage) -> None:
    panel.evaluate(
        """() => {
          const dropped = new DataTransfer();
          dropped.items.add(new File(['{"id": "a", "text": "dropped"}'], "a.jsonl"));
          dropped.items.add(new File(["second"], "b.txt"));
          const event = { dataTransfer: dropped, bubbles: true, cancelable: true };
          document.getElementById("stored").dispatchEvent(new DragEvent("dragenter", event));
          document.getElementById("stored").dispatchEvent(new DragEvent("drop", event));
        }"""
    )
    panel.locator(".review").wait_for()
    upload(panel)
    assert sorted(stored(own_server)) == ["a", "b.txt"]


def test_a_folder_is_taken_without_what_nobody_means(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    for name in ("README", "docs/a.md", "docs/empty.md", "node_modules/x.md", ".git/y.md", "z.png"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"" if "empty" in name else b"\x89PNG\x00" if "png" in name else b"text")
    panel.set_input_files("#upload-folder-input", folder)
    panel.locator(".review").wait_for()
    expect(panel.locator(".left-out")).to_contain_text("project/z.png .png is not read here")
    upload(panel)
    expect(panel.locator(".ended h4")).to_have_text("Done")
    expect(panel.locator(".ended")).to_contain_text("project/docs/empty.md empty")
    assert sorted(stored(own_server)) == ["project/README", "project/docs/a.md"]


def test_a_new_collection_is_made_on_the_way(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("text")
    panel.get_by_label("to", exact=True).select_option("")
    choose(panel, file)
    panel.get_by_role("button", name="Upload to a new collection").click()
    panel.get_by_label("Name", exact=True).fill("fresh")
    panel.get_by_role("button", name="Create").click()
    panel.locator(".ended").wait_for()
    assert list(stored(own_server, "fresh")) == ["a.txt"]
    expect(panel.get_by_role("listitem", name="fresh")).to_contain_text("1 document")


def test_vectors_that_documents_bring_are_stored(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    schema = {"client_vectors": True, "dimension": 2}
    own_server.call("POST", "/collections", {"name": "mine", "schema": schema})
    open_panel(panel, "docs")
    panel.reload()
    panel.get_by_label("to", exact=True).select_option("mine")
    file = tmp_path / "a.jsonl"
    file.write_text(lines({"id": "a", "text": "t", "embedding": [0.6, 0.8]}))
    choose(panel, file)
    panel.get_by_label("embedding becomes").select_option("vector")
    upload(panel)
    assert list(stored(own_server, "mine")) == ["a"]


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """A file of 300 MB."""
    file = tmp_path / "huge.jsonl"
    with file.open("w") as written:
        for part in range(300):
            written.writelines(
                f'{{"id": "{part}-{number}", "text": "{"word " * 190}"}}\n'
                for number in range(1000)
            )
    return file


def test_a_huge_file_is_streamed_and_can_be_cancelled(
    panel: Page, own_server: ServedPage, huge: Path
) -> None:
    choose(panel, huge)
    panel.get_by_role("button", name="Upload to docs").click()
    told = panel.locator(".upload-told")
    expect(told).to_have_text(re.compile(r"[1-9][\d,]* (of about [\d,]+ )?documents? on disk"))
    expect(panel.get_by_role("progressbar")).to_be_visible()
    assert accessibility_findings(panel) == []
    heap = panel.evaluate("() => performance.memory.usedJSHeapSize")
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.locator(".ended h4")).to_have_text("Cancelled")
    assert heap < 100_000_000  # the file has three times as much
    number = own_server.call("GET", "/collections/docs")["collection"]["num_documents"]
    assert 0 < int(number) < 100_000


def test_an_upload_waits_for_a_server_that_is_gone_and_goes_on(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text(lines(*({"id": str(n), "text": f"text {n} " * 40} for n in range(1_000))))
    with ServedPage(tmp_path / "data") as first:
        first.call("POST", "/collections", {"name": "docs"})
        port = int(first.url.rpartition(":")[2])
        opened = visiting(browser, first.url)
        page = opened.__enter__()
        open_panel(page)
        choose(page, file)
        page.get_by_role("button", name="Upload to docs").click()
        expect(page.locator(".upload-told")).to_have_text(re.compile(r"^[1-9]"))
    expect(page.get_by_role("alert").filter(has_text="does not answer")).to_be_visible()
    assert accessibility_findings(page) == []
    with ServedPage(tmp_path / "data", port=port) as second:
        page.get_by_role("button", name="Go on").click()
        expect(page.locator(".ended h4")).to_have_text("Done", timeout=120_000)
        number = second.call("GET", "/collections/docs")["collection"]["num_documents"]
        opened.__exit__(None, None, None)
    assert number == "1000"


def test_documents_are_shown_as_text_before_they_are_uploaded(panel: Page, tmp_path: Path) -> None:
    file = tmp_path / "<img src=x onerror=alert(1)>.jsonl"
    harm = "<script>alert(2)</script> \u202e \x1b[31m"
    file.write_text(lines({"<b>id</b>": harm, "text": harm, "id": "a"}))
    choose(panel, file)
    table = panel.locator(".roles")
    expect(table).to_contain_text("<b>id</b>")
    expect(table).to_contain_text("<script>alert(2)</script> \\u202e ␛[31m")
    expect(panel.locator(".files")).to_contain_text("<img src=x onerror=alert(1)>.jsonl")
    assert panel.locator(".review img, .review script, .review b:not(.left-out b)").count() == 0


def test_the_steps_fit_a_narrow_window(
    visit_own: Visiting, own_server: ServedPage, tmp_path: Path
) -> None:
    own_server.call("POST", "/collections", {"name": "docs"})
    file = tmp_path / f"{'long-name-' * 12}.jsonl"
    record = {"id": "a" * 200, "text": "b" * 500, "field-" * 12: "c" * 300}
    file.write_text(lines(record, {"id": "x" * 600, "text": "t"}))
    with visit_own(width=400, scheme="dark") as page:
        open_panel(page)
        choose(page, file)
        assert overflow(page) == 0
        upload(page)
        assert overflow(page) == 0
        assert accessibility_findings(page) == []


def test_documents_beside_refused_ones_are_not_sent_again_and_again(
    panel: Page, own_server: ServedPage, tmp_path: Path
) -> None:
    file = tmp_path / "a.jsonl"
    ids = [f"{number}\u0001" if number % 4 == 3 else f"{number}" for number in range(240)]
    file.write_text(lines(*({"id": each, "text": "a text of some words"} for each in ids)))
    sent: list[int] = []

    def note(request: Request) -> None:
        if request.method == "PUT":
            sent.append(len(json.loads(request.post_data or "")["documents"]))

    panel.on("request", note)
    choose(panel, file)
    panel.get_by_label("A bad record").select_option("skip")
    upload(panel)
    expect(panel.locator(".ended")).to_contain_text("docs: 180 inserted, 0 replaced, 60 left out.")
    assert sum(sent) < 4 * len(ids)
    assert len(stored(own_server)) == 180


def test_files_dropped_on_another_tab_do_not_leave_the_page(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    drop = """(panel) => {
      const dropped = new DataTransfer();
      dropped.items.add(new File(['{"id": "a", "text": "dropped"}'], "a.jsonl"));
      const event = { dataTransfer: dropped, bubbles: true, cancelable: true };
      const at = document.getElementById(panel);
      return ["dragover", "drop"].map((name) => !at.dispatchEvent(new DragEvent(name, event)));
    }"""
    with visit_own() as page:
        for tab in ("search", "rerank"):
            page.goto(f"/ui#{tab}")
            assert page.evaluate(drop, f"panel-{tab}") == [True, True]
            page.locator(".review").wait_for()
            expect(page.locator(".files")).to_contain_text("a.jsonl")
            page.get_by_role("button", name="Choose others").click()


def test_a_long_name_of_a_collection_fits_a_narrow_window(
    visit_own: Visiting, own_server: ServedPage
) -> None:
    own_server.call("POST", "/collections", {"name": "n" * 61})
    with visit_own(width=400) as page:
        open_panel(page, "n" * 61)
        assert overflow(page) == 0
