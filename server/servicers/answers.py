"""Answers whose size depends on documents, kept to what a client can receive."""

from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits

MessageT = TypeVar("MessageT", bound=Message)

# Bytes kept free for an answer's small fields, such as a page token; and the most bytes of the tag
# and the length of one element.
_REST_BYTES = 1_024
_ELEMENT_BYTES = 6


def read_max_answer_bytes(message: Any, limits: Limits) -> int:
    """Reads a request's field `max_answer_bytes`.

    Raises:
        InvalidRequestError: It is negative.
    """
    given: int = message.max_answer_bytes
    if given < 0:
        raise InvalidRequestError(
            f"max_answer_bytes: {given:,} given; 0 for {limits.max_answer_bytes:,}, or at most "
            f"{limits.max_message_bytes:,}",
            limit=limits.max_message_bytes,
            value=given,
        )
    return min(given or limits.max_answer_bytes, limits.max_message_bytes)


def that_fit(messages: Iterable[MessageT], max_bytes: int) -> list[MessageT]:
    """The first of `messages`, as many as fit into an answer of `max_bytes`."""
    fitting = []
    left = max_bytes - _REST_BYTES
    for message in messages:
        left -= element_bytes(message)
        if left < 0:
            break
        fitting.append(message)
    return fitting


def page_that_fits(
    messages: Iterable[MessageT], page_size: int, max_bytes: int
) -> tuple[list[MessageT], bool]:
    """One page of a listing, and whether more messages follow it.

    Args:
        messages: The listing, beginning with the page's first message.
        page_size: Most messages on the page; 0 for any number.
        max_bytes: Most bytes of the answer; the first message is included whatever its size.
    """
    remaining = iter(messages)
    page: list[MessageT] = []
    left = max_bytes - _REST_BYTES
    for message in remaining:
        left -= element_bytes(message)
        if page and (left < 0 or len(page) == page_size):
            return page, True
        page.append(message)
    return page, False


def element_bytes(message: Message) -> int:
    """Bytes that a message adds to an answer, as an element of a repeated field."""
    return message.ByteSize() + _ELEMENT_BYTES
