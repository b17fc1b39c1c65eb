"""Looks for known vulnerabilities in what an image is made of, and says what could not be asked.

`make scan-image` runs it on the document of bill_of_materials.py. Three are asked: OSV, of the
packages of PyPI; Debian's security tracker, by debsecan; and Debian's archive, for versions newer
than the image's, which is how Debian publishes what is fixed. It exits with 1 where one of them
knows of something, and with 2 where none could be asked, which is no proof of anything.
"""

import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_ARCHIVE = "http://deb.debian.org"
_SUITES = (
    "debian/dists/trixie",
    "debian/dists/trixie-updates",
    "debian-security/dists/trixie-security",
)
_SUITE = "trixie"


class UnreachableError(Exception):
    """A source could not be asked; says why."""


def ask_osv(components: Sequence[dict[str, Any]]) -> list[str]:
    """Vulnerabilities of packages of PyPI, by pip-audit."""
    own = re.compile("twopass")  # those of this project are not published yet when an image is made
    packages = [c for c in _of_kind(components, "pypi") if not own.match(c["name"])]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(f"{c['name']}=={c['version']}" for c in packages))
        file.flush()
        told = _run(
            *("pip-audit", "--requirement", file.name, "--disable-pip", "--no-deps"),
            *("--vulnerability-service", "osv", "--progress-spinner", "off", "--format", "json"),
        )
    if not told.stdout.startswith("{"):
        raise UnreachableError((told.stderr.strip() or "pip-audit said nothing").splitlines()[-1])
    return [
        f"{package['name']} {package['version']}: {found['id']}, "
        f"fixed in {', '.join(found['fix_versions']) or 'no version yet'}"
        for package in json.loads(told.stdout)["dependencies"]
        for found in package.get("vulns", ())
    ]


def ask_tracker(components: Sequence[dict[str, Any]]) -> list[str]:
    """Vulnerabilities of packages of Debian that are fixed in its archive, by debsecan."""
    if shutil.which("debsecan") is None:
        raise UnreachableError("debsecan is not installed")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(map(_paragraph, _of_kind(components, "deb"))))
        file.flush()
        told = _run(
            *("debsecan", "--suite", _SUITE, "--status", file.name, "--only-fixed"),
            *("--format", "detail"),
        )
    if told.returncode:
        raise UnreachableError(" ".join(told.stderr.split()))
    return [line for line in told.stdout.splitlines() if line.startswith("CVE-")]


def ask_archive(components: Sequence[dict[str, Any]]) -> list[str]:
    """Packages of which Debian has a newer version than the image."""
    newest: dict[str, str] = {}
    for suite in _SUITES:
        try:
            url = f"{_ARCHIVE}/{suite}/main/binary-amd64/Packages.xz"
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # a constant's scheme
                text = lzma.decompress(answer.read()).decode()
        except (urllib.error.URLError, OSError) as error:
            raise UnreachableError(f"{suite}: {error}") from error
        for name, version in re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)", text, re.M):
            if name not in newest or _is_newer(version, newest[name]):
                newest[name] = version
    return [
        f"{c['name']} {c['version']}: {newest[c['name']]} is there"
        for c in _of_kind(components, "deb")
        if c["name"] in newest and _is_newer(newest[c["name"]], c["version"])
    ]


def _of_kind(components: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [c for c in components if c["purl"].startswith(f"pkg:{kind}/")]


def _paragraph(component: dict[str, Any]) -> str:
    source = re.search(r"upstream=([^&]+?)(?:%40|@)([^&]+)", component["purl"])
    assert source is not None
    name, version = (urllib.parse.unquote(part) for part in source.groups())
    return (
        f"Package: {component['name']}\nStatus: install ok installed\nArchitecture: all\n"
        f"Source: {name} ({version})\nVersion: {component['version']}\n"
    )


def _is_newer(version: str, than: str) -> bool:
    compared = ("dpkg", "--compare-versions", version, "gt", than)
    return version != than and _run(*compared).returncode == 0


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(  # noqa: S603  # no word of it comes from elsewhere
        command, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
    )


def main(file: Path) -> int:
    """Asks all three; returns the exit status."""
    components = json.loads(file.read_text())["components"]
    sources: dict[str, Callable[[Sequence[dict[str, Any]]], list[str]]] = {
        "OSV, of PyPI's packages": ask_osv,
        "Debian's security tracker": ask_tracker,
        "Debian's archive, for newer versions": ask_archive,
    }
    num_found = num_asked = 0
    for source, ask in sources.items():
        try:
            found = ask(components)
        except UnreachableError as error:
            print(f"{source}: could not be asked ({error})")
            continue
        num_asked += 1
        num_found += len(found)
        print(f"{source}: {len(found) or 'nothing'} found", *found, sep="\n  ")
    if num_asked == 0:
        return 2
    return int(num_found > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
