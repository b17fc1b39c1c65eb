"""The OpenAPI document of REST, from the table of paths, the descriptors and their comments."""

from functools import cached_property
from importlib.metadata import version
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from twopass.server.edge.permissions import PERMISSIONS, Permission, roles_with
from twopass.server.http.bodies import encode
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.http.rpcs.comments import comments, summary_of
from twopass.server.http.rpcs.examples import EXAMPLES
from twopass.server.http.rpcs.failures import RPC_DIALECT, code_name
from twopass.server.http.rpcs.http_rules import WHOLE_BODY, HttpRule, http_rules
from twopass.server.http.rpcs.methods import JSON, METHODS
from twopass.server.http.rpcs.schemas import Schema, Schemas
from twopass.server.request import Request

_ABOUT = """Both passes of retrieval: find candidates, then read each with the query and put the
right ones on top. The same rpcs as over gRPC, by the same rules: messages are proto JSON, whose
integers of 64 bits are texts, and whose fields are named as in the protos (lowerCamelCase is read
too). Unknown fields are refused. Under its own name, as in
`POST /twopass.v1.SearchService/Search`, each rpc also speaks
[Connect's protocol](https://connectrpc.com/docs/protocol).

Headers of any request: `authorization: Bearer KEY` where the server has keys;
`x-request-timeout-ms`, after which the server stops working for it; `x-request-id`, which stands in
the log and comes back; `content-encoding: gzip`."""

_STATUSES = {
    400: "A field is missing, unknown, or beyond a limit, which the message names; or the state of "
    "the collection forbids it (`failed_precondition`).",
    401: "No API key, or an unknown one.",
    403: "The key's role does not suffice, or it may not use the collection.",
    404: "No such collection, model, document or snapshot.",
    408: "The body stopped coming.",
    409: "The name is taken, or the document exists.",
    413: "The body is longer than the server reads (max_http_body_bytes).",
    415: "The body is not said to be JSON, or is encoded otherwise than by gzip.",
    429: "No room in the queue, or the key's quota is used up; or the answer would be too large, "
    "where there is no `retry-after`.",
    500: "A fault of the server. The log has the cause under the id of the request.",
    503: "An engine starts anew, or the server ends.",
    504: "The deadline ran out.",
}
_MAY_WAIT = (429, 503)


class OpenApi:
    """The document, made when it is first asked for."""

    def __init__(self, parts: HttpParts) -> None:
        """Takes what the server allows.

        Args:
            parts: Its settings and limits.
        """
        self._has_keys = bool(parts.config.keys)
        self._limits = parts.limits

    def endpoints(self) -> list[Endpoint]:
        """Where it is found."""
        return [
            Endpoint(
                name="http.openapi",
                method="GET",
                path="/openapi.json",
                answer=self._answer,
                dialect=RPC_DIALECT,
                below_models=False,
                counts=False,
            )
        ]

    async def _answer(self, asked: HttpRequest, request: Request) -> Answer:
        del asked, request
        return Answer(body=self._content)

    @cached_property
    def _content(self) -> bytes:
        return encode(self.document())

    def document(self) -> dict[str, Any]:
        """The document."""
        rules = http_rules()
        methods = [METHODS[name] for name in dict.fromkeys(rule.rpc for rule in rules)]
        schemas = Schemas(
            _described_requests(rules), [method.output_type for method in methods], self._limits
        )
        paths: dict[str, dict[str, Any]] = {}
        for rule in rules:
            path = rule.path.replace("=**", "")
            paths.setdefault(path, {})[rule.method.lower()] = _operation(rule, schemas)
        services = {method.containing_service.full_name: None for method in methods}
        document = {
            "openapi": "3.1.0",
            "info": {"title": "twopass", "version": version("twopass"), "description": _ABOUT},
            "servers": [{"url": "/"}],
            "tags": [
                {"name": _tag(service), "description": comments().get(service, "")}
                for service in services
            ],
            "paths": paths,
            "components": {
                "schemas": {"Error": _ERROR, **dict(sorted(schemas.components.items()))},
                "responses": {f"Error{status}": _failure(status) for status in _STATUSES},
                "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            },
        }
        if self._has_keys:
            document["security"] = [{"key": []}]
        return document


_ERROR: Schema = {
    "type": "object",
    "description": "Why there is no answer, as Connect's protocol has it.",
    "required": ["code", "message"],
    "properties": {
        "code": {
            "type": "string",
            "enum": [code_name(code) for code in grpc.StatusCode if code is not grpc.StatusCode.OK],
            "description": "The status of gRPC.",
        },
        "message": {
            "type": "string",
            "description": "What was wrong, for people: the field, the limit, the value received, "
            "the way out.",
        },
        "details": {
            "type": "array",
            "description": "The same for programs.",
            "items": {
                "type": "object",
                "required": ["type", "value"],
                "properties": {
                    "type": {
                        "type": "string",
                        "description": "The message's name, such as google.rpc.RetryInfo.",
                    },
                    "value": {"type": "string", "description": "The message in base64."},
                    "debug": {"description": "The message as JSON."},
                },
            },
        },
    },
}


def _failure(status: int) -> dict[str, Any]:
    failure: dict[str, Any] = {
        "description": _STATUSES[status],
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status in _MAY_WAIT:
        failure["headers"] = {
            "retry-after": {
                "description": "Seconds after which another try may succeed. `retry-after-ms` has "
                "them in milliseconds.",
                "schema": {"type": "integer"},
            }
        }
    return failure


def _described_requests(rules: tuple[HttpRule, ...]) -> list[Descriptor]:
    """The messages that bodies are, or have where a part of them is in the path."""
    found = []
    for rule in rules:
        message = METHODS[rule.rpc].input_type
        if rule.body == WHOLE_BODY:
            if not rule.variables:
                found.append(message)
            fields = [field for field in message.fields if field.name not in rule.variables]
            found += [field.message_type for field in fields if field.message_type is not None]
        elif rule.body:
            part = message.fields_by_name[rule.body].message_type
            assert part is not None
            found.append(part)
    return found


def _operation(rule: HttpRule, schemas: Schemas) -> dict[str, Any]:
    method = METHODS[rule.rpc]
    comment = comments().get(rule.rpc, "")
    first = "" if rule.is_first else f"By{rule.method.capitalize()}"
    operation: dict[str, Any] = {
        "operationId": method.name + first,
        "tags": [_tag(method.containing_service.full_name)],
        "summary": summary_of(comment),
        "description": f"{comment}\n\nNeeds the role {_role(rule.rpc)}. `{rule.rpc}`",
        "parameters": _parameters(rule, method, schemas),
        "responses": {
            "200": {
                "description": comments().get(method.output_type.full_name, ""),
                "content": {
                    JSON: {
                        "schema": {
                            "$ref": "#/components/schemas/"
                            + schemas.name(method.output_type, is_request=False)
                        }
                    }
                },
            },
            **{
                str(status): {"$ref": f"#/components/responses/Error{status}"}
                for status in _STATUSES
            },
        },
        "x-rpc": rule.rpc,
    }
    if rule.body:
        operation["requestBody"] = _body(rule, method, schemas)
    return operation


def _role(rpc: str) -> str:
    permission = PERMISSIONS[rpc]
    return "" if permission is Permission.OPEN else str(roles_with(permission)[0])


def _tag(service: str) -> str:
    return service.rpartition(".")[2].removesuffix("Service")


def _parameters(rule: HttpRule, method: MethodDescriptor, schemas: Schemas) -> list[dict[str, Any]]:
    message = method.input_type
    found = []
    for name in rule.variables:
        schema = schemas.field(message.fields_by_name[name], is_request=True)
        parameter = _parameter(name, "path", schema, is_required=True)
        if name == "collection":
            parameter["example"] = "docs"
        found.append(parameter)
    if rule.body != WHOLE_BODY:
        elsewhere = {*rule.variables, rule.body}
        for name, field in _query_fields(message, elsewhere):
            schema = schemas.field(field, is_request=True)
            is_required = (rule.rpc, name) in _REQUIRED_IN_QUERIES
            found.append(_parameter(name, "query", schema, is_required=is_required))
    return found


_REQUIRED_IN_QUERIES = {
    ("twopass.v1.CollectionService.DeleteDocuments", "ids"),
    ("twopass.v1.CollectionService.GetDocuments", "ids"),
}


def _parameter(name: str, place: str, schema: Schema, *, is_required: bool) -> dict[str, Any]:
    description = schema.pop("description", "")
    parameter = {"name": name, "in": place, "description": description, "schema": schema}
    if is_required:
        parameter["required"] = True
        if schema.get("type") == "array":
            schema["minItems"] = 1
        elif schema.get("type") == "string":
            schema["minLength"] = 1
    return parameter


def _query_fields(message: Descriptor, elsewhere: set[str]) -> list[tuple[str, FieldDescriptor]]:
    """The fields that a query can hold: scalars, and those of messages inside by dotted names."""
    found: list[tuple[str, FieldDescriptor]] = []
    for field in message.fields:
        if field.name in elsewhere:
            continue
        if field.message_type is None:
            found.append((field.name, field))
        elif not field.is_repeated and field.message_type.name == "DocumentFields":
            inner = field.message_type.fields
            found += [(f"{field.name}.{each.name}", each) for each in inner]
    return found


def _body(rule: HttpRule, method: MethodDescriptor, schemas: Schemas) -> dict[str, Any]:
    message = method.input_type
    if rule.body != WHOLE_BODY:
        part = message.fields_by_name[rule.body]
        is_required = False
        schema = schemas.field(part, is_request=True)
    else:
        without = frozenset(rule.variables)
        name = f"{method.name}Body"
        if without:
            schemas.components[name] = schemas.message(message, is_request=True, without=without)
        else:
            name = schemas.name(message, is_request=True)
        is_required = "required" in schemas.components[name]
        schema = {"$ref": f"#/components/schemas/{name}"}
    media: dict[str, Any] = {"schema": schema}
    if rule.rpc in EXAMPLES and rule.body == WHOLE_BODY:
        media["example"] = EXAMPLES[rule.rpc]
    return {"required": is_required, "content": {JSON: media}}
