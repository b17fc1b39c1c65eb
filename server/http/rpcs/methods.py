"""The rpcs of the contract, as their calls over HTTP need them."""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

from twopass.server.edge.messages import ensure_fits
from twopass.server.http.parts import HttpParts
from twopass.server.http.protojson.reading import MessageReader
from twopass.server.http.protojson.writing import MessageWriter
from twopass.server.http.statuses import HttpError
from twopass.server.request import Request
from twopass.v1 import (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)

CONTRACT = (
    search_pb2,
    rerank_pb2,
    embed_pb2,
    collection_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    server_pb2,
)
"""The modules that have a service, in the order in which a reader meets them."""

METHODS: Mapping[str, MethodDescriptor] = {
    method.full_name: method
    for module in CONTRACT
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""All rpcs, by their full names."""

JSON = "application/json"


def is_unary(method: MethodDescriptor) -> bool:
    """Whether an rpc has one request and one response."""
    return not method.client_streaming and not method.server_streaming


def has_no_side_effects(method: MethodDescriptor) -> bool:
    """Whether an rpc may be called by a GET."""
    level = method.GetOptions().idempotency_level
    return bool(level == MethodOptions.NO_SIDE_EFFECTS)


def ensure_json(headers: Mapping[str, str]) -> None:
    """Refuses a body that is not said to be JSON.

    Browsers send bodies of other types, and such without a type, to servers of other origins
    without asking these first.

    Raises:
        HttpError: The content type is another one, or missing.
    """
    given = headers.get("content-type", "")
    if media_type(given) != JSON:
        raise HttpError(
            415,
            f"content-type: {given[:64] or 'none'} given, {JSON} is needed; with curl, send the "
            "body by --json",
        )


def media_type(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class JsonMethod:
    """An rpc whose messages are JSON.

    Attributes:
        name: Its full name.
        reader: Reads its requests.
        writer: Writes its responses.
        parts: Where it runs.
    """

    name: str
    reader: MessageReader
    writer: MessageWriter
    parts: HttpParts

    async def read(self, body: bytes, request: Request) -> Message:
        """Reads a request.

        Raises:
            MalformedBodyError: It is no JSON, or no message of the rpc's type.
        """
        translating = self.parts.translating
        return await translating.run(len(body), self.reader.read, body, request=request)

    async def run(self, message: Message, request: Request) -> bytes:
        """Runs the rpc and writes its response.

        Raises:
            PermissionDeniedError: The caller may not use a collection that the message names.
            ResponseTooLargeError: The response is larger than a message may be.
        """
        response = await self.parts.edge.run(self.name, message, request)
        content = await self.parts.translating.run(
            response.ByteSize(), self.writer.write, response, request=request
        )
        ensure_fits(content, self.parts.edge.shared.max_message_bytes)
        return content


def json_method(method: MethodDescriptor, parts: HttpParts, *, rest: bool) -> JsonMethod:
    """An rpc with JSON as REST has it, or as Connect has it.

    People write bodies for REST, where a field's misspelled name is a fault. Clients of Connect
    may be newer than the server.
    """
    return JsonMethod(
        method.full_name,
        MessageReader(method.input_type, ignores_unknown=not rest),
        MessageWriter(method.output_type, whole=rest),
        parts,
    )
