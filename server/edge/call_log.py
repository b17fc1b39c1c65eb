"""The log of calls: a line for each; while many are refused, a line a second with their number."""

import asyncio
import logging
from dataclasses import dataclass

import grpc

_logger = logging.getLogger("twopass.server")
_SUMMARY_SECONDS = 1.0


@dataclass(slots=True)
class _Refused:
    """Calls that were refused since the last line about one of them."""

    count: int = 0
    slowest_seconds: float = 0.0


class CallLog:
    """Writes the lines. A server that has too much to do must not do it for its log.

    Answered calls are told at level debug, refused and failed ones at level info, and what is a
    fault of the server at level error. Where calls of an rpc are refused because there are too many
    (`RESOURCE_EXHAUSTED`), the first for a limit has its line, and after it those of each second
    share one, until a second is without any: how many, and the slowest. At level debug each has its
    own. What was refused in the last second of a server is in the metrics alone.
    """

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str], _Refused] = {}

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
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and self._is_one_of_many(
            rpc, str(error).partition(":")[0], seconds
        ):
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

    def _is_one_of_many(self, rpc: str, limit: str, seconds: float) -> bool:
        """Whether others were refused shortly before, so that it is counted with them.

        Args:
            rpc: Its full name.
            limit: What there is too much of: how the message begins.
            seconds: How long the refusal took.
        """
        refused = self._refused.get((rpc, limit))
        if refused is None:
            self._refused[rpc, limit] = _Refused()
            asyncio.get_running_loop().call_later(_SUMMARY_SECONDS, self._sum_up, rpc, limit)
            return False
        refused.count += 1
        refused.slowest_seconds = max(refused.slowest_seconds, seconds)
        return True

    def _sum_up(self, rpc: str, limit: str) -> None:
        refused = self._refused.pop((rpc, limit))
        if not refused.count:
            return
        fields = {
            "rpc": rpc,
            "code": grpc.StatusCode.RESOURCE_EXHAUSTED.name,
            "limit": limit,
            "count": refused.count,
            "slowest_milliseconds": round(refused.slowest_seconds * 1000, 2),
        }
        _logger.info("more calls refused", extra=fields)
        self._refused[rpc, limit] = _Refused()
        asyncio.get_running_loop().call_later(_SUMMARY_SECONDS, self._sum_up, rpc, limit)
