"""Times in SQL: texts of RFC 3339 become texts that sort as the moments do.

A moment's sortable text is its date and time in UTC without trailing zeros in its fraction, as in
`2024-01-31T23:59:59.25`: of two such texts the lesser by code points is the earlier, at any number
of digits, since "." and nothing come before every digit. SQLite's own functions alone make it, so
that an index can be over the expression, and any program with SQLite can write the file.
"""

from datetime import UTC, datetime, timedelta

from twopass.index.filters import Moment

_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_CLOCK = "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
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


def time_expression(value: str) -> str:
    """SQL of the sortable text of the time that a text tells, and NULL where it tells none.

    Args:
        value: SQL of the text; it is repeated, and must give a text.
    """
    # `length` ends at a NUL, so whole ASCII is what both lengths agree on. `date` makes 3 March of
    # 31 February. Hour 24, which SQLite would take, and the year 0 are excluded by their digits;
    # offsets beyond 14:59 and a second 60 it refuses itself.
    offset = (
        f"CASE substr({value}, 20, 1) WHEN '.' THEN ltrim(substr({value}, 21), '0123456789') "
        f"ELSE substr({value}, 20) END"
    )
    fraction = f"rtrim(substr({value}, 20, length({value}) - 19 - length({offset})), '0')"
    whole = f"octet_length({value}) = length({value}) AND {value} NOT GLOB '0000*'"
    real_date = f"date(substr({value}, 1, 10)) = substr({value}, 1, 10)"
    return (
        f"CASE WHEN {value} GLOB '{_DATE}' AND {whole} AND {real_date} "
        f"THEN {value} || 'T00:00:00' "
        f"WHEN {value} GLOB '{_DATE}[Tt ]{_CLOCK}*' AND {whole} AND {real_date} "
        f"AND substr({value}, 12, 2) < '24' "
        f"AND (substr({value}, 20, 1) <> '.' OR substr({value}, 21, 1) GLOB '[0-9]') "
        f"AND ({offset} IN ('', 'Z', 'z') OR {offset} GLOB '[+-][0-9][0-9]:[0-5][0-9]') "
        "THEN strftime('%Y-%m-%dT%H:%M:%S', "
        f"substr({value}, 1, 10) || 'T' || substr({value}, 12, 8) || {offset}) "
        f"|| rtrim({fraction}, '.') END"
    )
