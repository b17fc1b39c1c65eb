"""A container without a container engine, by util-linux alone.

It gives an image what `docker run --read-only --tmpfs /tmp --network none --cap-drop ALL
--volume …:/data` does, as far as the kernel is concerned: mounts, process ids and a network of its
own, the image's user, no capability.
"""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# The network is the loopback interface alone: what works here works offline. Only root may enter a
# root, so the user changes after that.
_ENTER = """
set -e
mount --make-rprivate /
mount --bind {root} {root}
mount --bind {data} {root}/data
mount -t tmpfs -o nosuid,nodev tmpfs {root}/tmp
mount -t proc proc {root}/proc
mount --bind /dev {root}/dev
mount -o remount,bind,ro {root}
ip link set lo up
exec chroot {root} setpriv --reuid={uid} --regid={gid} --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all -- sh -c 'cd "$0" && exec "$@"' {folder} {command}
"""
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Image:
    """An image that buildah has built, mounted for as long as a `with` block lasts.

    Attributes:
        root: Its files.
        config: What it says of itself, as Docker knows it.
    """

    def __init__(self, name: str) -> None:
        """Names it."""
        self._name = name

    def __enter__(self) -> Self:
        self._container = _output("buildah", "from", "--pull-never", self._name)
        self.root = Path(_output("buildah", "mount", self._container))
        told = json.loads(_output("buildah", "inspect", "--type", "image", self._name))
        self.config: dict[str, Any] = told["Docker"]["config"]
        self.layers = [layer["size"] for layer in json.loads(told["Manifest"])["layers"]]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        subprocess.run(["buildah", "rm", self._container], check=True, capture_output=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets."""
        return dict(variable.split("=", 1) for variable in self.config["Env"])


class Container:
    """An image's own command, or another, under way."""

    def __init__(
        self,
        image: Image,
        data: Path,
        *command: str,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Starts it.

        Args:
            image: The image.
            data: The folder that is its volume /data.
            command: Follows the entry point, in place of the image's own.
            environment: Variables beside the image's.
        """
        self._image = image
        self._environment = image.environment | (environment or {})
        self._environment["PATH"] += f":{_SYSTEM_PATH}"
        self._uid, self._gid = image.config["User"].split(":")
        script = _ENTER.format(
            root=image.root,
            data=shlex.quote(str(data)),
            uid=self._uid,
            gid=self._gid,
            folder=image.config["WorkingDir"],
            command=shlex.join([*image.config["Entrypoint"], *(command or image.config["Cmd"])]),
        )
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", script],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def output(self, timeout: float = 300) -> tuple[int, str]:
        """Waits for the end: the exit status, and what was printed."""
        text, _ = self._process.communicate(timeout=timeout)
        return self._process.returncode, text

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command beside the first, as `docker exec` does."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--root", "--wd"]
        return subprocess.run(
            [*enter, f"--setuid={self._uid}", f"--setgid={self._gid}", "--", *command],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def healthy(self) -> bool:
        """What the image's health check says."""
        kind, *command = self._image.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.run(*command).returncode == 0

    def wait_until_healthy(self, seconds: float = 180) -> float:
        """Waits until it is; returns how many seconds that took."""
        began = time.monotonic()
        self._wait(self.healthy, seconds)
        return time.monotonic() - began

    def stop(self) -> tuple[int, str]:
        """Sends the image's stop signal, as `docker stop` does, and waits for the end."""
        os.kill(self.pid, signal.Signals[self._image.config.get("StopSignal", "SIGTERM")])
        return self.output()

    @property
    def pid(self) -> int:
        """Of the container's first process, as this machine numbers it."""
        self._wait(lambda: self._children() != "", 30)
        return int(self._children().split()[0])

    def _children(self) -> str:
        parent = self._process.pid
        return Path(f"/proc/{parent}/task/{parent}/children").read_text()

    def _wait(self, holds: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not holds():
            if self._process.poll() is not None:
                raise AssertionError(f"it has ended: {self.output()}")
            if time.monotonic() > end:
                self._process.kill()
                raise AssertionError(f"not within {seconds} seconds: {self.output()}")
            time.sleep(0.2)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
