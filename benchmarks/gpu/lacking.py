"""Names the packages that twopass asks for and this Python lacks, or has too old.

python benchmarks/gpu/lacking.py TREE

Of those that build it too, where the tree is built without a network. Run by a Python that may
have nothing of twopass: the standard library alone, and `packaging` where it is there.
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9._-]+")
# Ours: the script that calls this builds them from the tree.
_OURS = {"twopass-client", "twopass-models", "twopass-models-l6"}
# Asked for by what pyproject.toml does not list: the build of the readme, and the tests.
_BESIDE = ("hatch-fancy-pypi-readme", "pytest", "pytest-asyncio", "hypothesis")


def lacking(tree: Path) -> list[str]:
    """Requirements that are not met, as pyproject.toml writes them."""
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    client = tomllib.loads((tree / "client" / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *client["project"]["dependencies"],
        *_BESIDE,
    ]
    if not _has("twopass-client"):
        wanted += client["build-system"]["requires"]
    return [each for each in dict.fromkeys(wanted) if not _is_met(each)]


def _is_met(requirement: str) -> bool:
    found = _NAME.match(requirement)
    assert found is not None, requirement
    if found[0] in _OURS:
        return True
    if not _has(found[0]):
        return False
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return True
    return Requirement(requirement).specifier.contains(version(found[0]), prereleases=True)


def _has(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    print(", ".join(lacking(Path(sys.argv[1]))) or "nothing")
