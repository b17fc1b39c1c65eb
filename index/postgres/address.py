"""Where a PostgreSQL database is, as the URL of a store says it."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

DEFAULT_SCHEMA = "twopass"
DEFAULT_CONNECTIONS = 16

SCHEMES = ("postgresql", "postgres")

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_MAX_CONNECTIONS = 1_000
_TRUE, _FALSE = ("true", "on", "1", "yes"), ("false", "off", "0", "no")


@dataclass(frozen=True, slots=True)
class Address:
    """A database, and how it is spoken to.

    Attributes:
        dsn: The URL for the driver, with the password if it has one: never for a log.
        place: The URL without its passwords.
        schema: The schema that holds everything, made if need be. Of its name nothing has to be
            quoted.
        max_connections: Most connections of one server.
        is_pooled: Whether a pool such as PgBouncer stands between, which gives every transaction
            another session: then nothing is prepared, and sessions are not set up.
    """

    dsn: str
    place: str
    schema: str = DEFAULT_SCHEMA
    max_connections: int = DEFAULT_CONNECTIONS
    is_pooled: bool = False

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Reads a URL such as `postgresql://user@host:5432/database?schema=twopass&pgbouncer=true`.

        Parameters of its own are `schema`, `connections` and `pgbouncer`; others are the driver's:
        `sslmode`, `passfile`, `host` for a socket's folder and so on.

        Raises:
            ValueError: A parameter has no such value; no message holds the password.
        """
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True)
        own = {name: value for name, value in given if name in _READERS}
        others = [(name, value) for name, value in given if name not in _READERS]
        dsn = urlunsplit(parts._replace(query=urlencode(others)))
        # The driver's `sslpassword` opens the file of a key.
        shown = [(name, value) for name, value in given if "password" not in name.lower()]
        host = parts.netloc.rpartition("@")
        user = host[0].partition(":")[0]
        netloc = f"{user}@{host[2]}" if user else host[2]
        place = urlunsplit(parts._replace(netloc=netloc, query=urlencode(shown)))
        settings = {_NAMES[name]: _READERS[name](value) for name, value in own.items()}
        return cls(dsn, place, **settings)  # type: ignore[arg-type]


def _schema(value: str) -> str:
    if _NAME.fullmatch(value) is None or value.startswith("pg_"):
        raise ValueError(
            f"schema={value!r} given; 1 to 63 of a-z, 0-9 and '_' are needed, no digit first"
        )
    return value


def _connections(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 2 <= int(value) <= _MAX_CONNECTIONS:
        raise ValueError(
            f"connections={value!r} given; a number from 2 to {_MAX_CONNECTIONS:,} is needed"
        )
    return int(value)


def _pgbouncer(value: str) -> bool:
    if value.lower() not in _TRUE + _FALSE:
        raise ValueError(f"pgbouncer={value!r} given; true or false is needed")
    return value.lower() in _TRUE


_READERS = {"schema": _schema, "connections": _connections, "pgbouncer": _pgbouncer}
_NAMES = {"schema": "schema", "connections": "max_connections", "pgbouncer": "is_pooled"}
