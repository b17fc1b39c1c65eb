"""Facets from and to messages."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.struct_pb2 import NULL_VALUE

from twopass.index.facets import Facet, FacetScalar
from twopass.index.filters import Moment
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_count
from twopass.server.servicers.answers import element_bytes
from twopass.server.servicers.filters import check_field
from twopass.v1 import collection_pb2, filter_pb2

_MAX_FACETS = 16
_MAX_LIMIT = 10_000
_DEFAULT_LIMIT = 10


@dataclass(frozen=True, slots=True)
class WantedFacet:
    """A field to describe, and most values to return of it."""

    field: str
    limit: int


def read_facets(messages: Sequence[collection_pb2.FacetRequest]) -> list[WantedFacet]:
    """Reads which fields to describe.

    Raises:
        InvalidRequestError: There is none, there are too many, one is given twice or is not the
            name of a field, or a limit is out of range.
    """
    check_count("facets", len(messages), _MAX_FACETS, "use several calls")
    wanted: dict[str, WantedFacet] = {}
    for i, message in enumerate(messages):
        where = f"facets[{i}]"
        check_field(f"{where}.field", message.field)
        if message.field in wanted:
            raise InvalidRequestError(
                f"{where}.field: {message.field!r} given twice", value=message.field
            )
        limit = message.limit if message.HasField("limit") else _DEFAULT_LIMIT
        if not 0 <= limit <= _MAX_LIMIT:
            raise InvalidRequestError(
                f"{where}.limit: {limit:,} given, 0 to {_MAX_LIMIT:,} is needed",
                limit=_MAX_LIMIT,
                value=limit,
            )
        wanted[message.field] = WantedFacet(message.field, limit)
    return list(wanted.values())


def facet_message(facet: Facet, max_bytes: int) -> collection_pb2.Facet:
    """A facet as a message, with as many of its values as fit into `max_bytes`."""
    message = collection_pb2.Facet(
        field=facet.field,
        num_documents=facet.num_documents,
        num_values=facet.num_values,
        numbers=_bounds(facet.numbers),
        texts=_bounds(facet.texts),
        times=_bounds(facet.times),
    )
    left = max_bytes - element_bytes(message)
    for value in facet.values:
        element = collection_pb2.FacetValue(
            value=_literal(value.value), num_documents=value.num_documents
        )
        left -= element_bytes(element)
        if left < 0:
            break
        message.values.append(element)
    return message


def _bounds(
    bounds: tuple[FacetScalar | Moment, FacetScalar | Moment] | None,
) -> collection_pb2.FacetBounds | None:
    if bounds is None:
        return None
    least, greatest = bounds
    return collection_pb2.FacetBounds(least=_literal(least), greatest=_literal(greatest))


def _literal(value: FacetScalar | Moment) -> filter_pb2.Literal:
    match value:
        case None:
            return filter_pb2.Literal(null=NULL_VALUE)
        case bool():
            return filter_pb2.Literal(boolean=value)
        case str():
            return filter_pb2.Literal(text=value)
        case int():
            return filter_pb2.Literal(integer=value)
        case float():
            return filter_pb2.Literal(number=value)
    literal = filter_pb2.Literal()
    literal.time.seconds, literal.time.nanos = value.seconds, value.nanos
    return literal
