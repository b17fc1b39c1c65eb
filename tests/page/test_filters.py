"""Filters as they are typed: what they say to the server, and what they refuse."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page

from .browsing import MODULE

_PARSE = f"""async (texts) => {{
  {MODULE}
  const {{ parsedFilter, FilterError }} = await module("search/filter.js");
  return texts.map((text) => {{
    try {{
      const {{ filter, python }} = parsedFilter(text);
      return {{ sent: JSON.stringify(filter), python }};
    }} catch (error) {{
      if (!(error instanceof FilterError)) throw error;
      return {{ refused: error.message }};
    }}
  }});
}}"""
_LARGE = 1_234_567_890_123_456_789


def _parsed(page: Page, *texts: str) -> list[Any]:
    found: list[Any] = page.evaluate(_PARSE, list(texts))
    return found


def _fields(parsed: Any) -> list[Any]:
    return [each["field"] for each in json.loads(parsed["sent"])["must"]]


def _values(field: Any) -> list[Any]:
    values: list[Any] = field["any_of_literals"]["values"]
    return values


def test_conditions_are_joined_by_ands_outside_quotes_and_lists(page: Page) -> None:
    quoted, listed, plain, named = _parsed(
        page, 't="a & b"&x=1', 't=["a & \\"b", "c]&d"] & x=1', "t=a[1 & x=1", '"a & b".c=2 & x=1'
    )
    assert _values(_fields(quoted)[0]) == [{"text": "a & b"}]
    assert _values(_fields(listed)[0]) == [{"text": 'a & "b'}, {"text": "c]&d"}]
    assert _values(_fields(plain)[0]) == [{"text": "a[1"}]
    assert [field["field"] for field in _fields(named)] == ['"a & b".c', "x"]
    for parsed in (quoted, listed, plain, named):
        assert _values(_fields(parsed)[1]) == [{"integer": "1"}]


@pytest.mark.parametrize(
    ("text", "told"), [('t="a & x=1', "quote is open"), ("t=[1, 2 & x=1", "list is open")]
)
def test_an_open_quote_or_list_is_refused(page: Page, text: str, told: str) -> None:
    assert told in _parsed(page, text)[0]["refused"]


def test_integers_of_64_bits_stay_exact_in_every_form(page: Page) -> None:
    one, many, bound, whole = _parsed(
        page,
        f"n={_LARGE}",
        f"n=[{_LARGE}, -{_LARGE}, 1e30, 2]",
        f"n>={_LARGE}",
        f'{{"must": [{{"field": {{"field": "n", "equal_to_literal": {{"integer": {_LARGE}}}}}}}]}}',
    )
    assert _values(_fields(one)[0]) == [{"integer": str(_LARGE)}]
    assert _values(_fields(many)[0]) == [
        {"integer": str(_LARGE)},
        {"integer": f"-{_LARGE}"},
        {"number": 1e30},
        {"integer": "2"},
    ]
    assert _fields(bound)[0]["interval"] == {"gte": {"integer": str(_LARGE)}}
    assert _fields(whole)[0]["equal_to_literal"] == {"integer": _LARGE}
    for parsed in (one, many, bound, whole):
        assert str(_LARGE) in parsed["python"]
