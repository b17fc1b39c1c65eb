"""The distributions below integrations/, and an environment for each, kept between runs.

An environment holds the versions that `requirements-test.txt` pins, or `requirements-oldest.txt`,
the client as a wheel, and the distribution's own code by a link to the tree. It is made anew when
one of these files changed.
"""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution as Installed
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tests.environments import ROOT, prepare, python_of

HOMES = ROOT / ".venv-integrations"


@dataclass(frozen=True)
class Distribution:
    """An integration: a folder with a `pyproject.toml`, pinned requirements, and tests.

    Attributes:
        pins: The requirements of its environment, a file of its folder.
    """

    pins: Path

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.pins.parent

    @property
    def name(self) -> str:
        """The folder's name, and whether its requirements are not those of every day."""
        which = self.pins.stem.removeprefix("requirements-")
        return self.folder.name if which == "test" else f"{self.folder.name}-{which}"

    @cached_property
    def project(self) -> dict[str, Any]:
        """What its `pyproject.toml` says."""
        return tomllib.loads((self.folder / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def home(self) -> Path:
        """Its environment."""
        return HOMES / self.name

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return python_of(self.home)

    @cached_property
    def siblings(self) -> list[Path]:
        """The folders of the distributions beside it that it depends on."""
        needed = (Requirement(each).name for each in self.project["project"]["dependencies"])
        folders = (self.folder.parent / name for name in needed)
        return [folder for folder in folders if (folder / "pyproject.toml").exists()]

    @property
    def is_typed(self) -> bool:
        """Whether it says how mypy is to check it."""
        return "mypy" in self.project.get("tool", {})

    def install(self, client: Path) -> None:
        """Makes the environment, unless it is there and up to date.

        Args:
            client: The client's wheel.

        Raises:
            InstallError: A package could not be installed.
        """
        linked = (self.folder, *self.siblings)
        read = (self.pins, client, *(folder / "pyproject.toml" for folder in linked))
        links = [part for folder in linked for part in ("--editable", folder)]
        prepare(self.home, read, ("--requirements", self.pins, client.resolve(), *links))

    def versions(self) -> str:
        """The versions of its framework and of the suites that its group `suites` names."""
        needed = [
            *self.project["project"]["dependencies"],
            *self.project.get("dependency-groups", {}).get("suites", ()),
        ]
        names = [Requirement(each).name for each in needed]
        folders = [str(folder) for folder in self.home.glob("lib/python*/site-packages")]
        return ", ".join(
            f"{name} {next(iter(Installed.discover(name=name, path=folders))).version}"
            for name in names
            if "twopass" not in name
        )


def distributions(part: str, which: str) -> list[Distribution]:
    """The distributions to test, by name.

    Args:
        part: Only those whose folder's name contains this.
        which: Which requirements: "test", which all of them have, or "oldest".
    """
    found = sorted((ROOT / "integrations").glob(f"*/requirements-{which}.txt"))
    return [Distribution(file) for file in found if part in file.parent.name]
