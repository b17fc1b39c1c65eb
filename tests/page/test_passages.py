"""Where a hit's best part is marked: in its text, in its title, in any script."""

from typing import Any

import pytest
from playwright.sync_api import Page

from .browsing import MODULE

_SHOW = f"""async ([hit, isWhole]) => {{
  {MODULE}
  const {{ passageOf, titleOf }} = await module("search/passage.js");
  const html = (nodes) => {{
    const box = document.createElement("div");
    box.append(...nodes);
    return [box.textContent, box.querySelector("mark")?.textContent ?? null];
  }};
  return [hit.title ? html(titleOf(hit)) : ["", null], html(passageOf(hit, isWhole))];
}}"""


def _shown(
    page: Page, title: str, text: str, part: tuple[int, int], *, whole: bool = False
) -> tuple[list[Any], list[Any]]:
    """Title and passage, each as its text and what is marked in it."""
    span = {"start": part[0], "end": part[1]}
    found = page.evaluate(_SHOW, [{"id": "a", "title": title, "text": text, "span": span}, whole])
    return found[0], found[1]


@pytest.mark.parametrize("text", ["首都堪培拉位于" * 300, "a1" * 900], ids=["chinese", "base64"])
def test_a_part_inside_text_without_spaces_is_marked_where_it_begins(page: Page, text: str) -> None:
    _, (told, marked) = _shown(page, "", text, (1_415, 1_680))
    assert marked == text[1_415:1_680]
    assert told == f"… {marked}"


def test_a_part_that_begins_inside_a_word_shows_the_word_whole(page: Page) -> None:
    text = "so eine Straßenbahnhaltestelle gibt es: na\u0308chste Frage"
    inside = text.index("haltestelle")
    assert _shown(page, "", text, (inside, inside + 16))[1][1] == "Straßenbahnhaltestelle gibt"
    accent = text.index("\u0308") + 1
    assert _shown(page, "", text, (accent, len(text)))[1][1] == "na\u0308chste Frage"


def test_a_word_of_another_script_before_a_part_is_not_marked(page: Page) -> None:
    assert _shown(page, "", "Python是一种语言", (6, 10))[1] == ["… 是一种语", "是一种语"]
    assert _shown(page, "", "漢字abc def", (3, 9))[1][1] == "abc def"


@pytest.mark.parametrize("whole", [False, True])
def test_a_part_inside_the_title_is_marked_there(page: Page, whole: bool) -> None:
    title, passage = _shown(page, "A very long title 😀", "The text.", (2, 11), whole=whole)
    assert title == ["A very long title 😀", "very long"]
    assert passage == ["The text.", None]


def test_a_part_that_leaves_the_title_is_marked_in_both(page: Page) -> None:
    title, passage = _shown(page, "A title", "The text.", (2, 11))
    assert (title[1], passage[1]) == ("title", "The")


@pytest.mark.parametrize("blanks", ["  ", "\u3000\n"])
def test_blanks_before_a_title_do_not_shift_the_part(page: Page, blanks: str) -> None:
    read = f"{blanks}Title The best part.".strip()
    start = read.index("best")
    _, passage = _shown(page, f"{blanks}Title", "The best part.", (start, start + 4))
    assert passage[1] == "best"


def test_a_part_at_the_end_of_a_very_long_text_is_found(page: Page) -> None:
    text = "😀 " * 60_000 + "here"
    assert _shown(page, "T", text, (120_002, 120_006))[1][1] == "here"
    assert _shown(page, "T", text, (120_002, 120_006), whole=True)[1][1] == "here"


def _with_sentence(
    page: Page, title: str, text: str, sentence: str, *, whole: bool = False
) -> tuple[list[Any], list[Any]]:
    start = (len(title) + 1 if title else 0) + text.index(sentence)
    span = {"start": start, "end": start + len(sentence)}
    hit = {"id": "a", "title": title, "text": text, "spans": [{"span": span, "score": 0.5}]}
    found = page.evaluate(_SHOW, [hit | {"span": {"start": 0, "end": 9}}, whole])
    return found[0], found[1]


@pytest.mark.parametrize("whole", [False, True])
def test_the_best_sentence_is_marked_in_the_text_around_it(page: Page, whole: bool) -> None:
    text = "It rains 😀. The sky is blue. It is late."
    _, passage = _with_sentence(page, "A title", text, "The sky is blue.", whole=whole)
    assert passage == [text, "The sky is blue."]


def test_of_a_long_text_what_stands_around_the_best_sentence_is_shown(page: Page) -> None:
    text = f"{'It rains a lot. ' * 60}The sky is blue. {'It is late. ' * 60}"
    _, (told, marked) = _with_sentence(page, "", text, "The sky is blue.")
    assert marked == "The sky is blue."
    assert told.startswith("… ")
    assert "lot. The sky is blue. It is late." in told
    assert len(told) < 400


def test_the_best_sentence_begins_within_the_two_lines_of_a_folded_card(page: Page) -> None:
    text = "It rains a lot here. " * 6 + "The sky is blue. It is late."
    _, (told, marked) = _with_sentence(page, "A title", text, "The sky is blue.")
    assert marked == "The sky is blue."
    assert told.startswith("… ")
    assert told.index(marked) < 50
