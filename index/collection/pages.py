"""Listings in pages."""

import re
from dataclasses import dataclass

from twopass.index.documents import StoredDocument
from twopass.index.errors import InvalidQueryError

_TOKEN = re.compile(r"([0-9a-f]{32})@([1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True, eq=False)
class DocumentPage:
    """Some documents of a listing.

    Attributes:
        documents: By key.
        next_page_token: Where the next page begins; empty after the last.
    """

    documents: list[StoredDocument]
    next_page_token: str


def page_token(incarnation: str, last_key: int) -> str:
    """The token of the page that follows a key, in this life of the collection."""
    return f"{incarnation}@{last_key}"


def key_before(token: str, incarnation: str) -> int:
    """The key after which a page begins; 0 for the empty token of the first.

    Raises:
        InvalidQueryError: It is of no listing of this life of the collection.
    """
    if not token:
        return 0
    match = _TOKEN.fullmatch(token)
    if match is None or match[1] != incarnation:
        raise InvalidQueryError(
            "page_token",
            f"{token!r} is of no listing of this collection; begin with an empty one",
        )
    return int(match[2])
