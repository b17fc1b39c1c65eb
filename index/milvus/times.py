"""Times as texts that sort as the moments do.

A moment's sortable text is its date and time in UTC without trailing zeros in its fraction, as in
`2024-01-31T23:59:59.25`: of two such texts the lesser by code points is the earlier, at any number
of digits, since "." comes before every digit, and nothing before ".".
"""

import re
from datetime import datetime, timedelta

from twopass.index.filters import Moment

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(?:\.(\d+))?"
    r"(?:[Zz]|([+-])(0\d|1[0-4]):([0-5]\d))?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # UTC, as all times here, and none says so
_SECOND = timedelta(seconds=1)


def sortable(moment: Moment) -> str:
    """A moment's sortable text."""
    at = _EPOCH + timedelta(seconds=moment.seconds)
    return _with_fraction(at, f"{moment.nanos:09}")


def sortable_of_text(text: str) -> str | None:
    """The sortable text of the time that a text tells as RFC 3339 writes it; None: it tells none.

    A date alone is its first second. A time without an offset is UTC.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, sign, hours, minutes = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}")
        if sign is not None:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            at = at - offset if sign == "+" else at + offset
    except (ValueError, OverflowError):  # 31 February, or a year beyond 1 to 9999
        return None
    return _with_fraction(at, fraction or "")


def moment_of(text: str) -> Moment:
    """The moment of a sortable text, without what is less than a nanosecond."""
    seconds = (datetime.fromisoformat(text[:19]) - _EPOCH) // _SECOND
    return Moment(seconds, int(text[20:29].ljust(9, "0")))


def _with_fraction(at: datetime, fraction: str) -> str:
    # `isoformat` writes the year with four digits, which `strftime` does not on every system.
    text = at.isoformat(timespec="seconds")
    digits = fraction.rstrip("0")
    return f"{text}.{digits}" if digits else text
