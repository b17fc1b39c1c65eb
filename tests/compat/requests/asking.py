"""Requests over HTTP with exactly the headers that are given, and their answers."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


class RefusedError(Exception):
    """An answer that is no success.

    Attributes:
        status: Its status.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body.decode(errors='replace')[:500]}")
        self.status = status


def post(url: str, body: Any, headers: dict[str, str]) -> Any:
    """Posts a body as JSON; returns the answer's."""
    return _asked("POST", url, json.dumps(body, ensure_ascii=False).encode(), headers)


def get(url: str, headers: dict[str, str]) -> Any:
    """Returns the answer's JSON; None where it has no body."""
    return _asked("GET", url, None, headers)


def _asked(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Any:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request(method, parts.path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status >= 300:
        raise RefusedError(answer.status, content)
    return json.loads(content) if content else None
