"""Pages of a listing by id, and the tokens that lead from one to the next."""

import base64
import binascii
import hashlib
import re

from twopass.index.errors import InvalidQueryError
from twopass.index.filters import Filter

_TOKEN = re.compile(r"([0-9a-f]{32})@([A-Za-z0-9_-]{1,700}={0,2})(?:\.([0-9a-f]{16}))?")
_DIGEST_BYTES = 8
_EVERYTHING = Filter()


def page_token(incarnation: str, last_id: str, wanted: Filter) -> str:
    """The token of the page that follows an id, in this life of the collection."""
    digest = _digest(wanted)
    text = base64.urlsafe_b64encode(last_id.encode()).decode()
    return f"{incarnation}@{text}" + (f".{digest}" if digest else "")


def id_before(token: str, incarnation: str, wanted: Filter) -> str:
    """The id after which a page begins; "" for an empty token, that of the first page.

    Raises:
        InvalidQueryError: The token belongs to another filter or another life of the collection.
    """
    if not token:
        return ""
    match = _TOKEN.fullmatch(token)
    last_id = None if match is None or match[1] != incarnation else _decoded(match[2])
    if match is None or last_id is None:
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
    return last_id


def _decoded(text: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(text).decode() or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _digest(wanted: Filter) -> str:
    """A hash that tells filters apart, hexadecimal; empty for the filter that passes everything."""
    if wanted == _EVERYTHING:
        return ""
    # The text of a tree of frozen dataclasses holds everything in it, always in the same form.
    return hashlib.blake2b(repr(wanted).encode(), digest_size=_DIGEST_BYTES).hexdigest()
