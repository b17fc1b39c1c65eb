"""Checks of fields that several requests have."""

import math
from typing import Any

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits, Overlong, Truncation, check_text
from twopass.server.servicers.enums import EnumMapping
from twopass.v1 import rerank_pb2

TRUNCATIONS: "EnumMapping[rerank_pb2.Truncation.ValueType, Truncation | None]" = EnumMapping(
    rerank_pb2.Truncation,
    {
        rerank_pb2.TRUNCATION_TRUNCATE: Truncation.TRUNCATE,
        rerank_pb2.TRUNCATION_MAX_WINDOW: Truncation.MAX_WINDOW,
        rerank_pb2.TRUNCATION_REJECT: Truncation.REJECT,
    },
    default=None,
)
"""What to do with passages that are too long; None where a message does not say."""

QUERY_TRUNCATIONS: "EnumMapping[rerank_pb2.QueryTruncation.ValueType, Overlong | None]" = (
    EnumMapping(
        rerank_pb2.QueryTruncation,
        {
            rerank_pb2.QUERY_TRUNCATION_REJECT: Overlong.REFUSE,
            rerank_pb2.QUERY_TRUNCATION_TRUNCATE: Overlong.CUT,
        },
        default=None,
    )
)
"""What to do with a query that is too long; None where a message does not say."""

TO_CUT_QUERY = "set query_truncation to QUERY_TRUNCATION_TRUNCATE"
"""How a request says that a query is to be cut where it is too long."""

MAX_QUERY_ID_BYTES = 256
"""Longest key of a query that a caller may give, in bytes of UTF-8."""


def read_query_id(field: str, query_id: str) -> str:
    """Reads a caller's own key of a query; "" where it gives none.

    Raises:
        InvalidRequestError: It is too long, or holds a NUL.
    """
    check_text(field, query_id, MAX_QUERY_ID_BYTES)
    return query_id


def read_query_truncation(value: int) -> Overlong:
    """Reads the field `query_truncation` of requests that no collection has a default for.

    Raises:
        InvalidRequestError: The value is not one of the contract.
    """
    return QUERY_TRUNCATIONS.read("query_truncation", value) or Overlong.CUT


def read_count(field: str, value: int) -> int:
    """Reads a number that may be 0 but not negative."""
    if value < 0:
        raise InvalidRequestError(
            f"{field}: {value} given, at least 0 is needed", limit=0, value=value
        )
    return value


def read_page_size(value: int, *, default: int, most: int) -> int:
    """Reads the field `page_size`: how many a page has at most.

    Args:
        value: The field; 0 for the default.
        default: How many where the request says nothing.
        most: How many it may ask for.

    Raises:
        InvalidRequestError: It is negative, or more than that.
    """
    page_size = read_count("page_size", value) or default
    if page_size > most:
        raise InvalidRequestError(
            f"page_size: {page_size:,} given, at most {most:,}; read several pages",
            limit=most,
            value=page_size,
        )
    return page_size


def read_blend(field: str, message: Any) -> float | None:
    """Reads the optional field `blend` of a message, a weight in [0, 1]; `field` is its path."""
    if not message.HasField("blend"):
        return None
    if not 0 <= message.blend <= 1:
        raise InvalidRequestError(
            f"{field}: {message.blend:g} given, 0 to 1 is needed", limit=1, value=message.blend
        )
    return float(message.blend)


def read_instruction(field: str, instruction: str, limits: Limits) -> str:
    """Reads what a model is told to look for; "" where the request says nothing.

    Raises:
        InvalidRequestError: It is too long, holds a NUL, or is white space alone.
    """
    check_text(field, instruction, limits.max_query_bytes)
    if instruction and not instruction.strip():
        raise InvalidRequestError(
            f"{field}: white space alone; say what to look for, or leave it empty"
        )
    return instruction


def read_min_score(field: str, message: Any) -> float | None:
    """Reads the optional field `min_score` of a message; `field` is its path in the request."""
    return read_score(field, message, "min_score")


def read_score(field: str, message: Any, name: str) -> float | None:
    """Reads an optional field of a message that scores are compared with.

    Args:
        field: Its path in the request.
        message: The message.
        name: Its name in it.
    """
    if not message.HasField(name):
        return None
    score = float(getattr(message, name))
    if math.isnan(score):
        raise InvalidRequestError(f"{field}: NaN given, a number is needed")
    return score


def read_threshold(field: str, message: Any, name: str) -> float | None:
    """Reads an optional field that decides by scores; arguments are those of `read_score`.

    Raises:
        InvalidRequestError: No score reaches it, or every score does, since it is not from 0 to 1.
    """
    threshold = read_score(field, message, name)
    if threshold is not None and not 0 <= threshold <= 1:
        raise InvalidRequestError(
            f"{field}: {threshold:g} given, 0 to 1 is needed, as scores are",
            limit=1,
            value=threshold,
        )
    return threshold
