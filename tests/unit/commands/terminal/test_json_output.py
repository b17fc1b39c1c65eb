"""Results for scripts."""

import json
import math
from types import MappingProxyType

import pytest

from twopass.commands.terminal.json_output import json_document, print_json


def test_a_document_is_valid_json_without_control_characters(capsys):
    content = {"\x1bkey\x9b": ["\x1b[31m", "\x7f\u2028\u202e", "日本"], "nested": {"a": (1, 2.5)}}
    print_json(content)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {**content, "nested": {"a": [1, 2.5]}}
    assert not set(shown) & set("\x1b\x9b\x7f\u2028\u202e")
    assert "日本" in shown


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_null(value):
    assert json.loads(json_document({"p": [value, 1.0]})) == {"p": [None, 1.0]}


def test_read_only_mappings_are_objects():
    assert json.loads(json_document(MappingProxyType({"a": 1}))) == {"a": 1}
