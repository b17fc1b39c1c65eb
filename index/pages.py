"""Pages of a listing, and the tokens that lead from one to the next."""

import hashlib
import re
from dataclasses import dataclass

from twopass.index.documents import StoredDocument
from twopass.index.errors import InvalidQueryError
from twopass.index.filters import Filter

# The filter's digest was added later: a token without one belongs to a listing without a filter.
_TOKEN = re.compile(r"([0-9a-f]{32})@([1-9][0-9]{0,18})(?:\.([0-9a-f]{16}))?")
_DIGEST_BYTES = 8
_EVERYTHING = Filter()


@dataclass(frozen=True, slots=True, eq=False)
class DocumentPage:
    """Some documents of a listing.

    Attributes:
        documents: The documents, ordered by key.
        next_page_token: Where the next page begins; empty on the last page. A page that ended early
            for its size in bytes has one too.
    """

    documents: list[StoredDocument]
    next_page_token: str


def page_token(incarnation: str, last_key: int, wanted: Filter) -> str:
    """The token of the page that follows a key, in this life of the collection.

    Args:
        incarnation: The collection's incarnation.
        last_key: Key of the last document looked at.
        wanted: The listing's filter; a token is refused with another filter.
    """
    digest = _digest(wanted)
    return f"{incarnation}@{last_key}" + (f".{digest}" if digest else "")


def key_before(token: str, incarnation: str, wanted: Filter) -> int:
    """The key after which a page begins; 0 for an empty token, that of the first page.

    Raises:
        InvalidQueryError: The token belongs to another filter or another life of the collection.
    """
    if not token:
        return 0
    match = _TOKEN.fullmatch(token)
    if match is None or match[1] != incarnation:
        raise InvalidQueryError(
            "page_token",
            f"{token!r} is of no listing of this collection; begin with an empty one",
        )
    if (match[3] or "") != _digest(wanted):
        raise InvalidQueryError(
            "page_token",
            f"{token!r} is of a listing with another filter; send the filter that it began with, "
            "or begin with an empty token",
        )
    return int(match[2])


def _digest(wanted: Filter) -> str:
    """A hash that tells filters apart, hexadecimal; empty for the filter that passes everything."""
    if wanted == _EVERYTHING:
        return ""
    # The text of a tree of frozen dataclasses holds everything in it, always in the same form.
    return hashlib.blake2b(repr(wanted).encode(), digest_size=_DIGEST_BYTES).hexdigest()
