"""REST: our rpcs below `/api/v1`, as the table of `http_rules.py` says.

A request is put together from the variables of its path, its query and its body, as
google/api/http.proto defines it. What is given in the path may be repeated in the body, but not
contradicted. Responses are whole: they have the fields' own names, and all fields that can't be
unset.
"""

from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from twopass.server.errors import InvalidRequestError
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.http.protojson.reading import MessageReader
from twopass.server.http.rpcs.failures import RPC_DIALECT
from twopass.server.http.rpcs.http_rules import WHOLE_BODY, HttpRule, http_rules
from twopass.server.http.rpcs.methods import METHODS, ensure_json, json_method
from twopass.server.request import Request

_BOOLEANS = {"true": True, "false": False}
# Types of messages that are a single text in JSON, and so can stand in a query.
_TEXT_TYPES = {"google.protobuf.Duration", "google.protobuf.Timestamp"}


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """An endpoint for every rule of the table."""
    return [_endpoint(rule, parts) for rule in http_rules()]


def _endpoint(rule: HttpRule, parts: HttpParts) -> Endpoint:
    return Endpoint(
        name=rule.rpc,
        method=rule.method,
        path=rule.path,
        answer=_RestRpc(rule, parts).answer,
        dialect=RPC_DIALECT,
        below_models=False,
    )


class _RestRpc:
    """An rpc at one path."""

    def __init__(self, rule: HttpRule, parts: HttpParts) -> None:
        method = METHODS[rule.rpc]
        self._rule = rule
        self._type = method.input_type
        self._json = json_method(method, parts, rest=True)
        field = self._type.fields_by_name.get(rule.body)
        self._part: MessageReader | None = None
        if field is not None:
            assert field.message_type is not None
            self._part = MessageReader(field.message_type, ignores_unknown=False)
        self._translating = parts.translating

    async def answer(self, asked: HttpRequest, request: Request) -> Answer:
        """Answers a request."""
        message = await self._message(asked, request)
        return Answer(body=await self._json.run(message, request))

    async def _message(self, asked: HttpRequest, request: Request) -> Message:
        """The request's message.

        Raises:
            HttpError: The body is not said to be JSON.
            InvalidRequestError: A field is unknown, of another type, or given twice.
        """
        rule = self._rule
        if asked.body and not rule.body:
            raise InvalidRequestError(
                f"body: {len(asked.body):,} bytes given, {rule.method} {rule.path} takes none; "
                "give fields in the query"
            )
        if asked.body:
            ensure_json(asked.headers)
        if rule.body == WHOLE_BODY:
            return await self._from_body(asked, request)
        given = read_query(self._type, asked.query)
        for name, value in asked.variables.items():
            if name in given:
                raise InvalidRequestError(f"{name}: given in the path and in the query; give one")
            given[name] = value
        message = self._json.reader.of_value(given)
        if self._part is not None:
            if rule.body in given:
                raise InvalidRequestError(f"{rule.body}: given in the query, it is the body here")
            content = asked.body or b"{}"
            part = await self._translating.run(
                len(content), self._part.read, content, request=request
            )
            getattr(message, rule.body).CopyFrom(part)
        return message

    async def _from_body(self, asked: HttpRequest, request: Request) -> Message:
        """The message whose fields are in the body, but for those of the path."""
        if asked.query:
            names = parse_qsl(asked.query, keep_blank_values=True)
            raise InvalidRequestError(
                f"{names[0][0][:64] if names else 'query'}: given in the query, "
                f"{self._rule.method} {self._rule.path} takes fields in its body"
            )
        message: Any = await self._json.read(asked.body or b"{}", request)
        for name, value in asked.variables.items():
            given = getattr(message, name)
            if given and given != value:
                raise InvalidRequestError(
                    f"{name}: {value[:64]!r} in the path and {given[:64]!r} in the body; give one"
                )
            setattr(message, name, value)
        result: Message = message
        return result


def read_query(message: Descriptor, query: str) -> dict[str, Any]:
    """The fields in a query as the JSON object that has the same fields.

    A name with dots is a field of a message inside; a name that is given several times is a list.

    Args:
        message: The type of the message that they are fields of.
        query: Percent-encoded.

    Raises:
        InvalidRequestError: A field is unknown, can't stand in a query, or is given twice.
    """
    read: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        target, field = _place(message, name, read)
        if field.is_repeated:
            target.setdefault(field.name, []).append(_value(field, text))
        elif field.name in target:
            raise InvalidRequestError(f"{name[:64]}: given twice in the query; leave one out")
        else:
            target[field.name] = _value(field, text)
    return read


def _place(
    message: Descriptor, name: str, read: dict[str, Any]
) -> tuple[dict[str, Any], FieldDescriptor]:
    """The object that a parameter is in, and its field."""
    *outer, last = name.split(".")
    for part in outer:
        field = _named(message, part)
        if field is None or field.message_type is None or field.is_repeated:
            raise _unknown(message, name)
        message = field.message_type
        read = read.setdefault(field.name, {})
    field = _named(message, last)
    if field is None:
        raise _unknown(message, name)
    if field.message_type is not None and field.message_type.full_name not in _TEXT_TYPES:
        inner = field.message_type
        hint = f"; name one of its fields, as in {name[:64]}.{inner.fields[0].name}"
        raise InvalidRequestError(
            f"{name[:64]}: an object, which no query can hold"
            + (hint if inner.fields and not field.is_repeated else "; send it in a body")
        )
    return read, field


def _named(message: Descriptor, name: str) -> FieldDescriptor | None:
    found = message.fields_by_name.get(name)
    if found is not None:
        return found
    return next((field for field in message.fields if field.json_name == name), None)


def _unknown(message: Descriptor, name: str) -> InvalidRequestError:
    names = ", ".join(field.name for field in message.fields) or "no fields"
    return InvalidRequestError(f"{name[:64]}: no such field; {message.name} has {names}")


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _BOOLEANS.get(text, text)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM and text.lstrip("-").isdecimal():
        return int(text)
    return text
