"""Names of metadata fields, and the keys that they stand for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.field_names import field_name_problem, parse_field_name

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("year", ["year"]),
        ("author.name", ["author", "name"]),
        ('"a.b".c', ["a.b", "c"]),
        ('a."b.c"', ["a", "b.c"]),
        ('"a"', ["a"]),
        ('"".""', ["", ""]),
        (r'"\"\\\u00e9\n"', ['"\\é\n']),
        ('o"dd.\\.ke"y"', ['o"dd', "\\", 'ke"y"']),  # plain where no quote begins a part
        (" a . b ", [" a ", " b "]),
        ("0.[1]", ["0", "[1]"]),
    ],
)
def test_a_name_stands_for_its_keys(name, keys):
    assert parse_field_name(name) == tuple(keys)
    assert field_name_problem(name) is None


@given(st.lists(KEYS, min_size=1, max_size=5))
def test_every_key_has_a_name(keys):
    assert parse_field_name(".".join(map(json.dumps, keys))) == tuple(keys)


@given(st.lists(KEYS.filter(lambda k: k and "." not in k and k[0] != '"'), min_size=1))
def test_a_plain_name_is_cut_at_its_dots(keys):
    assert parse_field_name(".".join(keys)) == tuple(keys)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "'' given, a name of dotted, non-empty parts"),
        ("a..b", "'a..b' given, a name of dotted, non-empty parts"),
        ("a.", "non-empty parts"),
        ('"a"."b".', "non-empty parts"),
        ('"a', "part at character 0 begins with a double quote"),
        ('a."b', "part at character 2 begins with a double quote"),
        ('"a"b', "ends before the next dot or the end"),
        ('"a\nb"', "is a JSON string"),
        ("a\0", "a NUL at character 1 of the key"),
        (r'"\u0000"', "a NUL at character 0 of the key"),
    ],
)
def test_what_is_no_name_is_refused(name, said):
    with pytest.raises(ValueError, match=said):
        parse_field_name(name)
    assert said in field_name_problem(name)
