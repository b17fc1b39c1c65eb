import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_count, check_text, passage_of


@pytest.mark.parametrize(
    ("title", "text", "passage"),
    [
        ("", "text", "text"),
        (None, "text", "text"),
        ("Title", "text", "Title text"),
        ("Title", "", "Title"),
        ("", "", ""),
        (None, None, ""),
        ("", " kept as it is ", " kept as it is "),
    ],
)
def test_a_passage_is_title_space_text(title, text, passage):
    assert passage_of(title, text) == passage


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_text_is_measured_in_bytes_of_utf8(text):
    size = len(text.encode())
    check_text("query", text, max(1, size))
    if size > 1:
        with pytest.raises(InvalidRequestError, match=rf"^query: {size:,} bytes .* {size - 1:,};"):
            check_text("query", text, size - 1)


@pytest.mark.parametrize("text", ["\0", "ab\0", "\0\0"], ids=ascii)
def test_a_nul_is_refused_where_it_stands(text):
    with pytest.raises(
        InvalidRequestError, match=rf"^text: a NUL at character {text.index(chr(0))}"
    ):
        check_text("text", text, 100)


@pytest.mark.parametrize("count", [1, 2, 999, 1_000])
def test_a_count_within_its_limit_is_fine(count):
    check_count("ids", count, 1_000, "ask again")


@pytest.mark.parametrize(
    ("count", "problem"),
    [
        (-3, "-3 given, at least 1"),
        (0, "none given, at least 1"),
        (1_001, "1,001 given, at most 1,000; ask"),
    ],
)
def test_a_count_outside_its_limits_is_named_with_both(count, problem):
    with pytest.raises(InvalidRequestError, match=f"^ids: {problem}"):
        check_count("ids", count, 1_000, "ask again")
