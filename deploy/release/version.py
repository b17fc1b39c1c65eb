"""The version of every distribution: shows it, checks that all agree, or writes another one.

The version in `pyproject.toml` at the root is the one that counts. Every distribution repeats it as
plain text, so that each can be built from its own folder or source distribution alone.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A version that PyPI, npm and Helm read alike: their spellings of pre-releases differ.
VERSION = re.compile(r"\d+\.\d+\.\d+")


class VersionError(ValueError):
    """A version is malformed, or does not stand where it has to."""


@dataclass(frozen=True)
class Place:
    """Where a version is written.

    Attributes:
        files: A glob below the root. `integrations/*/pyproject.toml` finds whatever is there.
        pattern: What stands around it; its one group is the version.
        optional: Whether a file may lack it: not every distribution depends on another.
    """

    files: str
    pattern: re.Pattern[str]
    optional: bool = False


_PROJECT = re.compile(r'^version = "([^"]*)"', re.M)
_PINNED = re.compile(r'"twopass-[a-z0-9-]+==([^"; ]*)')
_PYTHON = (
    "pyproject.toml",
    "client/pyproject.toml",
    "models/**/pyproject.toml",
    "integrations/*/pyproject.toml",
)
PLACES = (
    *(Place(files, _PROJECT) for files in _PYTHON),
    *(Place(files, _PINNED, optional=True) for files in _PYTHON),
    Place("client/typescript/package.json", re.compile(r'^  "version": "([^"]*)"', re.M)),
    Place(
        "client/typescript/package-lock.json",
        re.compile(r'"name": "twopass-client",\s+"version": "([^"]*)"'),
    ),
    Place("examples/node/package.json", re.compile(r'"twopass-client": "\^([^"]*)"')),
    Place("deploy/**/Chart.yaml", re.compile(r'^(?:version|appVersion): "?([^"\s]*)', re.M)),
)


@dataclass(frozen=True)
class Written:
    """A version as it stands in a file."""

    file: Path
    line: int
    version: str


def find(root: Path = ROOT) -> list[Written]:
    """Finds every version of the repository.

    Raises:
        VersionError: A file lacks the version that it has to have.
    """
    found = []
    for place in PLACES:
        for file in sorted(root.glob(place.files)):
            text = file.read_text("utf-8")
            here = [
                Written(file.relative_to(root), text.count("\n", 0, match.start(1)) + 1, match[1])
                for match in place.pattern.finditer(text)
            ]
            if not here and not place.optional:
                raise VersionError(
                    f"{file.relative_to(root)}: no version found; write it as "
                    f"{place.pattern.pattern} matches it"
                )
            found += here
    return found


def current(root: Path = ROOT) -> str:
    """The version that counts: that of the root's `pyproject.toml`."""
    return next(w.version for w in find(root) if w.file == Path("pyproject.toml"))


def write(version: str, root: Path = ROOT) -> list[Path]:
    """Writes a version wherever one stands.

    Returns:
        The files that changed.

    Raises:
        VersionError: It is not of the form MAJOR.MINOR.PATCH.
    """
    if not VERSION.fullmatch(version):
        raise VersionError(f"version: {version!r} given, MAJOR.MINOR.PATCH is needed, as in 1.2.3")
    find(root)
    changed = set()
    for place in PLACES:
        for file in root.glob(place.files):
            before = file.read_text("utf-8")
            after = place.pattern.sub(lambda match: _replaced(match, version), before)
            if after != before:
                file.write_text(after, "utf-8")
                changed.add(file.relative_to(root))
    return sorted(changed)


def _replaced(match: re.Match[str], version: str) -> str:
    start, end = match.start(1) - match.start(), match.end(1) - match.start()
    return match[0][:start] + version + match[0][end:]


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", help="the version to write, as in 1.2.3")
    parser.add_argument("--check", action="store_true", help="fail where two versions differ")
    arguments = parser.parse_args()
    try:
        if arguments.version:
            for file in write(arguments.version):
                print(file)
            return 0
        version = current()
        others = [written for written in find() if written.version != version]
    except VersionError as error:
        print(error, file=sys.stderr)
        return 2
    print(version)
    if arguments.check:
        for written in others:
            print(
                f"{written.file}:{written.line}: {written.version}, pyproject.toml has {version}; "
                f"write all with: make version VERSION={version}",
                file=sys.stderr,
            )
        return bool(others)
    return 0


if __name__ == "__main__":
    sys.exit(main())
