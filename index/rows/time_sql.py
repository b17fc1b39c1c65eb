"""Times in SQL: texts of RFC 3339 become texts that sort as the moments do.

A moment's sortable text is its date and time in UTC without trailing zeros in its fraction, as in
`2024-01-31T23:59:59.25`: of two such texts the lesser by code points is the earlier, at any number
of digits, since "." and nothing come before every digit. SQLite's own functions alone make it, so
that an index can be over the expression, and any program with SQLite can write the file.
"""

from datetime import UTC, datetime, timedelta

from twopass.index.filters import InRange, Moment

_FORMAT = "'%Y-%m-%dT%H:%M:%S'"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def sortable(moment: Moment) -> str:
    """A moment's sortable text."""
    at = _EPOCH + timedelta(seconds=moment.seconds)
    # `isoformat` writes the year with four digits, which `strftime` does not on every system.
    text = at.replace(tzinfo=None).isoformat(timespec="seconds")
    fraction = f"{moment.nanos:09}".rstrip("0")
    return f"{text}.{fraction}" if fraction else text


def moment_of(text: str) -> Moment:
    """The moment of a sortable text, without what is less than a nanosecond."""
    seconds = (datetime.fromisoformat(text[:19]).replace(tzinfo=UTC) - _EPOCH) // _SECOND
    return Moment(seconds, int(text[20:29].ljust(9, "0")))


def sortable_bounds(interval: InRange) -> tuple[str | None, str | None]:
    """The least and the greatest sortable text in an interval of moments; None: it is open.

    The texts need not be those of moments.
    """
    earliest: str | None = None
    latest: str | None = None
    if isinstance(interval.gte, Moment):
        earliest = sortable(interval.gte)
    if isinstance(interval.gt, Moment):  # with a NUL behind it, a text is the next greater one
        earliest = max(earliest or "", sortable(interval.gt) + "\0")
    if isinstance(interval.lte, Moment):
        latest = sortable(interval.lte)
    if isinstance(interval.lt, Moment):  # U+10FFFF is beyond all that follows, which is ASCII
        bound = sortable(interval.lt)
        before = f"{bound[:-1]}{chr(ord(bound[-1]) - 1)}\U0010ffff"
        latest = before if latest is None else min(latest, before)
    return earliest, latest


def time_expression(value: str) -> str:
    """SQL of the sortable text of the time that a text tells, and NULL where it tells none.

    Args:
        value: SQL of the text; it is repeated, and must give a text.
    """
    # `length` ends at a NUL, so whole ASCII is what both lengths agree on. `date` makes 3 March of
    # 31 February. Hour 24, which SQLite would take, and the year 0 are excluded by their digits, as
    # are offsets that lead there; offsets beyond 14:59, a second 60 and what is after the year 9999
    # SQLite refuses itself.
    rest = f"substr({value}, 20)"
    after_digits = f"ltrim(substr({value}, 21), '0123456789')"
    fraction = f"substr({value}, 20, length({value}) - 19 - length({after_digits}))"
    day = f"substr({value}, 1, 10)"
    return (
        f"CASE WHEN {value} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' "
        f"AND {value} NOT GLOB '0000*' AND octet_length({value}) = length({value}) "
        f"AND NOT ({value} GLOB '0001-01-01*+*' AND substr({value}, 12, 5) < substr({value}, -5)) "
        f"AND date({day}) = {day} THEN CASE "
        f"WHEN length({value}) = 10 THEN {value} || 'T00:00:00' "
        f"WHEN {value} NOT GLOB '??????????[Tt ][0-2][0-9]:[0-5][0-9]:[0-5][0-9]*' "
        f"OR substr({value}, 12, 2) >= '24' THEN NULL "
        f"WHEN {_is_offset(rest)} "
        f"THEN strftime({_FORMAT}, {day} || 'T' || substr({value}, 12)) "
        f"WHEN {rest} GLOB '.[0-9]*' AND {_is_offset(after_digits)} "
        f"THEN strftime({_FORMAT}, {day} || 'T' || substr({value}, 12, 8) || {after_digits}) "
        f"|| rtrim(rtrim({fraction}, '0'), '.') END END"
    )


def _is_offset(text: str) -> str:
    return f"({text} IN ('', 'Z', 'z') OR {text} GLOB '[+-][0-9][0-9]:[0-5][0-9]')"
