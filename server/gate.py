"""Who may come in: API keys, quotas, and how many calls and bytes are under way."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from twopass.server.errors import (
    OverloadedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from twopass.server.keys import ApiKey, KeyRing
from twopass.server.metrics import Metrics

# gRPC hands metadata over as pairs; values of keys that end in -bin are bytes.
Metadata = Sequence[tuple[str, str | bytes]]
# Told to callers that are one too many: no better guess is there, since calls may be streams.
_RETRY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose call it is.

    Attributes:
        key: What the call's key may do; None where the server has no keys: then all is allowed.
    """

    key: ApiKey | None = None

    @property
    def name(self) -> str:
        """The key's name; "" without keys."""
        return self.key.name if self.key else ""

    def may_use(self, collection: str) -> bool:
        """Whether the caller may use a collection."""
        return self.key is None or self.key.may_use(collection)

    def ensure_may_use(self, collection: str) -> None:
        """Refuses a collection that is none of the caller's, whether there is one or not.

        Raises:
            PermissionDeniedError: Names it.
        """
        if not self.may_use(collection):
            raise PermissionDeniedError(
                f"collection: the key {self.name!r} may not use {collection[:128]!r}"
            )


ANYONE = Caller()


class Gate:
    """Lets calls in, one by one."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        keys: KeyRing | None = None,
        max_calls: int = sys.maxsize,
        max_bytes: int = sys.maxsize,
    ) -> None:
        """Opens the gate.

        Args:
            metrics: Where refusals are counted.
            keys: Whom to let in; None for everyone.
            max_calls: Most calls under way.
            max_bytes: Most bytes of requests under way.
        """
        self._metrics = metrics
        self._keys = keys
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self.num_calls = 0
        self.num_bytes = 0
        self._num_calls_of: Counter[str] = Counter()
        self._allowances: dict[str, _Allowance] = {}

    def passed(self, metadata: Metadata) -> AbstractContextManager[Caller]:
        """Lets a call in for as long as the block lasts.

        Raises:
            UnauthenticatedError: At its beginning: it has no key, or a wrong one.
            OverloadedError: Likewise: too many calls are under way, or the key's quota is used up.
        """
        return _Passed(self, metadata)

    def held(self, num_bytes: int) -> AbstractContextManager[None]:
        """Counts bytes of a request as under way for as long as the block lasts.

        Raises:
            OverloadedError: At its beginning: they are too many with those that are.
        """
        return _Held(self, num_bytes)

    def let_in(self, metadata: Metadata) -> Caller:
        """Counts a call as under way, until `let_out`; raises as `passed`."""
        if self.num_calls >= self._max_calls:
            raise self._refused(
                "calls", f"calls: {self._max_calls:,} are under way, which is the most"
            )
        caller = self.caller(metadata)
        if caller.key is not None:
            self._ensure_quota(caller.key)
        self.num_calls += 1
        self._num_calls_of[caller.name] += 1
        return caller

    def let_out(self, caller: Caller) -> None:
        """Counts it no more."""
        self.num_calls -= 1
        self._num_calls_of[caller.name] -= 1

    def hold(self, num_bytes: int) -> None:
        """Counts bytes as under way, until `let_go`; raises as `held`."""
        if self.num_bytes + num_bytes > self._max_bytes:
            raise self._refused(
                "bytes",
                f"bytes: {self.num_bytes:,} of requests are under way and {num_bytes:,} more came, "
                f"at most {self._max_bytes:,} may be",
            )
        self.num_bytes += num_bytes

    def let_go(self, num_bytes: int) -> None:
        """Counts them no more."""
        self.num_bytes -= num_bytes

    def caller(self, metadata: Metadata) -> Caller:
        """Whose call it is, by its metadata.

        Raises:
            UnauthenticatedError: It has no key, or a wrong one.
        """
        if self._keys is None:
            return ANYONE
        value = next((v for name, v in metadata if name == "authorization"), "")
        scheme, _, secret = value.partition(" ") if isinstance(value, str) else ("", "", "")
        if scheme.lower() != "bearer" or not secret:
            self._metrics.rejected("unauthenticated")
            raise UnauthenticatedError("authorization: no API key; send it as 'Bearer KEY'")
        key = self._keys.find(secret.strip())
        if key is None:
            self._metrics.rejected("unauthenticated")
            raise UnauthenticatedError("authorization: the server does not know this API key")
        return Caller(key)

    def _ensure_quota(self, key: ApiKey) -> None:
        if key.max_calls and self._num_calls_of[key.name] >= key.max_calls:
            raise self._refused(
                "key_calls",
                f"calls: {key.max_calls:,} of the key {key.name!r} are under way, its most",
            )
        if not key.calls_per_second:
            return
        allowance = self._allowances.get(key.name)
        if allowance is None or allowance.per_second != key.calls_per_second:
            allowance = self._allowances[key.name] = _Allowance(key.calls_per_second)
        if wait := allowance.take():
            raise self._refused(
                "key_rate",
                f"calls: the key {key.name!r} may make {key.calls_per_second:g} a second",
                retry_after=wait,
            )

    def _refused(
        self, reason: str, message: str, *, retry_after: float = _RETRY_SECONDS
    ) -> OverloadedError:
        self._metrics.rejected(reason)
        return OverloadedError(f"{message}; try again later", retry_after=retry_after)


class _Passed:
    """A call that is in; a class, since every call pays for it and a generator costs more."""

    __slots__ = ("_caller", "_gate", "_metadata")

    def __init__(self, gate: Gate, metadata: Metadata) -> None:
        self._gate = gate
        self._metadata = metadata

    def __enter__(self) -> Caller:
        self._caller = self._gate.let_in(self._metadata)
        return self._caller

    def __exit__(self, *raised: object) -> None:
        self._gate.let_out(self._caller)


class _Held:
    """Bytes that are under way; a class for the same reason."""

    __slots__ = ("_gate", "_num_bytes")

    def __init__(self, gate: Gate, num_bytes: int) -> None:
        self._gate = gate
        self._num_bytes = num_bytes

    def __enter__(self) -> None:
        self._gate.hold(self._num_bytes)

    def __exit__(self, *raised: object) -> None:
        self._gate.let_go(self._num_bytes)


class _Allowance:
    """A token bucket that holds what a second allows, at least one."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._most = max(1.0, per_second)
        self._left = self._most
        self._updated = time.perf_counter()

    def take(self) -> float:
        """Takes one, and returns 0; or takes none, and returns the seconds until there is one."""
        now = time.perf_counter()
        self._left = min(self._most, self._left + (now - self._updated) * self.per_second)
        self._updated = now
        if self._left < 1:
            return (1 - self._left) / self.per_second
        self._left -= 1
        return 0.0
