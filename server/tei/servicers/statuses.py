"""Failures in TEI's words and statuses."""

import grpc

from twopass.engines.errors import EngineError
from twopass.server.edge.statuses import Statuses
from twopass.server.tei.errors import ErrorType, failure_of

_CODES = {
    ErrorType.UNHEALTHY: grpc.StatusCode.UNAVAILABLE,
    ErrorType.BACKEND: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorType.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorType.VALIDATION: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorType.TOKENIZER: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorType.EMPTY: grpc.StatusCode.INVALID_ARGUMENT,
}
# Callers who may not call, and answers that nobody waits for.
_AS_OURS = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)


class TeiStatuses(Statuses):
    """How the services of tei.v1 tell failures."""

    def code(self, error: Exception) -> grpc.StatusCode:
        """The status code that TEI has for an error."""
        code = super().code(error)
        return code if _is_ours(error, code) else _CODES[failure_of(code, error, "").type]

    def message(self, error: Exception, call_id: str) -> str:
        """What happened, after the words with which TEI begins."""
        code, message = super().code(error), super().message(error, call_id)
        return message if _is_ours(error, code) else failure_of(code, error, message).text


def _is_ours(error: Exception, code: grpc.StatusCode) -> bool:
    """Whether a failure is told as in every other service: TEI has nothing like it."""
    is_bug = code is grpc.StatusCode.INTERNAL and not isinstance(error, EngineError)
    return is_bug or code in _AS_OURS
