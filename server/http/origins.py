"""Which web pages may ask the server: its own, and those of `--http-cors-origins`.

A browser sends what any page wants sent, to servers on its user's machine too, and asks nobody
first where a body looks like a form's. But it names the page's origin with every request that may
change something, and the name that the page was reached by with every request. Programs that are
no browsers send no `Origin`, and nothing changes for them.
"""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from twopass.server.addresses import UNIX, is_local
from twopass.server.config import ServerConfig
from twopass.server.errors import PermissionDeniedError

ANY = "*"
"""The value of `--http-cors-origins` that lets every page ask."""

# Methods that change nothing. What they answer, a page of another origin can't read.
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_HOST = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]+)(?::\d*)?")
# A name of DNS has at most 253 characters.
_MAX_HOST_CHARS = 300
_NUM_KNOWN_HOSTS = 256
_MAX_TOLD_CHARS = 64


def allowed_origins(config: ServerConfig) -> tuple[str, ...]:
    """The values of `--http-cors-origins`, written as browsers write origins."""
    return tuple(origin.rstrip("/").lower() for origin in config.http_cors_origins)


class Origins:
    """Tells pages that may ask from those that may not."""

    def __init__(self, config: ServerConfig) -> None:
        """Takes what the settings say.

        Args:
            config: The server's settings; `http_address` is set.
        """
        self._scheme = "https" if config.tls_certificate else "http"
        self._allowed = frozenset(allowed_origins(config))
        self._takes_any = ANY in self._allowed
        self._allowed_hosts = {urlsplit(origin).hostname for origin in self._allowed}
        # A page whose name was made to lead here (DNS rebinding) is of this server's origin to its
        # browser, and only its name gives it away. It has no key, and by TLS no certificate that
        # holds for its name. On an address that other machines reach, the server's names are
        # not known.
        self._checks_hosts = (
            not (config.keys or config.tls_certificate or self._takes_any)
            and not config.http_address.startswith(UNIX)
            and is_local(config.http_address)
        )
        self._is_known = lru_cache(_NUM_KNOWN_HOSTS)(self._is_name_of_ours)

    def ensure_may_ask(self, method: str, headers: Mapping[str, str]) -> None:
        """Refuses a request that a page has no right to.

        Args:
            method: The method of HTTP.
            headers: By lower-case name.

        Raises:
            PermissionDeniedError: Names the header, its value and the way out.
        """
        host = headers.get("host", "")
        # Every browser sends a host; programs that speak HTTP/1.0 may not.
        if self._checks_hosts and host:
            self._ensure_ours(host)
        origin = headers.get("origin")
        if origin is not None and method not in _READING and not self._takes_any:
            self._ensure_allowed(origin.lower(), host.lower(), headers)

    def _ensure_ours(self, host: str) -> None:
        if len(host) <= _MAX_HOST_CHARS and self._is_known(host):
            return
        told = host[:_MAX_TOLD_CHARS]
        raise PermissionDeniedError(
            f"host: {told!r} given; a server without keys that listens on this machine alone "
            "answers to localhost, 127.0.0.1 and [::1], since any web page can have a name of its "
            f"own lead here; use one of these, or start it with --http-cors-origins http://{told}, "
            "or with --keys",
            field="host",
            value=told,
        )

    def _is_name_of_ours(self, host: str) -> bool:
        """Whether a host, with or without a port, is the loopback interface or was allowed."""
        if (parts := _HOST.fullmatch(host)) is None:
            return False
        name = parts[1].strip("[]").lower().removesuffix(".")
        if name == "localhost" or name.endswith(".localhost") or name in self._allowed_hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _ensure_allowed(self, origin: str, host: str, headers: Mapping[str, str]) -> None:
        own = f"{self._scheme}://{host.removesuffix(_DEFAULT_PORTS[self._scheme])}"
        # No page can set Sec-Fetch-Site. It holds behind a proxy too, which may speak TLS in the
        # server's place, or ask by another host.
        is_own = origin == own or headers.get("sec-fetch-site") == "same-origin"
        if is_own or origin in self._allowed:
            return
        told = origin[:_MAX_TOLD_CHARS]
        if origin == "null":
            raise PermissionDeniedError(
                "origin: null given, as browsers do for pages from files and in sandboxed frames, "
                "which may not ask this server; serve the page over HTTP, and start the server "
                "with its origin in --http-cors-origins",
                field="origin",
                value=told,
            )
        raise PermissionDeniedError(
            f"origin: {told!r} given, whose pages may not ask this server; start it with "
            f"--http-cors-origins {told} to let them",
            field="origin",
            value=told,
        )
