"""What the messages of all services have in common."""

from google.protobuf.message import Message

from twopass.server.edge.calls import HeadedAnswer
from twopass.server.servicers.enums import EnumMapping
from twopass.server.tei.types import Cost, TruncationDirection
from twopass.tei.v1 import tei_pb2

DIRECTIONS = EnumMapping(
    tei_pb2.TruncationDirection,
    {tei_pb2.TRUNCATION_DIRECTION_LEFT: TruncationDirection.LEFT},
    default=TruncationDirection.RIGHT,
)

# Of times that a clock of another core makes negative, and of counts that no message can hold.
_MOST = 2**32 - 1


def read_direction(message: Message) -> TruncationDirection:
    """The side at which a text is cut.

    Raises:
        InvalidRequestError: There is no such side.
    """
    value: int = message.truncation_direction  # type: ignore[attr-defined]
    return DIRECTIONS.read("truncation_direction", value)


def metadata_of(cost: Cost) -> tei_pb2.Metadata:
    """What an answer took."""
    return tei_pb2.Metadata(
        compute_chars=min(cost.num_chars, _MOST),
        compute_tokens=min(cost.num_tokens, _MOST),
        total_time_ns=_nanoseconds(cost.total),
        tokenization_time_ns=_nanoseconds(cost.tokenize),
        queue_time_ns=_nanoseconds(cost.queue),
        inference_time_ns=_nanoseconds(cost.inference),
    )


def with_headers(message: Message, cost: Cost) -> HeadedAnswer:
    """An answer after what it took, in whole milliseconds, and what was cut."""
    return HeadedAnswer(message, cost.headers)


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e9))
