"""Writes what an image is made of as a CycloneDX document: packages of Debian and of PyPI.

`make scan-image` runs it on an image that buildah has built. It reads the image's files and runs
nothing of it.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

_VERSION = SchemaVersion.V1_6


def bill_of_materials(root: Path, name: str) -> Bom:
    """What the files of an image say is installed there.

    Args:
        root: Where the image is mounted.
        name: Of the image.
    """
    bom = Bom()
    bom.metadata.timestamp = datetime.now(UTC)
    bom.metadata.component = Component(name=name, type=ComponentType.CONTAINER)
    for component in (*debian_packages(root), *python_packages(root)):
        bom.components.add(component)
    bom.register_dependency(bom.metadata.component, bom.components)
    return bom


def debian_packages(root: Path) -> Iterator[Component]:
    """The packages of dpkg, each with its source, whose version Debian's advisories name."""
    release = dict(re.findall(r'^(\w+)="?(.*?)"?$', (root / "etc/os-release").read_text(), re.M))
    for paragraph in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, re.M))
        if fields.get("Status") != "install ok installed":
            continue
        source, _, version = fields.get("Source", fields["Package"]).partition(" ")
        upstream = f"{source}@{version.strip('()') or fields['Version']}"
        yield _component(
            fields["Package"],
            fields["Version"],
            PackageURL(
                type="deb",
                namespace="debian",
                name=fields["Package"],
                version=fields["Version"],
                qualifiers={
                    "arch": fields["Architecture"],
                    "distro": f"debian-{release['VERSION_ID']}",
                    "upstream": upstream,
                },
            ),
        )


def python_packages(root: Path) -> Iterator[Component]:
    """The distributions in the image's environment."""
    (packages,) = root.glob("opt/twopass/lib/python3*/site-packages")
    for distribution in sorted(distributions(path=[str(packages)]), key=lambda d: d.name.lower()):
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        url = PackageURL(type="pypi", name=name, version=distribution.version)
        component = _component(name, distribution.version, url)
        for licence in _licences(distribution):
            component.licenses.add(DisjunctiveLicense(name=licence))
        if homepage := distribution.metadata.get("Home-page"):
            component.external_references.add(
                ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(homepage))
            )
        yield component


def _licences(distribution: Distribution) -> list[str]:
    told = distribution.metadata.get("License-Expression") or distribution.metadata.get("License")
    if told and "\n" not in told:
        return [told]
    classified = distribution.metadata.get_all("Classifier") or []
    return [line.rpartition(" :: ")[2] for line in classified if line.startswith("License ::")]


def _component(name: str, version: str, url: PackageURL) -> Component:
    return Component(
        name=name, version=version, purl=url, bom_ref=str(url), type=ComponentType.LIBRARY
    )


def _output(*command: str) -> str:
    run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # ours
    return run.stdout.strip()


def main(image: str, file: Path) -> None:
    """Mounts an image, reads it, and writes the document."""
    container = _output("buildah", "from", "--pull-never", image)
    try:
        root = Path(_output("buildah", "mount", container))
        bom = bill_of_materials(root, image)
    finally:
        _output("buildah", "rm", container)
    text = make_outputter(bom, OutputFormat.JSON, _VERSION).output_as_string(indent=2)
    if wrong := JsonStrictValidator(_VERSION).validate_str(text):
        raise SystemExit(f"{file}: it is not CycloneDX {_VERSION.to_version()}: {wrong}")
    file.write_text(text + "\n")
    kinds = [component.purl.type for component in bom.components if component.purl]
    print(
        f"{file}: {kinds.count('deb')} packages of Debian, {kinds.count('pypi')} of PyPI, "
        f"CycloneDX {_VERSION.to_version()}"
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
