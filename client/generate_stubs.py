"""Build hook: generates the stubs of the protos into the wheel, never into the tree."""

import shutil
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
# The contract with its comments, which the generated modules lack: a serialised FileDescriptorSet.
DESCRIPTORS = "contract.binpb"


@dataclass(frozen=True)
class ProtoPackage:
    """A package of protos, and where its modules are installed.

    Attributes:
        folder: Its folder among the protos, which protoc names its modules after.
        installed: The folder of its modules, in the root of a distribution.
        has_services: Whether the stubs of its services, and its comments, are wanted too.
    """

    folder: str
    installed: str
    has_services: bool

    @property
    def told(self) -> str:
        """What its modules hold."""
        what = "Messages and stubs" if self.has_services else "Messages"
        return f"{what} of `{self.folder.replace('/', '.')}`"


# The package `tei` belongs to its own project: whatever is called so in an environment is not ours.
# Only the server reads its messages, and calls of its services need no stubs there; so it is with
# what servers say to engines apart.
PACKAGES = (
    ProtoPackage("twopass/v1", "twopass/v1", has_services=True),
    ProtoPackage("twopass/engine/v1", "twopass/engine/v1", has_services=False),
    ProtoPackage("tei/v1", "twopass/tei/v1", has_services=False),
)


class StubsBuildHook(BuildHookInterface[Any]):
    """Adds the generated modules and their type stubs to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Generates into a temporary folder that lives as long as the build."""
        self._output = tempfile.TemporaryDirectory()
        output = Path(self._output.name)
        generate(find_protos(Path(self.root)), output)
        for package in PACKAGES:
            build_data["force_include"][str(output / package.installed)] = package.installed

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Removes the temporary folder."""
        self._output.cleanup()


def find_protos(root: Path) -> Path:
    """Finds the protos: inside a source distribution, or beside the client in the repository."""
    for folder in (root / "protos", root.parent / "protos"):
        if all((folder / package.folder).is_dir() for package in PACKAGES):
            return folder
    raise FileNotFoundError(f"no protos in {root / 'protos'} nor in {root.parent / 'protos'}")


def find_plugin(name: str) -> str:
    """Finds a plugin of protoc: on PATH in an isolated build, beside the interpreter otherwise."""
    found = shutil.which(name) or shutil.which(name, path=sysconfig.get_path("scripts"))
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; it comes with mypy-protobuf")
    return found


def generate(protos: Path, output: Path) -> None:
    """Makes the modules of every package.

    Args:
        protos: The folder of the protos.
        output: Where the packages are made, as they stand in the root of a distribution; modules
            that are there already are replaced.

    Raises:
        RuntimeError: protoc refused a file; it has said why on stderr.
    """
    with tempfile.TemporaryDirectory() as made:
        for package in PACKAGES:
            _run_protoc(protos, package, Path(made))
            installed = output / package.installed
            shutil.copytree(Path(made) / package.folder, installed, dirs_exist_ok=True)
            (installed / "__init__.py").write_text(f'"""{package.told}."""\n')
            (installed / "py.typed").touch()


def _run_protoc(protos: Path, package: ProtoPackage, output: Path) -> None:
    import grpc_tools
    from grpc_tools import protoc

    (output / package.folder).mkdir(parents=True, exist_ok=True)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(str(p.relative_to(protos)) for p in (protos / package.folder).glob("*.proto"))
    of_services = [
        f"--grpc_python_out={output}",
        f"--mypy_grpc_out=quiet:{output}",
        f"--descriptor_set_out={output / package.folder / DESCRIPTORS}",
        "--include_source_info",
    ]
    arguments = [
        "protoc",
        f"-I{protos}",
        f"-I{well_known}",
        f"--python_out={output}",
        f"--mypy_out=quiet:{output}",
        *(of_services if package.has_services else []),
        *(f"--plugin={name}={find_plugin(name)}" for name in PLUGINS),
        *sources,
    ]
    if status := protoc.main(arguments):
        raise RuntimeError(f"protoc exited with status {status}")
