"""Writes what the image installs from PyPI: every package with its version and digests.

`make image-lock` runs it; needs uv and PyPI. Versions are the newest that pyproject.toml admits,
for both architectures of the image.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECTS = (
    "pyproject.toml",
    "client/pyproject.toml",
    "models/pyproject.toml",
    "models/twopass-minilm-l6/pyproject.toml",
)
PYTHON = "3.13"
"""The Python of Debian 13, the image's base."""

EXTRAS = {
    "cpu": ("hub", "tracing", "postgres"),
    "cuda": ("hub", "tracing", "postgres", "torch"),
}
"""The extras of each variant: the Hub's models, traces, PostgreSQL, and what runs on a GPU."""


def requirements(variant: str) -> list[str]:
    """What a variant needs of PyPI: the dependencies of all its distributions, and its extras.

    Args:
        variant: One of `EXTRAS`.
    """
    projects = [tomllib.loads((ROOT / path).read_text())["project"] for path in PROJECTS]
    own = {project["name"] for project in projects}
    needed = [line for project in projects for line in project.get("dependencies", ())]
    needed += [
        line for extra in EXTRAS[variant] for line in projects[0]["optional-dependencies"][extra]
    ]
    return [line for line in needed if line.partition("=")[0] not in own]


def lock(variant: str) -> None:
    """Resolves a variant's requirements and writes them beside this file.

    Args:
        variant: One of `EXTRAS`.
    """
    command = [
        *("uv", "pip", "compile", "-", "--quiet", "--universal", "--generate-hashes", "--upgrade"),
        *("--python-version", PYTHON, "--no-header", "--no-annotate", "--no-strip-markers"),
        # Wheels alone: the image compiles twopass and nothing else.
        *("--only-binary", ":all:", "--default-index", "https://pypi.org/simple"),
    ]
    packages = subprocess.run(  # noqa: S603  # no word of it comes from elsewhere
        command, input="\n".join(requirements(variant)), check=True, capture_output=True, text=True
    ).stdout
    file = Path(__file__).with_name(f"requirements-{variant}.txt")
    file.write_text(f"# Written by `make image-lock` from pyproject.toml.\n{packages}")
    print(f"{file.relative_to(ROOT)}: {len(re.findall('^[a-z]', packages, re.MULTILINE))} packages")


if __name__ == "__main__":
    for name in sys.argv[1:] or EXTRAS:
        lock(name)
