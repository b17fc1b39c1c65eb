"""What tests of tei.v1 ask, and how a call ends that is not answered."""

import grpc
import pytest
from google.protobuf.message import Message

from ..corpus import FACTS

QUERY = "How do I parse a date?"
TEXTS = list(FACTS.values())
TIMES = ("total", "tokenization", "queue", "inference")


def failure(call, *arguments, **options) -> tuple[grpc.StatusCode, str]:
    """The status that a call ends with, and its message."""

    def run() -> None:
        answer = call(*arguments, **options)
        if not isinstance(answer, Message | bytes):
            list(answer)

    with pytest.raises(grpc.RpcError) as raised:
        run()
    return raised.value.code(), raised.value.details()
