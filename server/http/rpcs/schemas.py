"""JSON schemas of the contract's messages, as REST reads and writes them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from twopass.server.http.rpcs import bounds
from twopass.server.http.rpcs.comments import comments
from twopass.server.models.passages import Limits

Schema: TypeAlias = dict[str, Any]

_COMPONENTS = "#/components/schemas/"
# The suffix of a message that both requests and responses have: what a request may leave out, a
# response has.
_INPUT = "Input"

_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
    },
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
        "description": 'Seconds, as in "0.2s".',
    },
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
}
_SCALARS: Mapping[int, Schema] = {
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
# Texts, since numbers of JavaScript are exact up to 2^53 alone; requests may have numbers too.
_INTEGER_TEXT: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_INTEGER: Schema = {"type": ["integer", "string"], "format": "int64", "pattern": "^-?[0-9]{1,19}$"}


class Schemas:
    """The schemas of all messages and enums of some requests and responses.

    Attributes:
        components: By the names under which others refer to them.
    """

    def __init__(
        self, requests: list[Descriptor], responses: list[Descriptor], limits: Limits
    ) -> None:
        """Makes the schemas.

        Args:
            requests: The messages that requests are, or have.
            responses: The messages that responses are.
            limits: The server's bounds on requests.
        """
        self._lists = bounds.lists(limits)
        self._sent = _reachable(requests)
        self._answered = _reachable(responses)
        self.components: dict[str, Schema] = {}
        for message in self._sent.values():
            self.components[self.name(message, is_request=True)] = self.message(
                message, is_request=True
            )
        for message in self._answered.values():
            self.components[self.name(message, is_request=False)] = self.message(
                message, is_request=False
            )

    def name(self, message: Descriptor, *, is_request: bool) -> str:
        """The name of a message among the components."""
        is_both = message.full_name in self._sent and message.full_name in self._answered
        return message.name + (_INPUT if is_request and is_both else "")

    def message(
        self, message: Descriptor, *, is_request: bool, without: frozenset[str] = frozenset()
    ) -> Schema:
        """The schema of a message.

        Args:
            message: The message.
            is_request: Whether it is sent, or answered.
            without: Fields that it has elsewhere, in the path.
        """
        fields = [field for field in message.fields if field.name not in without]
        properties = {each.name: self.field(each, is_request=is_request) for each in fields}
        schema: Schema = {
            "type": "object",
            "description": comments().get(message.full_name, ""),
            "properties": properties,
        }
        if is_request:
            schema["additionalProperties"] = False
            names = bounds.REQUIRED.get(message.name, ())
            required = [name for name in names if name not in without]
            for field in fields:
                if field.name not in required and not _is_choice(field):
                    properties[field.name] = _or_null(properties[field.name])
            schema |= _choices(message)
        else:
            required = [field.name for field in fields if not field.has_presence]
        if required:
            schema["required"] = required
        return schema

    def field(self, field: FieldDescriptor, *, is_request: bool) -> Schema:
        """The schema of a field, with what the contract says of it."""
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            values = self._value(inner.fields_by_name["value"], is_request=is_request)
            schema: Schema = {"type": "object", "additionalProperties": values}
        else:
            schema = self._value(field, is_request=is_request)
            if field.is_repeated:
                schema = {"type": "array", "items": schema}
        if is_request:
            schema |= self._bounds(field)
        description = comments().get(field.full_name, "")
        oneof = field.containing_oneof
        if oneof is not None and len(oneof.fields) > 1:
            others = ", ".join(other.name for other in oneof.fields if other is not field)
            description = f"{description} Not together with {others}."
        return schema | {"description": description}

    def _value(self, field: FieldDescriptor, *, is_request: bool) -> Schema:
        if field.message_type is not None:
            known = _WELL_KNOWN.get(field.message_type.full_name)
            if known is not None:
                return dict(known)
            name = self.name(field.message_type, is_request=is_request)
            return {"$ref": _COMPONENTS + name}
        if field.enum_type is not None:
            schema = self._enum(field.enum_type)
            # Requests may have their numbers too, which newer values are known by.
            is_named = "$ref" in schema and is_request
            return {"anyOf": [schema, {"type": "integer"}]} if is_named else schema
        if field.cpp_type == FieldDescriptor.CPPTYPE_INT64:
            return dict(_INTEGER if is_request else _INTEGER_TEXT)
        return dict(_SCALARS[field.cpp_type])

    def _enum(self, enum: EnumDescriptor) -> Schema:
        if enum.full_name == "google.protobuf.NullValue":
            return {"type": "null"}
        if enum.name not in self.components:
            names = [value.name for value in enum.values]
            told = [
                f"- `{name}`: {comments().get(f'{enum.full_name}.{name}', '')}" for name in names
            ]
            description = comments().get(enum.full_name, "")
            self.components[enum.name] = {
                "type": "string",
                "enum": names,
                "description": "\n".join([description, "", *told]),
            }
        return {"$ref": _COMPONENTS + enum.name}

    def _bounds(self, field: FieldDescriptor) -> Schema:
        message = field.containing_type
        assert message is not None
        name = f"{message.name}.{field.name}"
        schema: Schema = {}
        if name in bounds.NAMES:
            schema["pattern"] = bounds.NAME_PATTERN
        for table, least, greatest in (
            (bounds.NUMBERS, "minimum", "maximum"),
            (self._lists, "minItems", "maxItems"),
        ):
            found = table.get(name, bounds.Bounds())
            if found.least is not None:
                schema[least] = found.least
            if found.greatest is not None:
                schema[greatest] = found.greatest
        return schema


def _or_null(schema: Schema) -> Schema:
    """A field that null leaves unset."""
    kind = schema.get("type")
    if kind is not None:
        kinds = kind if isinstance(kind, list) else [kind]
        return schema if "null" in kinds else schema | {"type": [*kinds, "null"]}
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    if "$ref" in schema:
        reference = {"$ref": schema.pop("$ref")}
        return {"anyOf": [reference, {"type": "null"}], **schema}
    return schema  # any value


def _choices(message: Descriptor) -> Schema:
    """Of which fields of a request exactly one is needed.

    That others exclude each other, their descriptions say: as a schema it would be a negation, of
    which generators make nothing readable.
    """
    groups = [
        {"oneOf": [{"required": [field.name]} for field in oneof.fields]}
        for oneof in message.oneofs
        if f"{message.name}.{oneof.name}" in bounds.EXACTLY_ONE
    ]
    return groups[0] if groups else {}


def _is_choice(field: FieldDescriptor) -> bool:
    """Whether a field is one of those of which exactly one is needed."""
    oneof, message = field.containing_oneof, field.containing_type
    assert message is not None
    return oneof is not None and f"{message.name}.{oneof.name}" in bounds.EXACTLY_ONE


def _reachable(messages: list[Descriptor]) -> dict[str, Descriptor]:
    """Messages and those that they hold, by full name, but for well-known types and maps."""
    found: dict[str, Descriptor] = {}
    left = list(messages)
    while left:
        message = left.pop()
        if message.full_name in found or message.full_name in _WELL_KNOWN:
            continue
        if not message.GetOptions().map_entry:
            found[message.full_name] = message
        left += [field.message_type for field in message.fields if field.message_type is not None]
    return dict(sorted(found.items()))
