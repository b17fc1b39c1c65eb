"""The URL of a store on other machines, as a setting: checked, and told without its password."""

import re
from urllib.parse import urlsplit

SCHEMES = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "milvus": "milvus",
}
"""The kind of store that a URL's scheme means."""

# Up to the last @, since passwords that were not percent-encoded hold others.
_USER_PASSWORD = re.compile(r"(//[^:@/?#]*):.*@")
_PARAMETERS = re.compile(r"(?i)([?&][a-z_]*(?:password|passphrase|token|secret|key)[a-z_]*=)[^&#]*")
_HIDDEN = "***"


def checked_store(url: str) -> str:
    """Checks a URL, as far as that needs no store; "" means none.

    Raises:
        ValueError: It is no URL of a store.
    """
    if not url:
        return url
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname or parts.scheme in ("postgresql", "postgres"))
        _ = parts.port
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in SCHEMES or "://" not in url:
        raise ValueError("postgresql://user@host/database or milvus://host:19530 is needed")
    return url


def kind_of(url: str) -> str:
    """The kind of store that a checked URL names."""
    return SCHEMES[url.partition("://")[0]]


def has_password(url: str) -> bool:
    """Whether a URL holds what must not be told."""
    return without_password(url) != url


def without_password(url: str) -> str:
    """A URL, well-formed or not, as it may be told."""
    return _PARAMETERS.sub(rf"\1{_HIDDEN}", _USER_PASSWORD.sub(rf"\1:{_HIDDEN}@", url))
