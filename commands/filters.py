"""Filters on the command line: `year>=1990`, `tags=news`, `!draft`, or the contract's JSON."""

import json
import re
from datetime import datetime
from typing import Annotated, Any

import typer
from google.protobuf.json_format import Parse, ParseError

from twopass.client import Condition, field
from twopass.client.errors import InvalidArgumentError
from twopass.commands.terminal.failures import exit_with
from twopass.v1 import filter_pb2

HELP = (
    "Which documents are considered; all conditions must hold: field=value, field!=value, "
    "field>=bound (also > < <=), field^=prefix, field=[a, list], field (exists), !field (is "
    "missing). Values are JSON, else text; bounds are numbers, text, or times as in "
    '2026-01-31T23:59:59Z. A key with dots is quoted, as in "a.b".c=1. Or the contract\'s Filter '
    'in JSON: {"must": [...]}.'
)

Filters = Annotated[list[str] | None, typer.Option("--filter", "-f", help=HELP)]

_FIELD = r'(?:"(?:[^"\\]|\\.)*"|[^!=<>^])+?'
_CONDITION = re.compile(
    rf"(?P<field>{_FIELD})\s*(?P<operator>!=|>=|<=|\^=|=|>|<)\s*(?P<value>.*)", re.DOTALL
)
_ALONE = re.compile(rf"(?P<missing>!?)\s*(?P<field>{_FIELD})", re.DOTALL)
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
# A date and a time with an offset. What lacks an offset is compared as text.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parsed(conditions: list[str]) -> Condition | None:
    """Joins conditions that must all hold; None without conditions."""
    whole: Condition | None = None
    for given in conditions:
        try:
            one = _from_json(given) if given.lstrip().startswith("{") else _condition(given.strip())
            whole = one if whole is None else whole & one
        except (InvalidArgumentError, TypeError) as error:
            exit_with(f"--filter {given}: {error}")
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
        if (alone := _ALONE.fullmatch(given)) is None:
            exit_with(f"--filter {given}: no condition; write it as in year>=1990")
        name = alone["field"]
        return field(name).is_missing() if alone["missing"] else field(name).exists()
    name, operator, value = match["field"], match["operator"], match["value"]
    if operator == "^=":
        return field(name).starts_with(_text(value))
    if operator in _BOUNDS:
        return field(name).between(**{_BOUNDS[operator]: _bound(given, value)})
    values = value_as_typed(value)
    wanted = values if isinstance(values, list) else [values]
    if any(isinstance(value, dict | list) for value in wanted):
        exit_with(f"--filter {given}: fields are compared with text, numbers, true, false and null")
    return ~field(name).is_in(wanted) if operator == "!=" else field(name).is_in(wanted)


def value_as_typed(given: str) -> Any:
    """A value as it is typed: JSON, else text."""
    try:
        # NaN and Infinity are not JSON's, though Python reads them.
        return json.loads(given, parse_constant=lambda name: name)
    except (ValueError, RecursionError):
        return given


def _text(given: str) -> str:
    value = value_as_typed(given)
    return value if isinstance(value, str) else given


def _bound(given: str, value: str) -> Any:
    """A bound: a number, a time, or text."""
    if _TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError as error:
            exit_with(f"--filter {given}: {value!r} is no time ({error})")
    bound = value_as_typed(value)
    if not value or isinstance(bound, bool) or not isinstance(bound, str | int | float):
        exit_with(f"--filter {given}: {value!r} is no bound; a number, a text or a time is needed")
    return bound
