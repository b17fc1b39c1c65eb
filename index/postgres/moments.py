"""Times in SQL: texts of RFC 3339 become the seconds since 1970 that they tell.

The seconds are a `numeric`, so that a fraction of any number of digits is exact. The function is in
the store's schema and IMMUTABLE, so that an index can be over it; it raises no error, whatever the
text.
"""

from decimal import Decimal

from twopass.index.filters import Moment

# The days before a month in a year that begins in March, and from 1970 to 1 March of the year 0.
# Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
FUNCTION = r"""
CREATE OR REPLACE FUNCTION {schema}.moment_of(value text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT AS $moment$
  SELECT CASE WHEN seconds BETWEEN -62135596800 AND 253402300799 THEN seconds + fraction END
  FROM (
    SELECT
      (days * 86400 + hour * 3600 + minute * 60 + second - offset_seconds)::numeric AS seconds,
      fraction
    FROM (
      SELECT hour, minute, second, offset_seconds, fraction,
        y / 400 * 146097 + (y % 400) * 365 + (y % 400) / 4 - (y % 400) / 100
          + (153 * ((month + 9) % 12) + 2) / 5 + day - 1 - 719468 AS days
      FROM (
        SELECT day, month, hour, minute, second, offset_seconds, fraction,
          year - (month <= 2)::int AS y
        FROM (
          SELECT part[1]::bigint AS year, part[2]::bigint AS month, part[3]::bigint AS day,
            coalesce(part[4], '0')::bigint AS hour, coalesce(part[5], '0')::bigint AS minute,
            coalesce(part[6], '0')::bigint AS second,
            coalesce('0' || nullif(part[7], ''), '0')::numeric AS fraction,
            CASE WHEN part[8] IN ('+', '-') THEN
              (part[8] || '1')::bigint * (part[9]::bigint * 3600 + part[10]::bigint * 60)
            ELSE 0 END AS offset_seconds
          FROM (SELECT regexp_match(value,
            '^([0-9]{{4}})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
            '(?:[Tt ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])([.][0-9]+)?'
            '(?:[Zz]|([+-])(0[0-9]|1[0-4]):([0-5][0-9]))?)?$') AS part) AS matched
          WHERE part IS NOT NULL
        ) AS parts
        WHERE year > 0 AND day <= CASE
          WHEN month IN (4, 6, 9, 11) THEN 30
          WHEN month <> 2 THEN 31
          WHEN year % 4 = 0 AND (year % 100 <> 0 OR year % 400 = 0) THEN 29
          ELSE 28 END
      ) AS civil
    ) AS counted
  ) AS told
$moment$
"""


def seconds_of(moment: Moment) -> Decimal:
    """A moment as `moment_of` tells it."""
    return moment.seconds + Decimal(moment.nanos) / 1_000_000_000


def moment_of(nanos: int) -> Moment:
    """The moment so many nanoseconds after 1970-01-01T00:00:00Z."""
    return Moment(*divmod(nanos, 1_000_000_000))
