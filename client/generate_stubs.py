"""Build hook: generates the stubs `twopass.v1` into the wheel, never into the tree."""

import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "twopass/v1"
PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
# The contract with its comments, which the generated modules lack: a serialised FileDescriptorSet.
DESCRIPTORS = "contract.binpb"


class StubsBuildHook(BuildHookInterface[Any]):
    """Adds the generated modules and their type stubs to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Generates into a temporary folder that lives as long as the build."""
        self._output = tempfile.TemporaryDirectory()
        output = Path(self._output.name)
        generate(find_protos(Path(self.root)), output)
        (output / PACKAGE / "__init__.py").write_text('"""Messages and stubs of `twopass.v1`."""\n')
        (output / PACKAGE / "py.typed").touch()
        build_data["force_include"][str(output / PACKAGE)] = PACKAGE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Removes the temporary folder."""
        self._output.cleanup()


def find_protos(root: Path) -> Path:
    """Finds the protos: inside a source distribution, or beside the client in the repository."""
    for folder in (root / "protos", root.parent / "protos"):
        if (folder / PACKAGE).is_dir():
            return folder
    raise FileNotFoundError(f"no protos in {root / 'protos'} nor in {root.parent / 'protos'}")


def find_plugin(name: str) -> str:
    """Finds a plugin of protoc: on PATH in an isolated build, beside the interpreter otherwise."""
    found = shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts"))
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; it comes with mypy-protobuf")
    return found


def generate(protos: Path, output: Path) -> None:
    """Runs protoc over every proto of the package.

    Raises:
        RuntimeError: protoc refused a file; it has said why on stderr.
    """
    import grpc_tools
    from grpc_tools import protoc

    (output / PACKAGE).mkdir(parents=True, exist_ok=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(str(p.relative_to(protos)) for p in (protos / PACKAGE).glob("*.proto"))
    arguments = [
        "protoc",
        f"-I{protos}",
        f"-I{well_known}",
        f"--python_out={output}",
        f"--grpc_python_out={output}",
        f"--mypy_out=quiet:{output}",
        f"--mypy_grpc_out=quiet:{output}",
        f"--descriptor_set_out={output / PACKAGE / DESCRIPTORS}",
        "--include_source_info",
        *(f"--plugin={name}={find_plugin(name)}" for name in PLUGINS),
        *sources,
    ]
    if status := protoc.main(arguments):
        raise RuntimeError(f"protoc exited with status {status}")
