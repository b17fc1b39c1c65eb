"""Reflection under both of its names, `grpc.reflection.v1` and the older `v1alpha`.

Tools ask for `v1` first; gRPC's library for Python knows `v1alpha` alone, whose messages have the
same fields and numbers.
"""

from collections.abc import Callable, Collection
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2

_OLD, _NEW = "grpc.reflection.v1alpha", "grpc.reflection.v1"
_FILE = "grpc/reflection/v1/reflection.proto"
_SERVICE, _RPC = "ServerReflection", "ServerReflectionInfo"

SERVICE_NAMES = (f"{_NEW}.{_SERVICE}", f"{_OLD}.{_SERVICE}")


def _new_file() -> FileDescriptor:
    """What describes `v1`, in a pool of its own, so that it is in the way of no library's."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = _FILE, _NEW
    file.ClearField("options")
    for message in file.message_type:
        for field in message.field:
            if field.HasField("type_name"):
                field.type_name = _renamed(field.type_name)
    for service in file.service:
        for method in service.method:
            method.input_type = _renamed(method.input_type)
            method.output_type = _renamed(method.output_type)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindFileByName(_FILE)


def _renamed(type_name: str) -> str:
    return type_name.replace(f".{_OLD}.", f".{_NEW}.")


class _Pool:
    """All files that the process knows, and that of `v1`; what `ReflectionServicer` asks a pool."""

    def __init__(self, new: FileDescriptor) -> None:
        self._new = new.pool
        self._all = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def find(*wanted: Any) -> Any:
            try:
                return getattr(self._all, name)(*wanted)
            except KeyError:
                return getattr(self._new, name)(*wanted)

        return find


def reflection_services(
    names: Collection[str],
) -> list[tuple[ServiceDescriptor, Callable[[Any], None]]]:
    """Both services, and what registers the handlers of each with a server.

    Args:
        names: Full names of the services that are told of, beside these two.
    """
    new = _new_file()
    servicer = reflection.aio.ReflectionServicer((*names, *SERVICE_NAMES), _Pool(new))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )

    def registering(service: str) -> Callable[[Any], None]:
        generic = grpc.method_handlers_generic_handler(service, {_RPC: handler})
        return lambda server: server.add_generic_rpc_handlers((generic,))

    descriptors = [file.services_by_name[_SERVICE] for file in (new, reflection_pb2.DESCRIPTOR)]
    return [(each, registering(each.full_name)) for each in descriptors]
