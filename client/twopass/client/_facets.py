"""Which values metadata fields have."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._filters import Condition, filter_message
from twopass.client._literals import Scalar, literal_value
from twopass.client._values import int32, text, texts
from twopass.v1 import collection_pb2
from twopass.v1.filter_pb2 import Filter


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, and how many documents have it.

    Attributes:
        value: A str, bool, int, float or None; whole numbers are int.
        num_documents: Documents that have it, however often each of them does.
    """

    value: Scalar
    num_documents: int


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one metadata field among the documents that pass a filter.

    Attributes:
        num_documents: Documents that have the field, be it None or an empty list.
        num_values: Distinct values in all; `values` holds the most frequent of them.
        values: The most frequent first; those as frequent in the order None, False, True, numbers,
            texts, each ascending.
        numbers: The least and the greatest number. None: no value is a number.
        texts: The least and the greatest text by code points. None: no value is a text.
        times: The earliest and the latest time, in UTC, to the microsecond, of the texts that tell
            one. None: no text does.
    """

    num_documents: int
    num_values: int
    values: tuple[FacetValue, ...]
    numbers: tuple[float, float] | None
    texts: tuple[str, str] | None
    times: tuple[datetime, datetime] | None


def facets(
    collection: str,
    fields: Iterable[str],
    *,
    filter: Condition | Filter | None = None,  # noqa: A002  # the contract's word
    limit: int = 10,
    timeout: float | None = None,
) -> Call[dict[str, Facet]]:
    """Tells which values metadata fields have, and how many documents have each, exactly.

    As many documents pass `filter` and the test for a value as the value's `num_documents` says.

    Args:
        collection: The collection's name or alias.
        fields: 1 to 16 names of fields, as `field` takes them.
        filter: Which documents. None: all.
        limit: Most values of each field to return, 0 to 10,000.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Returns:
        The facets by their fields' names, in order.

    Raises:
        NotFoundError: No such collection.
    """

    def result(response: collection_pb2.GetFacetsResponse) -> dict[str, Facet]:
        return {message.field: _facet(message) for message in response.facets}

    most = int32(limit, "limit")
    request = collection_pb2.GetFacetsRequest(
        collection=text(collection, "collection"),
        filter=filter_message(filter),
        facets=[
            collection_pb2.FacetRequest(field=name, limit=most) for name in texts(fields, "fields")
        ],
    )
    return Call(_rpcs.GET_FACETS, request, result, timeout)


def _facet(message: collection_pb2.Facet) -> Facet:
    return Facet(
        num_documents=message.num_documents,
        num_values=message.num_values,
        values=tuple(
            FacetValue(literal_value(one.value), one.num_documents) for one in message.values
        ),
        numbers=_bounds(message, "numbers"),
        texts=_bounds(message, "texts"),
        times=_bounds(message, "times"),
    )


def _bounds(message: collection_pb2.Facet, name: str) -> Any:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    bounds = getattr(message, name)
    return literal_value(bounds.least), literal_value(bounds.greatest)
