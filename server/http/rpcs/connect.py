"""Connect's unary protocol: each rpc under its own name, in JSON or in protobuf's bytes.

https://connectrpc.com/docs/protocol, version 1. An rpc without side effects may be called by a GET,
so that caches and links work. Rpcs that stream answer "unimplemented", in the form in which a
client waits for it; gRPC serves them.
"""

import json
from base64 import b64decode
from binascii import Error as Base64Error
from urllib.parse import parse_qs

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from twopass.server.edge.messages import (
    Decoder,
    encode_large,
    ensure_fits,
    is_large,
    is_large_answer,
)
from twopass.server.errors import InvalidRequestError, NotServedError
from twopass.server.http.endpoint import Answer, Endpoint, Failure, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.http.rpcs.failures import RPC_DIALECT, failure_body
from twopass.server.http.rpcs.methods import (
    JSON,
    METHODS,
    has_no_side_effects,
    is_unary,
    json_method,
    media_type,
)
from twopass.server.http.statuses import HttpError
from twopass.server.request import Request

_PROTO = "application/proto"
_CODECS = {"json": JSON, "proto": _PROTO}
_STREAMED = "application/connect+"
_VERSION = "1"
# The flag of the envelope that ends a stream, and the bytes of an envelope's length.
_END_OF_STREAM = b"\x02"
_LENGTH_BYTES = 4


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """An endpoint for every rpc, and another one for a GET where it has no side effects."""
    found = []
    for method in METHODS.values():
        if not is_unary(method):
            found.append(_endpoint("POST", method, _StreamedRpc(method).post, _STREAMED_DIALECT))
            continue
        rpc = _UnaryRpc(method, parts)
        found.append(_endpoint("POST", method, rpc.post))
        if has_no_side_effects(method):
            found.append(_endpoint("GET", method, rpc.get))
    return found


class _UnaryRpc:
    """An rpc with one request and one response."""

    def __init__(self, method: MethodDescriptor, parts: HttpParts) -> None:
        config = parts.config
        self._json = json_method(method, parts, rest=False)
        self._decoder = Decoder(
            method.input_type,
            max_value_bytes=max(config.max_passage_bytes, config.max_query_bytes),
        )
        self._parts = parts

    async def post(self, asked: HttpRequest, request: Request) -> Answer:
        """Answers a request whose message is its body."""
        _check_version(asked.headers.get("connect-protocol-version"))
        codec = media_type(asked.headers.get("content-type", ""))
        return await self._answered(codec, asked.body, request)

    async def get(self, asked: HttpRequest, request: Request) -> Answer:
        """Answers a request whose message is in its query."""
        given = {
            name: values[-1]
            for name, values in parse_qs(asked.query, keep_blank_values=True).items()
        }
        version = given.get("connect")
        _check_version(version.removeprefix("v") if version is not None else None)
        codec = _CODECS.get(given.get("encoding", ""))
        if codec is None:
            raise InvalidRequestError(
                f"encoding: {given.get('encoding', 'nothing')[:32]} given, json or proto is needed"
            )
        if "message" not in given:
            raise InvalidRequestError("message: missing; for all defaults send message=%7B%7D")
        content = await _message_of(given, request, self._parts)
        request.message_bytes = len(content)
        return await self._answered(codec, content, request)

    async def _answered(self, codec: str, content: bytes, request: Request) -> Answer:
        if codec == JSON:
            message = await self._json.read(content, request)
            return Answer(body=await self._json.run(message, request))
        if codec != _PROTO:
            raise HttpError(
                415,
                f"content-type: {codec[:64] or 'none'} given, {JSON} or {_PROTO} is needed",
                headers=(("accept-post", f"{JSON}, {_PROTO}"),),
            )
        if is_large(content):
            message = await self._decoder.decode_large(content)
        else:
            message = self._decoder.decode(content)
        response = await self._parts.edge.run(self._json.name, message, request)
        body = await _encoded(response)
        ensure_fits(body, self._parts.edge.shared.max_message_bytes)
        return Answer(body=body, content_type=_PROTO)


class _StreamError(NotServedError):
    """A stream over HTTP.

    Attributes:
        content_type: What the client sends, and waits for.
    """

    def __init__(self, message: str, *, content_type: str) -> None:
        super().__init__(message)
        self.content_type = content_type


class _StreamedRpc:
    """An rpc that streams, which needs gRPC."""

    def __init__(self, method: MethodDescriptor) -> None:
        self._name = method.full_name

    async def post(self, asked: HttpRequest, request: Request) -> Answer:
        """Refuses a call."""
        del request
        raise _StreamError(
            f"{self._name}: streams over gRPC alone; call it at the server's gRPC address",
            content_type=media_type(asked.headers.get("content-type", "")),
        )


class _StreamedDialect:
    """How failures of a stream look: as its last envelope, with the status 200."""

    def failed(self, failure: Failure) -> Answer:
        """The answer that tells a failure."""
        error = failure.error
        content_type = error.content_type if isinstance(error, _StreamError) else ""
        if not content_type.startswith(_STREAMED):
            return RPC_DIALECT.failed(failure)
        body = json.dumps({"error": failure_body(failure)}).encode()
        envelope = _END_OF_STREAM + len(body).to_bytes(_LENGTH_BYTES, "big") + body
        return Answer(body=envelope, content_type=content_type)


_STREAMED_DIALECT = _StreamedDialect()


def _endpoint(
    http_method: str,
    method: MethodDescriptor,
    answer: object,
    dialect: object = RPC_DIALECT,
) -> Endpoint:
    return Endpoint(
        name=method.full_name,
        method=http_method,
        path=f"/{method.containing_service.full_name}/{method.name}",
        answer=answer,  # type: ignore[arg-type]
        dialect=dialect,  # type: ignore[arg-type]
        below_models=False,
    )


def _check_version(version: str | None) -> None:
    if version is not None and version != _VERSION:
        raise InvalidRequestError(
            f"connect-protocol-version: {version[:16]!r} given, this server speaks {_VERSION}"
        )


async def _message_of(given: dict[str, str], request: Request, parts: HttpParts) -> bytes:
    """The message in a query.

    Raises:
        InvalidRequestError: It is not encoded as the query says, or no body may be like it.
        OverloadedError: There is no room for it.
    """
    content = given["message"].encode()
    if given.get("base64") == "1":
        try:
            padded = content + b"=" * (-len(content) % 4)
            content = b64decode(padded, altchars=b"-_", validate=True)
        except Base64Error as error:
            raise InvalidRequestError(f"message: no base64: {error}") from None
    compression = given.get("compression", "identity")
    if compression not in ("identity", "gzip", ""):
        raise InvalidRequestError(
            f"compression: {compression[:32]!r} given, gzip or identity is needed"
        )
    return await parts.unpacking.run(
        content,
        request,
        is_gzip=compression == "gzip",
        max_bytes=parts.config.max_http_body_bytes,
        name="message",
    )


async def _encoded(message: Message) -> bytes:
    if is_large_answer(message):
        return await encode_large(message)
    return message.SerializeToString()
