"""API keys: stored as sha256 in a TOML file, which is read again when it has changed.

::

    [[keys]]
    name = "web"                # stands in logs and messages
    sha256 = "9f86d081884c…"    # of the key; `twopass keys` makes both
    role = "reader"             # or "writer", or "admin"; admin where unset
    collections = ["docs*"]     # shell patterns; all where unset
    max_calls = 20              # at once; 0 or unset for no limit of its own
    calls_per_second = 50.0     # 0 or unset for no limit of its own
    score_cache = "own"         # or "off", or "shared" where unset: whose computed scores it uses

A key has 256 random bits and can't be guessed, so one round of sha256 is enough.
"""

import hashlib
import hmac
import logging
import secrets
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twopass.server.edge.key_problems import key_problems
from twopass.server.request import Role

_logger = logging.getLogger("twopass.server")
_KEY_BYTES = 32


class KeysError(Exception):
    """The file of keys can't be read; the message names the line or the field, never a key."""


class ScoreSharing(StrEnum):
    """Whose computed scores serve the calls of a key, which can be told by how long they take."""

    SHARED = "shared"
    """Those of all keys that share theirs."""

    OWN = "own"
    """Those of the same key alone."""

    OFF = "off"
    """None: every pair is computed."""


class ApiKey(BaseModel):
    """What a key may do. Its fields are those of the file, as explained above."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    # Keys that were made before there were roles could do everything, and still can.
    role: Role = Role.ADMIN
    collections: tuple[str, ...] = ("*",)
    max_calls: Annotated[int, Field(ge=0)] = 0
    calls_per_second: Annotated[float, Field(ge=0)] = 0.0
    score_cache: ScoreSharing = ScoreSharing.SHARED

    @property
    def score_pool(self) -> str | None:
        """Where scores that were computed for the key are kept; see `Caller.score_pool`."""
        pools = {ScoreSharing.SHARED: "", ScoreSharing.OWN: self.sha256, ScoreSharing.OFF: None}
        return pools[self.score_cache]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    keys: tuple[ApiKey, ...] = ()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; only its hash is stored."""

    secret: str
    sha256: str


def make_key() -> NewKey:
    """Makes a random key."""
    secret = "tp_" + secrets.token_urlsafe(_KEY_BYTES)
    return NewKey(secret, _hash(secret))


def read_keys(file: Path) -> tuple[ApiKey, ...]:
    """Reads a file of keys.

    Raises:
        KeysError: The file can't be read, or a field is wrong.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise KeysError(f"--keys {file}: {error.strerror}; `twopass keys` makes one") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise KeysError(f"keys {file}, line {line}: it is not UTF-8") from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KeysError(f"keys {file}: it is not TOML: {error}") from None
    try:
        keys = _File(**content).keys
    except ValidationError as error:
        raise KeysError(key_problems(error, file, text, content)) from None
    names = [key.name for key in keys]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise KeysError(f"keys {file}: the name {twice!r} is there twice; each key needs its own")
    return keys


class KeyRing:
    """The keys of a file."""

    def __init__(self, file: Path) -> None:
        """Reads the file.

        Raises:
            KeysError: The file can't be read, or a field is wrong.
        """
        self._file = file
        self._stamp = self._stamp_now()
        self._keys = read_keys(file)

    def find(self, secret: str) -> ApiKey | None:
        """The key with this secret; None if there is no such key.

        The time it takes reveals nothing about any key.
        """
        self._refresh()
        digest = _hash(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _refresh(self) -> None:
        """Reads the file again if it has changed; if that fails, the keys stay as they were."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._file)
        except KeysError as error:
            _logger.error("keys not reloaded: %s", error)
        else:
            _logger.info("keys reloaded", extra={"keys": len(self._keys)})

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            status = self._file.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
