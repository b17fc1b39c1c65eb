"""What filters mean, said in plain Python over one document at a time."""

import json
import re
from datetime import date
from fractions import Fraction

from twopass.index.filters import (
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    Moment,
    OneOf,
    StartsWith,
)

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d+)?"
    r"(?:[Zz]|([+-])(0\d|1[0-4]):([0-5]\d))?)?",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()
# The year 1 to 9999.
_MOMENTS = range((1 - _EPOCH) * 86_400, (date(9999, 12, 31).toordinal() - _EPOCH + 1) * 86_400)


def passes(document_id: str, metadata: dict, wanted: Filter) -> bool:
    """Whether a document passes a filter."""

    def holds(condition) -> bool:
        match condition:
            case FieldCondition(field, test):
                return _field_passes(list(reached(metadata, keys_of(field))), test)
            case IdCondition(ids):
                return document_id in ids
            case Filter():
                return passes(document_id, metadata, condition)

    return (
        all(map(holds, wanted.must))
        and (not wanted.should or any(map(holds, wanted.should)))
        and not any(map(holds, wanted.must_not))
    )


def keys_of(field: str) -> list[str]:
    """The keys of a valid field name."""
    parts = re.findall(r'"(?:[^"\\]|\\.)*"(?=\.|$)|[^.]+', field, re.DOTALL)
    return [json.loads(part) if part.startswith('"') else part for part in parts]


def reached(value, keys):
    """The values that keys lead to, lists at the end unopened."""
    if not keys:
        yield value
        return
    for holder in value if isinstance(value, list) else [value]:
        if isinstance(holder, dict) and keys[0] in holder:
            yield from reached(holder[keys[0]], keys[1:])


def seconds_of(text: str) -> Fraction | None:
    """The time that a text tells, in seconds since 1970; None where it tells none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, *clock, fraction, sign, off_hours, off_minutes = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    hours, minutes, seconds = (int(part or 0) for part in clock)
    offset = int(f"{sign or '+'}1") * (int(off_hours or 0) * 60 + int(off_minutes or 0))
    whole = days * 86_400 + hours * 3_600 + (minutes - offset) * 60 + seconds
    return whole + Fraction(f"0{fraction or ''}") if whole in _MOMENTS else None


def _field_passes(values, test) -> bool:
    match test:
        case Exists():
            return bool(values)
        case IsMissing():
            return not values
    opened = [e for value in values for e in (value if isinstance(value, list) else [value])]
    return any(_value_passes(value, test) for value in opened)


def _value_passes(value, test) -> bool:
    match test:
        case OneOf(wanted):
            return any(_equals(value, one) for one in wanted)
        case StartsWith(prefix):
            return isinstance(value, str) and value.startswith(prefix)
        case InRange():
            return _in_interval(value, test)


def _equals(value, wanted) -> bool:
    if isinstance(wanted, Moment):
        return _comparable(value, wanted) and seconds_of(value) == _seconds(wanted)
    return _comparable(value, wanted) and value == wanted


def _in_interval(value, test) -> bool:
    given = [bound for bound in (test.gt, test.gte, test.lt, test.lte) if bound is not None]
    if not _comparable(value, given[0] if given else 0):
        return False
    value = seconds_of(value) if isinstance(next(iter(given), 0), Moment) else value
    gt, gte, lt, lte = map(_seconds, (test.gt, test.gte, test.lt, test.lte))
    return (
        (gt is None or value > gt)
        and (gte is None or value >= gte)
        and (lt is None or value < lt)
        and (lte is None or value <= lte)
    )


def _comparable(value, wanted) -> bool:
    if isinstance(wanted, Moment):
        return isinstance(value, str) and seconds_of(value) is not None
    return _kind(value) == _kind(wanted)


def _seconds(wanted):
    if isinstance(wanted, Moment):
        return wanted.seconds + Fraction(wanted.nanos, 10**9)
    return wanted


def _kind(value) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__
