"""The values of a metadata field, counted in one statement, so as of one moment."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from twopass.index.documents import MAX_METADATA_DEPTH
from twopass.index.facets import Facet, FacetScalar, FacetValue
from twopass.index.field_names import parse_field_name
from twopass.index.filters import Moment
from twopass.index.postgres.filter_sql import Bindings, CompiledFilter
from twopass.index.postgres.json_paths import path_of
from twopass.index.postgres.moments import moment_of
from twopass.index.postgres.stored_texts import restored

# `counted` has each distinct value: of numbers `jsonb` takes 1 and 1.0 for one value. Nanoseconds
# since 1970 tell a time without what is less than one.
_STATEMENT = """
WITH
  passing AS MATERIALIZED (SELECT key, metadata FROM {documents} WHERE {condition}),
  found AS (
    SELECT DISTINCT key, value
    FROM passing, jsonb_path_query(metadata, {elements}::jsonpath) AS value
    WHERE jsonb_typeof(value) NOT IN ('object', 'array')
  ),
  counted AS MATERIALIZED (
    SELECT jsonb_typeof(value) AS kind, value,
      CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric END AS number,
      CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{{}}' END COLLATE "C" AS text,
      count(*) AS num_documents
    FROM found GROUP BY value
  ),
  bounds AS (
    SELECT count(*) AS num_values, min(number) AS least, max(number) AS greatest,
      min(text) AS first, max(text) AS last,
      min(floor({schema}.moment_of(text) * 1000000000)) AS earliest,
      max(floor({schema}.moment_of(text) * 1000000000)) AS latest
    FROM counted
  ),
  frequent AS (
    SELECT * FROM counted
    ORDER BY num_documents DESC,
      array_position(ARRAY['null', 'boolean', 'number', 'string'], kind), value = 'true'::jsonb,
      number, text
    LIMIT {limit}
  )
SELECT (SELECT count(*) FROM passing WHERE metadata @? {plain}::jsonpath) AS num_with, bounds.*,
  kind, value::text AS value, text, num_documents
FROM bounds LEFT JOIN frequent ON TRUE
ORDER BY num_documents DESC NULLS LAST,
  array_position(ARRAY['null', 'boolean', 'number', 'string'], kind), value = 'true', number, text
"""


async def read_facet(
    connection: Any,
    documents: str,
    schema: str,
    wanted: CompiledFilter,
    field: str,
    limit: int,
    max_bytes: int | None = None,
) -> Facet:
    """Reads the values of a field.

    Args:
        connection: Where to read.
        documents: The table of documents, as SQL.
        schema: The store's schema in the database, as SQL.
        wanted: Which documents.
        field: The field's name.
        limit: Most values to return.
        max_bytes: Most bytes of texts among the values; None for any number. Those that don't fit
            are left out, with all that follow.
    """
    keys = parse_field_name(field)
    if len(keys) > MAX_METADATA_DEPTH:  # no metadata is so deep
        return Facet(field, 0, 0, (), None, None, None)
    bindings = Bindings()
    condition = wanted.sql(bindings)
    statement = _STATEMENT.format(
        documents=documents,
        schema=schema,
        condition=condition,
        elements=bindings.add(f"{path_of(keys)}[*]", "text"),
        plain=bindings.add(path_of(keys), "text"),
        limit=bindings.add(limit, "bigint"),
    )
    records = await connection.fetch(statement, *bindings.values)
    first = records[0]
    least, greatest = first["least"], first["greatest"]
    return Facet(
        field=field,
        num_documents=first["num_with"],
        num_values=first["num_values"],
        values=_values_that_fit([r for r in records if r["kind"] is not None], max_bytes),
        numbers=None if least is None else (_number(str(least)), _number(str(greatest))),
        texts=None
        if first["first"] is None
        else (restored(first["first"]), restored(first["last"])),
        times=_times(first["earliest"], first["latest"]),
    )


def _values_that_fit(records: Sequence[Any], max_bytes: int | None) -> tuple[FacetValue, ...]:
    values = []
    num_bytes = 0
    for record in records:
        value = _scalar(record)
        if max_bytes is not None and isinstance(value, str):
            num_bytes += len(value.encode())
            if num_bytes > max_bytes:
                break
        values.append(FacetValue(value, record["num_documents"]))
    return tuple(values)


def _scalar(record: Any) -> FacetScalar:
    match record["kind"]:
        case "null":
            return None
        case "boolean":
            return bool(record["value"] == "true")
        case "number":
            return _number(record["value"])
    return restored(record["text"])


def _number(digits: str) -> int | float:
    """A number, as an int where it is whole and fits into 64 bits."""
    exact = Decimal(digits)
    if exact == exact.to_integral_value() and -(2**63) <= exact < 2**63:
        return int(exact)
    return float(exact)


def _times(earliest: Decimal | None, latest: Decimal | None) -> tuple[Moment, Moment] | None:
    if earliest is None or latest is None:
        return None
    return moment_of(int(earliest)), moment_of(int(latest))
