"""What the protos say of each message, field, enum, service and rpc.

Generated modules have no comments. They are in the contract's descriptors, which the client's build
keeps beside the stubs.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

_Path = tuple[int, ...]

# Numbers of the fields of descriptor.proto, which a comment's path is made of.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED, _NESTED_ENUMS, _ONEOFS = 2, 3, 4, 8
_VALUES, _METHODS = 2, 2


@cache
def comments() -> Mapping[str, str]:
    """Comments by full name, such as "twopass.v1.SearchRequest.query"; paragraphs are lines.

    Raises:
        FileNotFoundError: The client was installed without the contract's descriptors.
    """
    content = files("twopass.v1").joinpath("contract.binpb").read_bytes()
    found: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(content).file:
        names = dict(_names(file))
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path))
            if name is not None and location.leading_comments:
                found[name] = _paragraphs(location.leading_comments)
    return found


def summary_of(comment: str) -> str:
    """The first sentence of a comment, without its full stop."""
    first = comment.partition("\n")[0]
    return first.partition(". ")[0].rstrip(".")


def _paragraphs(comment: str) -> str:
    paragraphs = "\n".join(line.strip() for line in comment.splitlines()).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)


def _names(file: FileDescriptorProto) -> Iterator[tuple[_Path, str]]:
    """The path in a file of all that can have a comment, and its full name."""
    for i, message in enumerate(file.message_type):
        yield from _in_message((_MESSAGES, i), f"{file.package}.{message.name}", message)
    for i, enum in enumerate(file.enum_type):
        yield from _in_enum((_ENUMS, i), f"{file.package}.{enum.name}", enum)
    for i, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (_SERVICES, i), name
        for j, method in enumerate(service.method):
            yield (_SERVICES, i, _METHODS, j), f"{name}.{method.name}"


def _in_message(path: _Path, name: str, message: DescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for i, field in enumerate(message.field):
        yield (*path, _FIELDS, i), f"{name}.{field.name}"
    for i, oneof in enumerate(message.oneof_decl):
        yield (*path, _ONEOFS, i), f"{name}.{oneof.name}"
    for i, inner in enumerate(message.nested_type):
        yield from _in_message((*path, _NESTED, i), f"{name}.{inner.name}", inner)
    for i, enum in enumerate(message.enum_type):
        yield from _in_enum((*path, _NESTED_ENUMS, i), f"{name}.{enum.name}", enum)


def _in_enum(path: _Path, name: str, enum: EnumDescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield path, name
    for i, value in enumerate(enum.value):
        yield (*path, _VALUES, i), f"{name}.{value.name}"
