"""Who may call what: API keys, roles, quotas, and how many calls are under way."""

import sys
import time
from collections import Counter

from twopass.index.errors import Fact
from twopass.server.edge.keys import ApiKey, KeyRing
from twopass.server.edge.permissions import Permission, may, roles_with
from twopass.server.errors import (
    OverloadedError,
    PermissionDeniedError,
    QuotaError,
    UnauthenticatedError,
)
from twopass.server.metadata import Metadata
from twopass.server.request import ANYONE, BytesInFlight, Caller
from twopass.server.telemetry.metrics import Metrics

# When refused callers may try again. There is no better guess, since calls may be streams.
_RETRY_SECONDS = 0.1


class Gate:
    """Admits calls, one by one, by their metadata alone.

    Attributes:
        num_calls: Number of calls under way.
        bytes_in_flight: Bytes kept for the calls under way.
        drains: Whether the server is about to end, and cancels calls that take too long.
    """

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
            keys: The keys of callers; None to admit everyone, as an admin.
            max_calls: Most calls under way.
            max_bytes: Most bytes kept for requests under way.
        """
        self._metrics = metrics
        self._keys = keys
        self._max_calls = max_calls
        self.num_calls = 0
        self.drains = False
        self.bytes_in_flight = BytesInFlight(max_bytes, lambda: metrics.rejected("bytes"))
        self._num_calls_of: Counter[str] = Counter()
        self._allowances: dict[str, _Allowance] = {}

    def admit(self, metadata: Metadata, permission: Permission) -> Caller:
        """Counts a call as under way, until `release`.

        Args:
            metadata: The call's metadata.
            permission: The permission that its rpc needs.

        Raises:
            UnauthenticatedError: The call has no key, or an unknown one.
            PermissionDeniedError: The key's role does not include the permission.
            OverloadedError: Too many calls are under way, or the key's quota is used up.
        """
        if self.num_calls >= self._max_calls:
            raise self._refused(
                "calls",
                f"calls: {self._max_calls:,} are under way, which is the most",
                limit_name="max_calls",
                limit=self._max_calls,
            )
        key = self._key_with(metadata, permission)
        if key is not None:
            self._ensure_quota(key)
        caller = _caller_with(key)
        self.num_calls += 1
        self._num_calls_of[caller.name] += 1
        return caller

    def release(self, caller: Caller) -> None:
        """Stops counting a call of this caller as under way."""
        self.num_calls -= 1
        self._num_calls_of[caller.name] -= 1

    def check(self, metadata: Metadata, permission: Permission) -> Caller:
        """Checks the key of a call that counts against no quota.

        Raises:
            UnauthenticatedError: The call has no key, or an unknown one.
            PermissionDeniedError: The key's role does not include the permission.
        """
        return _caller_with(self._key_with(metadata, permission))

    def _key_with(self, metadata: Metadata, permission: Permission) -> ApiKey | None:
        """The key that a call carries; None where the call needs no key."""
        if self._keys is None or permission is Permission.OPEN:
            return None
        key = self._key_of(metadata, self._keys)
        if not may(key.role, permission):
            allowed = " or ".join(roles_with(permission))
            raise PermissionDeniedError(
                f"role: the key {key.name!r} has the role {key.role}, this call needs {allowed}; "
                "ask the server's operator for such a key",
                role=key.role.value,
                key=key.name,
            )
        return key

    def _key_of(self, metadata: Metadata, keys: KeyRing) -> ApiKey:
        value = next((v for name, v in metadata if name == "authorization"), "")
        scheme, _, secret = value.partition(" ") if isinstance(value, str) else ("", "", "")
        if scheme.lower() != "bearer" or not secret:
            self._metrics.rejected("unauthenticated")
            raise UnauthenticatedError(
                "authorization: no API key; give the client one as api_key or by TWOPASS_API_KEY, "
                "or send 'Bearer KEY'"
            )
        key = keys.find(secret.strip())
        if key is None:
            self._metrics.rejected("unauthenticated")
            raise UnauthenticatedError("authorization: the server does not know this API key")
        return key

    def _ensure_quota(self, key: ApiKey) -> None:
        if key.max_calls and self._num_calls_of[key.name] >= key.max_calls:
            raise self._refused(
                "key_calls",
                f"calls: {key.max_calls:,} of the key {key.name!r} are under way, its most",
                limit_name="keys.max_calls",
                limit=key.max_calls,
                key=key.name,
            )
        if not key.calls_per_second:
            return
        allowance = self._allowances.get(key.name)
        if allowance is None or allowance.per_second != key.calls_per_second:
            allowance = self._allowances[key.name] = _Allowance(key.calls_per_second)
        if wait := allowance.take():
            self._metrics.rejected("key_rate")
            raise QuotaError(
                f"calls: the key {key.name!r} may make {key.calls_per_second:g} a second; try "
                f"again in {wait:.3g} s",
                retry_after=wait,
                limit_name="keys.calls_per_second",
                limit=key.calls_per_second,
                key=key.name,
            )

    def _refused(self, reason: str, message: str, **facts: Fact) -> OverloadedError:
        self._metrics.rejected(reason)
        return OverloadedError(f"{message}; try again later", retry_after=_RETRY_SECONDS, **facts)


def _caller_with(key: ApiKey | None) -> Caller:
    if key is None:
        return ANYONE
    return Caller(key.name, key.collections, key.role, key.score_pool)


class _Allowance:
    """A token bucket that holds the calls of one second, at least one."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._most = max(1.0, per_second)
        self._left = self._most
        self._updated = time.perf_counter()

    def take(self) -> float:
        """Takes one call and returns 0, or returns the seconds until the bucket has a call."""
        now = time.perf_counter()
        self._left = min(self._most, self._left + (now - self._updated) * self.per_second)
        self._updated = now
        if self._left < 1:
            return (1 - self._left) / self.per_second
        self._left -= 1
        return 0.0
