"""How failures of our own rpcs look: as Connect has them, over REST too."""

from base64 import b64encode
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from twopass.server.http.bodies import encode
from twopass.server.http.endpoint import Answer, Failure

# Its messages can be found by their names once it is imported.
assert error_details_pb2.DESCRIPTOR.package == "google.rpc"


class RpcDialect:
    """Failures with a code, a message for people, and details for programs."""

    def failed(self, failure: Failure) -> Answer:
        """The answer that tells a failure."""
        return Answer(body=encode(failure_body(failure)), status=failure.status)


RPC_DIALECT = RpcDialect()
"""One is enough: it holds nothing."""


def failure_body(failure: Failure) -> dict[str, Any]:
    """A failure as Connect has it: `code`, `message`, `details`."""
    body: dict[str, Any] = {"code": code_name(failure.code), "message": failure.message}
    if failure.details:
        body["details"] = [_detail(type_url, value) for type_url, value in failure.details]
    return body


def code_name(code: grpc.StatusCode) -> str:
    """The name of a status code in Connect's spelling, as in "invalid_argument"."""
    return "canceled" if code is grpc.StatusCode.CANCELLED else code.name.lower()


def _detail(type_url: str, value: bytes) -> dict[str, Any]:
    name = type_url.rpartition("/")[2]
    detail: dict[str, Any] = {"type": name, "value": b64encode(value).decode().rstrip("=")}
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(name)
        message = message_factory.GetMessageClass(descriptor).FromString(value)
        detail["debug"] = MessageToDict(message)
    except (KeyError, DecodeError, TypeError):
        pass  # `debug` is for readers, and may be left out
    return detail
