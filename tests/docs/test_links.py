"""Links of pages lead to files and headings that are there, and files that they name are."""

import pytest

from .links import anchors, broken, missing_files
from .pages import name, pages


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page):
    assert not list(broken(page))


@pytest.mark.parametrize("page", pages(), ids=name)
def test_files_of_the_repository_that_a_page_names_are_there(page):
    assert not list(missing_files(page))


def test_tells_a_named_file_that_is_not_there(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "`server/app.py` `index/rows/{rows,gone}.py` `server/gone/` `docs/*.gone` `tests/…`\n"
    )
    assert list(missing_files(page)) == [
        "line 1: index/rows/gone.py: no such file",
        "line 1: server/gone/: no such file",
        "line 1: docs/*.gone: no such file",
    ]


def test_tells_a_missing_file_and_a_missing_heading(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Here\n\n[a](#here) [b](#there) [c](gone.md) [d](https://example.org/#x)\n")
    assert list(broken(page)) == [
        "line 3: #there: no such heading",
        "line 3: gone.md: no such file",
    ]


def test_headings_are_linked_as_forges_do(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# `twopass serve`\n## What's new?\n## [Here](x.md): a_b\n## Again\n## Again\n")
    assert anchors(page) == {"twopass-serve", "whats-new", "here-a_b", "again", "again-1"}
