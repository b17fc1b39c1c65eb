"""Where a Milvus is, and how it is used: what its URL says."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

_DEFAULT_PORT = 19_530
_SCHEME = "milvus"
_OPTIONS = ("consistency", "tls")


class Consistency(StrEnum):
    """What a search that names no sequence sees of other servers' writes.

    Every search sees the writes acknowledged through its own server.
    """

    STRONG = "strong"
    """All that were acknowledged before it began."""
    BOUNDED = "bounded"
    """All but those of the last seconds, as the Milvus is configured."""
    SESSION = "session"
    """Those that have arrived."""


class InvalidPlaceError(ValueError):
    """A URL tells of no Milvus that could be used; the text repeats no password."""


@dataclass(frozen=True, slots=True)
class MilvusPlace:
    """Where a Milvus is, and how it is used.

    Attributes:
        host: Its host.
        port: Its port.
        database: The database in it; "" for the default one.
        user: Who logs in; "" for nobody.
        password: The password, or with no user a token.
        is_secure: Whether by TLS.
        consistency: What searches see.
    """

    host: str
    port: int = _DEFAULT_PORT
    database: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    is_secure: bool = False
    consistency: Consistency = Consistency.STRONG

    @classmethod
    def parse(cls, url: str, token: str = "") -> "MilvusPlace":
        """Reads `milvus://[user[:password]@]host[:port][/database][?consistency=...&tls=true]`.

        Args:
            url: The URL.
            token: What logs in where the URL has no password: a token, or `user:password`.

        Raises:
            InvalidPlaceError: It is something else.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORT
        except ValueError:
            raise InvalidPlaceError("its host or port can't be read") from None
        if parts.scheme != _SCHEME or not parts.hostname:
            raise InvalidPlaceError("it must be milvus://host[:port][/database]")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        consistency = options.pop("consistency", Consistency.STRONG.value)
        tls = options.pop("tls", "false")
        if options:
            raise InvalidPlaceError(
                f"unknown option {min(options)!r}; there are: {', '.join(_OPTIONS)}"
            )
        if tls not in ("true", "false"):
            raise InvalidPlaceError(f"tls is {tls!r}; it can be true or false")
        if consistency not in list(Consistency):
            raise InvalidPlaceError(
                f"consistency is {consistency!r}; it can be {', '.join(Consistency)}"
            )
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not password and token:
            given, is_pair, rest = token.partition(":")
            user, password = (given, rest) if is_pair else (user, token)
        return cls(
            host=parts.hostname,
            port=port,
            database=unquote(parts.path.strip("/")),
            user=user,
            password=password,
            is_secure=tls == "true",
            consistency=Consistency(consistency),
        )

    @property
    def uri(self) -> str:
        """As pymilvus takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_secure else 'http'}://{host}:{self.port}"

    @property
    def credentials(self) -> str:
        """As pymilvus takes them."""
        return f"{self.user}:{self.password}" if self.user else self.password

    def __str__(self) -> str:
        """The URL without its password."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = f"/{self.database}" if self.database else ""
        return f"{_SCHEME}://{user}{host}:{self.port}{path}"
