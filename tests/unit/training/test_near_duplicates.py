"""When two passages are the same in all but details."""

import pytest

from twopass.training.near_duplicates import fingerprint, is_near_duplicate

WORDS = [f"word{i}" for i in range(100)]


def alike(a: str, b: str) -> bool:
    one, other = fingerprint(a), fingerprint(b)
    assert is_near_duplicate(one, other) == is_near_duplicate(other, one)
    return is_near_duplicate(one, other)


def test_case_and_white_space_do_not_count():
    assert alike("The quick  brown fox\njumps over", "the QUICK brown fox jumps over")


def test_a_common_beginning_is_enough():
    beginning = "the same sixty characters stand at the beginning of both texts"
    assert alike(beginning + " and then " + " ".join(WORDS), beginning + " but something else")


@pytest.mark.parametrize(("common", "expected"), [(90, True), (70, True), (60, False), (20, False)])
def test_half_of_the_runs_of_words_in_common_are_enough(common, expected):
    # Of 96 runs each, those within the common end: J = n / (2 * 96 - n) is 0.5 at n = 64.
    own = [f"own{i}" for i in range(100)]
    assert alike(" ".join(WORDS), " ".join(own[:-common] + WORDS[-common:])) == expected


def test_short_texts_are_alike_only_where_they_are_equal():
    assert not alike("yes", "no")
    assert alike("", " ")
