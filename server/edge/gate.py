"""Who may come in: API keys, quotas, and how many calls are under way."""

import sys
import time
from collections import Counter
from contextlib import AbstractContextManager

from twopass.server.edge.keys import ApiKey, KeyRing
from twopass.server.errors import OverloadedError, UnauthenticatedError
from twopass.server.metadata import Metadata
from twopass.server.request import ANYONE, BytesInFlight, Caller
from twopass.server.telemetry.metrics import Metrics

# Told to callers that are one too many: no better guess is there, since calls may be streams.
_RETRY_SECONDS = 0.1


class Gate:
    """Admits calls, one by one.

    Attributes:
        num_calls: How many are under way.
        bytes_in_flight: What is kept for them.
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
            keys: Whom to let in; None for everyone.
            max_calls: Most calls under way.
            max_bytes: Most bytes kept for requests under way.
        """
        self._metrics = metrics
        self._keys = keys
        self._max_calls = max_calls
        self.num_calls = 0
        self.bytes_in_flight = BytesInFlight(max_bytes, lambda: metrics.rejected("bytes"))
        self._num_calls_of: Counter[str] = Counter()
        self._allowances: dict[str, _Allowance] = {}

    def admitted(self, metadata: Metadata) -> AbstractContextManager[Caller]:
        """Admits a call for as long as the block lasts; raises as `admit`."""
        return _Admitted(self, metadata)

    def admit(self, metadata: Metadata) -> Caller:
        """Counts a call as under way, until `release`.

        Raises:
            UnauthenticatedError: It has no key, or a wrong one.
            OverloadedError: Too many calls are under way, or the key's quota is used up.
        """
        if self.num_calls >= self._max_calls:
            raise self._refused(
                "calls", f"calls: {self._max_calls:,} are under way, which is the most"
            )
        key = self._key_of(metadata)
        if key is not None:
            self._ensure_quota(key)
        caller = _caller_with(key)
        self.num_calls += 1
        self._num_calls_of[caller.name] += 1
        return caller

    def release(self, caller: Caller) -> None:
        """Counts a call of this caller as under way no more."""
        self.num_calls -= 1
        self._num_calls_of[caller.name] -= 1

    def caller(self, metadata: Metadata) -> Caller:
        """Whose call it is, by its metadata.

        Raises:
            UnauthenticatedError: It has no key, or a wrong one.
        """
        return _caller_with(self._key_of(metadata))

    def _key_of(self, metadata: Metadata) -> ApiKey | None:
        """The key that a call carries; None where the server has no keys."""
        if self._keys is None:
            return None
        value = next((v for name, v in metadata if name == "authorization"), "")
        scheme, _, secret = value.partition(" ") if isinstance(value, str) else ("", "", "")
        if scheme.lower() != "bearer" or not secret:
            self._metrics.rejected("unauthenticated")
            raise UnauthenticatedError("authorization: no API key; send it as 'Bearer KEY'")
        key = self._keys.find(secret.strip())
        if key is None:
            self._metrics.rejected("unauthenticated")
            raise UnauthenticatedError("authorization: the server does not know this API key")
        return key

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


class _Admitted:
    """A call that is under way. A class: every call pays for it, and a generator costs more."""

    __slots__ = ("_caller", "_gate", "_metadata")

    def __init__(self, gate: Gate, metadata: Metadata) -> None:
        self._gate = gate
        self._metadata = metadata

    def __enter__(self) -> Caller:
        self._caller = self._gate.admit(self._metadata)
        return self._caller

    def __exit__(self, *raised: object) -> None:
        self._gate.release(self._caller)


def _caller_with(key: ApiKey | None) -> Caller:
    return ANYONE if key is None else Caller(key.name, key.collections)


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
