"""The log of calls: a line for each; those that fail alike share a line a second."""

import asyncio
import logging
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from twopass.server.edge.statuses import is_fault

_logger = logging.getLogger("twopass.server")
_SUMMARY_SECONDS = 1.0

# Statuses that thousands of calls a second may end with, and the message that sums them up.
_SUMMED_UP = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: "more calls refused",
    grpc.StatusCode.UNAUTHENTICATED: "more calls refused",
    grpc.StatusCode.PERMISSION_DENIED: "more calls refused",
    grpc.StatusCode.UNAVAILABLE: "more calls refused",
    grpc.StatusCode.DEADLINE_EXCEEDED: "more calls late",
    grpc.StatusCode.CANCELLED: "more calls cancelled",
}
# Most characters of a reason, which may repeat what was sent.
_MAX_REASON_CHARS = 400
# Rpc, status, and what the reason begins with: a limit or a field.
_Kind: TypeAlias = tuple[str, grpc.StatusCode, str]


@dataclass(slots=True)
class _More:
    """Calls that ended alike since the last line about one of them."""

    count: int = 0
    slowest_seconds: float = 0.0


class CallLog:
    """Writes the lines, few enough that an overloaded server does not spend its time on its log.

    Answered calls are logged at level debug, calls that were refused, late, cancelled or failed at
    level info, and faults of the server at level error. Of the calls of an rpc that are refused,
    late or cancelled for one reason, the first has its own line. Those of each following second
    share a line with their number and the slowest time, until a second is without any. At level
    debug each call has its own line. Calls of a server's last second may be in the metrics alone.
    """

    def __init__(self) -> None:
        self._more: dict[_Kind, _More] = {}

    def ended(
        self,
        rpc: str,
        call_id: str,
        code: grpc.StatusCode,
        seconds: float,
        error: Exception | None = None,
        reason: str = "",
    ) -> None:
        """Logs the end of a call; to be called on the event loop.

        Args:
            rpc: Full name of the rpc.
            call_id: Id of the call.
            code: The status it ended with.
            seconds: From when it came until its end.
            error: The error it was answered with; None where it succeeded or nobody waited.
            reason: Why nobody waited for an answer; empty where somebody did.
        """
        failed = error is not None and is_fault(error)
        if error is not None and not failed:
            reason = str(error)[:_MAX_REASON_CHARS]
        level = logging.ERROR if failed else logging.INFO if reason else logging.DEBUG
        if code in _SUMMED_UP and self._is_one_of_many(rpc, code, reason, seconds):
            level = logging.DEBUG
        if not _logger.isEnabledFor(level):
            return
        fields = {
            "rpc": rpc,
            "code": code.name,
            "milliseconds": round(seconds * 1000, 2),
            "call": call_id,
        }
        if reason:
            fields["reason"] = reason
        if path := getattr(error, "path", ""):
            fields["path"] = path
        facts = getattr(error, "facts", {})
        fields.update((place, facts[place]) for place in ("chunk", "piece") if place in facts)
        _logger.log(level, "call", extra=fields, exc_info=error if failed else None)

    def _is_one_of_many(self, rpc: str, code: grpc.StatusCode, reason: str, seconds: float) -> bool:
        """Whether others ended for the same reason shortly before; counts the call with them."""
        limit, colon, _ = reason.partition(":")
        kind = rpc, code, limit if colon else ""
        more = self._more.get(kind)
        if more is None:
            self._begin(kind)
            return False
        more.count += 1
        more.slowest_seconds = max(more.slowest_seconds, seconds)
        return True

    def _begin(self, kind: _Kind) -> None:
        self._more[kind] = _More()
        asyncio.get_running_loop().call_later(_SUMMARY_SECONDS, self._sum_up, kind)

    def _sum_up(self, kind: _Kind) -> None:
        more = self._more.pop(kind)
        if not more.count:
            return
        rpc, code, limit = kind
        fields = {
            "rpc": rpc,
            "code": code.name,
            "limit": limit,
            "count": more.count,
            "slowest_milliseconds": round(more.slowest_seconds * 1000, 2),
        }
        _logger.info(_SUMMED_UP[code], extra=fields)
        self._begin(kind)
