"""Builds what is published on PyPI: wheels and source distributions of every distribution here.

Every wheel is made from its source distribution, so that what is published builds. Wheels with the
C++ core are compiled for one processor and the oldest glibc that what twopass depends on runs on;
`auditwheel` says whether they need nothing else of the machine that they are installed on.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.release.version import ROOT, current

# apsw's wheels need it, so an older one would be of no use to anybody.
GLIBC = "2.28"
PROCESSORS = ("x86_64", "aarch64")
UV = (str(Path(sys.executable).with_name("uv")), "build")


class BuildError(Exception):
    """What is needed to build is missing, or what was built can't be published."""


@dataclass(frozen=True)
class Interpreter:
    """A version of Python that wheels with the core are compiled for.

    Attributes:
        version: What has to be installed here, as in "3.12".
        stable: Whether the wheel serves all later versions too. What the bindings need is in the
            stable ABI since 3.12.
    """

    version: str
    stable: bool

    @property
    def tag(self) -> str:
        """Its part of a wheel's name, as in "cp312"."""
        return "cp" + self.version.replace(".", "")


INTERPRETERS = (Interpreter("3.11", stable=False), Interpreter("3.12", stable=True))


def distributions(root: Path = ROOT) -> list[Path]:
    """Folders of the distributions of pure Python."""
    return [
        root / "client",
        *sorted(file.parent for file in root.glob("models/**/pyproject.toml")),
        *sorted(file.parent for file in root.glob("integrations/*/pyproject.toml")),
    ]


def run(command: Sequence[str | Path], **variables: str) -> str:
    """Runs a command and returns what it prints.

    Raises:
        BuildError: It failed; what it printed is in the message.
    """
    ended = subprocess.run(  # noqa: S603
        [str(word) for word in command],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BuildError(f"{' '.join(map(str, command))}\n{ended.stdout}")
    return ended.stdout


class Compiler:
    """Clang and libc++ of the package ziglang, which has the symbols of every glibc.

    GCC's own libraries bind a wheel to the glibc of the machine that it is built on: 2.36 on Debian
    12. docs/decisions.md has the speed of the kernels beside GCC's.
    """

    def __init__(self, processor: str, folder: Path) -> None:
        """Writes what CMake calls as a compiler.

        Args:
            processor: What it compiles for, as `uname -m` calls it.
            folder: Where its commands are put.
        """
        self._processor = processor
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        target = f"-target {processor}-linux-gnu.{GLIBC}"
        for name, options in {"c++": target, "ar": "", "ranlib": ""}.items():
            command = folder / name
            command.write_text(
                f'#!/bin/sh\nexec {sys.executable} -m ziglang {name} {options} "$@"\n'
            )
            command.chmod(0o755)

    @property
    def definitions(self) -> dict[str, str]:
        """Variables of CMake."""
        definitions = {
            "CMAKE_CXX_COMPILER": str(self._folder / "c++"),
            "CMAKE_AR": str(self._folder / "ar"),
            "CMAKE_RANLIB": str(self._folder / "ranlib"),
        }
        if self._processor != os.uname().machine:
            definitions |= {
                "CMAKE_SYSTEM_NAME": "Linux",
                "CMAKE_SYSTEM_PROCESSOR": self._processor,
                # What is compiled can't be run, so neither can programs of its kind be found here.
                "CMAKE_FIND_ROOT_PATH_MODE_PROGRAM": "NEVER",
            }
        return definitions


class Wheels:
    """Makes the files of one version, one after the other."""

    def __init__(self, output: Path, interpreters: dict[Interpreter, str]) -> None:
        """Prepares a build.

        Args:
            output: Where the files are put; it is made.
            interpreters: The command of each version of Python.
        """
        self._output = output
        self._interpreters = interpreters
        self._work = ROOT / "build" / "release"
        output.mkdir(parents=True, exist_ok=True)

    def source(self, folder: Path) -> Path:
        """Makes a source distribution."""
        with TemporaryDirectory() as made:
            run([*UV, "--sdist", folder, "--out-dir", made])
            (file,) = Path(made).glob("*.tar.gz")
            return Path(shutil.move(file, self._output / file.name))

    def pure(self, source: Path) -> Path:
        """Makes the wheel of a distribution without compiled code."""
        with TemporaryDirectory() as made:
            run([*UV, "--wheel", source, "--out-dir", made])
            (wheel,) = Path(made).glob("*-none-any.whl")
            return Path(shutil.move(wheel, self._output / wheel.name))

    def compiled(self, source: Path, interpreter: Interpreter, processor: str) -> Path:
        """Makes a wheel with the core, and says by its name where it runs.

        Raises:
            BuildError: It does not compile, or needs more of a machine than its name would say.
        """
        compiler = Compiler(processor, self._work / "compilers" / processor)
        settings = {f"cmake.define.{key}": value for key, value in compiler.definitions.items()}
        variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        if interpreter.stable:
            settings |= {"wheel.py-api": interpreter.tag, "cmake.define.TWOPASS_STABLE_ABI": "ON"}
        if processor != os.uname().machine:
            settings["cmake.define.TWOPASS_STUB"] = str(self._stub())
            variables |= {
                "_PYTHON_HOST_PLATFORM": f"linux-{processor}",
                "SETUPTOOLS_EXT_SUFFIX": f".cpython-{interpreter.tag[2:]}-{processor}-linux-gnu.so",
            }
        with TemporaryDirectory() as made:
            python = self._interpreters[interpreter]
            options = [f"-C{key}={value}" for key, value in settings.items()]
            run(
                [*UV, "--wheel", source, "--python", python, "--out-dir", made, *options],
                **variables,
            )
            (built,) = Path(made).glob("*.whl")
            return self._named(built, interpreter, processor)

    def _named(self, built: Path, interpreter: Interpreter, processor: str) -> Path:
        """Names the platform of a wheel, once it is known to run there."""
        platform = f"manylinux_{GLIBC.replace('.', '_')}_{processor}"
        found = run([sys.executable, "-m", "auditwheel", "show", built])
        if not runs_with(GLIBC, processor, found):
            raise BuildError(f"{built.name} is no {platform}:\n{found}")
        if interpreter.stable:
            run([Path(sys.executable).with_name("abi3audit"), "--strict", built])
        tags = ["--platform-tag", platform, "--remove"]
        name = run([sys.executable, "-m", "wheel", "tags", *tags, built]).split()[-1]
        return Path(shutil.move(built.parent / name, self._output / name))

    def _stub(self) -> Path:
        """The module's types, out of a wheel for this machine: they are read by importing it."""
        here = os.uname().machine
        wheels = sorted(self._output.glob(f"twopass-{current()}-*_{here}.whl"))
        if not wheels:
            raise BuildError(f"build for {here} first: the types of the module come from there")
        with zipfile.ZipFile(wheels[0]) as archive:
            return Path(archive.extract("twopass/_core.pyi", self._work / "stub"))


def runs_with(glibc: str, processor: str, audit: str) -> bool:
    """Whether a wheel runs with a glibc, by what `auditwheel show` says of it."""
    found = re.search(rf'"manylinux_2_(\d+)_{processor}"', audit)
    return found is not None and int(found[1]) <= int(glibc.removeprefix("2."))


# What an interpreter says of itself: its version, and where its headers should be.
_ASK = "import sysconfig; print(sysconfig.get_python_version(), sysconfig.get_path('include'))"


def find_interpreter(interpreter: Interpreter) -> str:
    """Finds a version of Python with its headers: on PATH, or where pyenv and uv keep theirs.

    Raises:
        BuildError: It is not installed, or without headers.
    """
    version = interpreter.version
    home = Path.home()
    for command in (
        shutil.which(f"python{version}"),
        *home.glob(f".pyenv/versions/{version}.*/bin/python"),
        *home.glob(f".local/share/uv/python/cpython-{version}.*/bin/python"),
    ):
        if command is None:
            continue
        said = subprocess.run(  # noqa: S603
            [command, "-c", _ASK], capture_output=True, text=True, check=False
        ).stdout.split()
        if len(said) == 2 and said[0] == version and (Path(said[1]) / "Python.h").exists():
            return str(command)
    raise BuildError(
        f"Python {version} with its headers was not found; wheels are compiled for it. Install "
        f"it, for example by: uv python install {version}"
    )


def build(output: Path, processors: Sequence[str], only: Sequence[str]) -> Iterator[Path]:
    """Makes everything that is published on PyPI.

    Args:
        output: Where it is put.
        processors: What the core is compiled for.
        only: Names of distributions, as in pyproject.toml; empty for all.

    Yields:
        Each file, when it is there.
    """
    versions = INTERPRETERS if not only or "twopass" in only else ()
    wheels = Wheels(output, {each: find_interpreter(each) for each in versions})
    for folder in distributions():
        if only and project_name(folder) not in only:
            continue
        yield (source := wheels.source(folder))
        yield wheels.pure(source)
    if not versions:
        return
    yield (source := wheels.source(ROOT))
    for processor in sorted(processors, key=lambda each: each != os.uname().machine):
        for interpreter in versions:
            yield wheels.compiled(source, interpreter, processor)


def project_name(folder: Path) -> str:
    """The name of a distribution."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["name"])


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names of distributions, all without one")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="dist unless told")
    parser.add_argument(
        "--processors",
        nargs="+",
        choices=PROCESSORS,
        default=[os.uname().machine],
        help="what the core is compiled for, this machine's kind unless told",
    )
    arguments = parser.parse_args()
    print(f"# twopass {current()}, glibc {GLIBC} or newer; seconds are those of this machine now")
    print(f"{'seconds':>8} {'kB':>8}  file")
    began = time.monotonic()
    try:
        for file in build(arguments.output, arguments.processors, arguments.only):
            took, began = time.monotonic() - began, time.monotonic()
            print(f"{took:>8.1f} {file.stat().st_size / 1000:>8.0f}  {file.name}", flush=True)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
