"""The log of calls: a line for each; while many are refused, a line a second with their number."""

import asyncio
import logging
from dataclasses import dataclass

import grpc

_logger = logging.getLogger("twopass.server")
_SUMMARY_SECONDS = 1.0


@dataclass(slots=True)
class _Refused:
    """Calls of one rpc that were refused since the last line about one of them."""

    count: int = 0
    slowest_seconds: float = 0.0


class CallLog:
    """Writes the lines. A server that has too much to do must not do it for its log.

    Answered calls are told at level debug, refused and failed ones at level info, and what is a
    fault of the server at level error. Of the calls of an rpc that are refused because there are
    too many (`RESOURCE_EXHAUSTED`) the first has its line, and those of the second after it share
    one: how many, and the slowest. At level debug each has its own.
    """

    def __init__(self) -> None:
        self._refused: dict[str, _Refused] = {}

    def ended(
        self,
        rpc: str,
        call_id: str,
        code: grpc.StatusCode,
        seconds: float,
        error: Exception | None = None,
    ) -> None:
        """Tells of a call; to be called on the event loop.

        Args:
            rpc: Its full name.
            call_id: The call's.
            code: What it was answered with.
            seconds: How long that took.
            error: Why it was not answered otherwise; None where it was, or where nobody waited.
        """
        internal = code is grpc.StatusCode.INTERNAL
        level = logging.ERROR if internal else logging.INFO if error else logging.DEBUG
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and not self._is_first_refused(rpc, seconds):
            level = logging.DEBUG
        if not _logger.isEnabledFor(level):
            return
        fields = {
            "rpc": rpc,
            "code": code.name,
            "milliseconds": round(seconds * 1000, 2),
            "call": call_id,
        }
        if error is not None and not internal:
            fields["reason"] = str(error)
        _logger.log(level, "call", extra=fields, exc_info=error if internal else None)

    def _is_first_refused(self, rpc: str, seconds: float) -> bool:
        """Whether no other call of the rpc was refused within the last second; counts it if not."""
        refused = self._refused.get(rpc)
        if refused is None:
            self._refused[rpc] = _Refused()
            asyncio.get_running_loop().call_later(_SUMMARY_SECONDS, self._sum_up, rpc)
            return True
        refused.count += 1
        refused.slowest_seconds = max(refused.slowest_seconds, seconds)
        return False

    def _sum_up(self, rpc: str) -> None:
        refused = self._refused.pop(rpc)
        if not refused.count:
            return
        fields = {
            "rpc": rpc,
            "code": grpc.StatusCode.RESOURCE_EXHAUSTED.name,
            "count": refused.count,
            "slowest_milliseconds": round(refused.slowest_seconds * 1000, 2),
        }
        _logger.info("more calls refused", extra=fields)
