"""Filters on the command line: `year>=1990`, `tags=news`, `!draft`, or the contract's JSON."""

import json
import re
from typing import Any

from google.protobuf.json_format import Parse, ParseError

from twopass.client import Condition, field
from twopass.commands.failures import exit_with
from twopass.v1 import filter_pb2

HELP = (
    "Which documents are considered; all conditions must hold: field=value, field!=value, "
    "field>=number (also > < <=), field^=prefix, field=[a, list], field (exists), !field (is "
    'missing). Values are JSON, else text. Or the contract\'s Filter in JSON: {"must": [...]}.'
)

_CONDITION = re.compile(r"(?P<field>[^!=<>^]+?)\s*(?P<operator>!=|>=|<=|\^=|=|>|<)\s*(?P<value>.*)")
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def parsed(conditions: list[str]) -> Condition | None:
    """Joins conditions that must all hold; None without conditions."""
    whole: Condition | None = None
    for given in conditions:
        one = _from_json(given) if given.lstrip().startswith("{") else _condition(given.strip())
        whole = one if whole is None else whole & one
    return whole


def _from_json(given: str) -> Condition:
    try:
        wanted = Parse(given, filter_pb2.Filter())
    except ParseError as error:
        exit_with(f"--filter {given}: no Filter of the contract ({error})")
    return Condition(filter_pb2.Condition(filter=wanted))


def _condition(given: str) -> Condition:
    match = _CONDITION.fullmatch(given)
    if match is None:
        name = given.removeprefix("!").strip()
        if not name or re.search(r"[!=<>^]", name):
            exit_with(f"--filter {given}: no condition; write it as in year>=1990")
        return field(name).is_missing() if given.startswith("!") else field(name).exists()
    name, operator, value = match["field"], match["operator"], match["value"]
    if operator == "^=":
        return field(name).starts_with(_text(value))
    if operator in _BOUNDS:
        return field(name).between(**{_BOUNDS[operator]: _number(given, value)})
    values = _value(value)
    wanted = values if isinstance(values, list) else [values]
    if any(isinstance(value, dict | list) for value in wanted):
        exit_with(f"--filter {given}: fields are compared with text, numbers, true, false and null")
    return ~field(name).is_in(wanted) if operator == "!=" else field(name).is_in(wanted)


def _value(given: str) -> Any:
    try:
        return json.loads(given)
    except ValueError:
        return given


def _text(given: str) -> str:
    value = _value(given)
    return value if isinstance(value, str) else given


def _number(given: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        exit_with(f"--filter {given}: {value!r} is no number")
