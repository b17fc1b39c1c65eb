"""The protos of health and reflection, from which other languages generate their stubs too.

They come from what the server itself serves: a language's own package may be older, without
`Health.List` and without `reflection.v1`.
"""

from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_health.v1 import health_pb2

from twopass.server.edge.reflection import reflection_services

FILE = Path(__file__).parent / "build" / "standard.binpb"


def write() -> None:
    """Writes them as a set of descriptors, which protoc and buf read in place of sources."""
    services = [service for service, _ in reflection_services(())]
    described = FileDescriptorSet()
    for file in (health_pb2.DESCRIPTOR, *(service.file for service in services)):
        _add(described, file)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(described.SerializeToString())


def _add(described: FileDescriptorSet, file: FileDescriptor) -> None:
    """Adds a file under the path of its package, with Java's names for what it holds."""
    added = described.file.add()
    file.CopyToProto(added)
    name = file.package.split(".")[1]
    added.name = f"{file.package.replace('.', '/')}/{name}.proto"
    added.options.java_package = f"io.{file.package}"
    added.options.java_multiple_files = True
    added.ClearField("source_code_info")
