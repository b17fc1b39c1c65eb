"""Engines are chosen by a part of their name; the reference is always measured."""

import pytest

from twopass.benchmarks.engines.roster import CONTENDERS, REFERENCE, SUBJECT, chosen


def test_every_label_is_its_own():
    labels = [c.label for c in CONTENDERS]
    assert len(set(labels)) == len(labels)
    assert {REFERENCE, SUBJECT} <= set(labels)


def test_without_a_word_all_are_chosen():
    assert chosen([]) == CONTENDERS


def test_words_are_looked_for_in_any_case_and_the_reference_stays():
    assert [c.label for c in chosen(["openvino F32", "cpu int8"])] == [
        SUBJECT,
        REFERENCE,
        "OpenVINO f32",
    ]


def test_the_reference_is_timed_only_where_it_is_asked_for():
    def is_timed(words):
        return [not c.only_reference for c in chosen(words) if c.label == REFERENCE]

    assert is_timed(["cpu int8"]) == [False]
    assert is_timed(["cpu int8", REFERENCE]) == [True]
    assert is_timed([]) == [True]


def test_a_word_that_names_nobody_is_refused_with_all_names():
    with pytest.raises(ValueError, match=r"'tensorflow' names none of .*OpenVINO f32"):
        chosen(["tensorflow"])


def test_versions_are_those_of_installed_packages_alone():
    numpy_only = CONTENDERS[0].__class__("x", CONTENDERS[0].precision, "", ("numpy", "no-such"))
    assert list(numpy_only.versions()) == ["numpy"]
