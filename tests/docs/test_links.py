"""Links of pages lead to files and headings that are there."""

import pytest

from .links import anchors, broken
from .pages import name, pages


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page):
    assert not list(broken(page))


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
