"""Titles of reStructuredText."""

import pytest


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Title\n=====\n\nbody", "Title"),
        ("=======\n Title\n=======\n", "Title"),
        (".. _label:\n\n.. comment\n   of lines\n\nTitle\n*****\n", "Title"),
        (":author: me\n\nTitle\n-----\n", "Title"),
        (":mod:`os` --- ``Files``\n=======================\n", "os --- Files"),
        ("*One* `two <https://x>`_\n=========================\n", "One two"),
        ("para\ngraph\n=====\n\nTitle\n~~~~~\n", "Title"),
        ("=====  =====\nA      B\n=====  =====\n", "file"),
        ("plain\n", "file"),
        ("Too long for its line\n===\n", "file"),
        ("Größe\r\n=====\r\n", "Größe"),
    ],
)
def test_the_title_is_the_first_underlined_line(folder, content, title):
    folder.write("file.rst", content)
    (fields,) = folder.read("file.rst")
    assert (fields["title"], fields["text"]) == (title, content)
