"""The values of a metadata field, counted by SQLite in one statement, so as of one moment."""

from collections.abc import Iterator
from typing import Any

import apsw

from twopass.index.facets import Facet, FacetScalar, FacetValue
from twopass.index.field_names import parse_field_name
from twopass.index.rows.field_sql import (
    all_values,
    exists_among_lists,
    has_list_on_the_way,
    plain_value,
)
from twopass.index.rows.filter_sql import SqlCondition
from twopass.index.rows.time_sql import moment_of, time_expression

# In most documents objects alone lead to a field, and to one value: `passing` has it after a single
# look at each document that passes. Where lists are, a document is walked through once more.
# `counted` has each distinct value; numbers are one kind, so that 1 and 1.0 are one value.
_STATEMENT = """
WITH
  passing AS MATERIALIZED (
    SELECT key, {plain_kind} AS kind, {has_list} IS TRUE AS has_list,
      CASE WHEN {plain_kind} NOT IN ('object', 'array') THEN {plain_value} END AS value
    FROM documents WHERE {condition}
  ),
  found AS (
    SELECT iif(kind IN ('integer', 'real'), 'number', kind) AS kind, value
    FROM passing WHERE kind NOT IN ('object', 'array')
    UNION ALL
    SELECT kind, value FROM (
      SELECT DISTINCT documents.key,
        iif({kind} IN ('integer', 'real'), 'number', {kind}) AS kind, {value} AS value
      FROM passing CROSS JOIN {tables}
      WHERE documents.key = passing.key AND (passing.kind = 'array' OR has_list)
        AND {kind} NOT IN ('object', 'array')
    )
  ),
  counted AS MATERIALIZED (
    SELECT kind, value, count(*) AS num_documents FROM found GROUP BY kind, value
  )
SELECT
  (SELECT count(*) FROM passing WHERE kind IS NOT NULL) + (
    SELECT count(*) FROM passing CROSS JOIN documents
    WHERE documents.key = passing.key AND has_list AND {exists}
  ),
  count(*),
  min(value) FILTER (WHERE kind = 'number'), max(value) FILTER (WHERE kind = 'number'),
  min(value) FILTER (WHERE kind = 'text'), max(value) FILTER (WHERE kind = 'text'),
  min(time), max(time)
FROM (SELECT *, CASE kind WHEN 'text' THEN {time} END AS time FROM counted)
UNION ALL
SELECT kind, value, num_documents, NULL, NULL, NULL, NULL, NULL FROM (
  SELECT * FROM counted
  ORDER BY num_documents DESC, instr('null false true number text', kind), value
  LIMIT :limit
)
"""


def read_facet(
    connection: apsw.Connection,
    condition: SqlCondition,
    field: str,
    limit: int,
    max_bytes: int | None = None,
) -> Facet:
    """Reads the values of a field.

    Args:
        connection: Where to read.
        condition: Which documents.
        field: The field's name.
        limit: Most values to return.
        max_bytes: Most bytes of texts to read as values; None for any number. Those that don't fit
            are left out, with all that follow.
    """
    keys = parse_field_name(field)
    plain, source = plain_value(field), all_values(field)
    statement = _STATEMENT.format(
        condition=condition.text,
        plain_kind=plain.kind,
        plain_value=plain.value,
        has_list=has_list_on_the_way(keys) if len(keys) > 1 else "FALSE",
        tables=source.tables,
        kind=source.value.kind,
        value=source.value.value,
        exists=exists_among_lists(keys) if len(keys) > 1 else "FALSE",
        time=time_expression("value"),
    )
    rows: Any = connection.execute(statement, {"limit": limit, **condition.values})
    try:
        num_documents, num_values, *bounds = next(rows)
        values = tuple(_values_that_fit(rows, max_bytes))
    finally:
        rows.close()
    least_number, greatest_number, least_text, greatest_text, earliest, latest = bounds
    return Facet(
        field=field,
        num_documents=num_documents,
        num_values=num_values,
        values=values,
        numbers=None if least_number is None else (_plain(least_number), _plain(greatest_number)),
        texts=None if least_text is None else (least_text, greatest_text),
        times=None if earliest is None else (moment_of(earliest), moment_of(latest)),
    )


def _values_that_fit(rows: Iterator[Any], max_bytes: int | None) -> Iterator[FacetValue]:
    num_bytes = 0
    for kind, value, num_documents, *_ in rows:
        if max_bytes is not None and isinstance(value, str):
            num_bytes += len(value.encode())
            if num_bytes > max_bytes:
                return
        yield FacetValue(_scalar(kind, value), num_documents)


def _scalar(kind: str, value: Any) -> FacetScalar:
    match kind:
        case "true" | "false":
            return kind == "true"
        case "number":
            return _plain(value)
    text: str | None = value
    return text


def _plain(number: int | float) -> int | float:
    """A number, as an int where it is whole and fits into 64 bits."""
    if isinstance(number, float) and number.is_integer() and -(2.0**63) <= number < 2.0**63:
        return int(number)
    return number
