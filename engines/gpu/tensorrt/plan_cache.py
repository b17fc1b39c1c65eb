"""Plans on disk, in a folder of our own: a plan is code, so none is ever taken from elsewhere."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twopass.engines.errors import EngineError
from twopass.engines.gpu.tensorrt.build import Profile

_logger = logging.getLogger("twopass.engines")


@dataclass(frozen=True, slots=True)
class PlanKey:
    """Everything that a plan depends on: where one of these differs, so does the plan.

    Attributes:
        weights: Revision of the model.
        graph_version: `engines.onnx.graph.GRAPH_VERSION`.
        tensorrt: Package and version.
        gpu: Name and compute capability, or "any" for a portable plan.
        profiles: Shapes that the plan covers.
        precision: "fp16" or "f32".
    """

    weights: str
    graph_version: int
    tensorrt: str
    gpu: str
    profiles: tuple[Profile, ...]
    precision: str

    @property
    def digest(self) -> str:
        """sha256 of all fields, hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def default_plan_folder() -> Path:
    """`twopass/plans` in the user's cache folder (XDG Base Directory Specification 0.8)."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "twopass" / "plans"


class PlanCache:
    """A folder of plans. Several processes may share it: files appear whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder, or makes it with mode 0700.

        Raises:
            EngineError: It belongs to, or can be opened by, anybody else; or it can't be made.
        """
        try:
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            status = folder.stat()
        except OSError as error:
            raise EngineError(f"plan cache {folder}: can't be made ({error})") from error
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise EngineError(
                f"plan cache {folder}: is of user {status.st_uid} with mode "
                f"{status.st_mode & 0o777:04o}, must be of user {os.geteuid()} with mode 0700, "
                "since plans are code: change it, or set XDG_CACHE_HOME to another folder"
            )
        self.folder = folder

    def plan_file(self, key: PlanKey) -> Path:
        """Where the plan of a key is, or would be."""
        return self.folder / f"{key.digest[:32]}.plan"

    def get(self, key: PlanKey) -> bytes | None:
        """The plan of a key; None, with a log line, where it is missing or damaged."""
        file = self.plan_file(key)
        try:
            plan = file.read_bytes()
            label = json.loads(_label(file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            _logger.info("no plan in the cache", extra={"file": str(file)})
            return None
        except (OSError, ValueError) as error:
            return _refused(file, f"can't be read ({error})")
        if not isinstance(label, Mapping) or label.get("key") != _plain(key):
            return _refused(file, "was built for something else")
        if label.get("sha256") != hashlib.sha256(plan).hexdigest():
            return _refused(file, "is damaged: its sha256 is another")
        return plan

    def put(self, key: PlanKey, plan: bytes) -> Path:
        """Keeps a plan, in place of an earlier one of this key.

        Raises:
            EngineError: The disk refuses.
        """
        file = self.plan_file(key)
        label = {"key": _plain(key), "sha256": hashlib.sha256(plan).hexdigest()}
        try:
            # The label goes last: a plan under an older label is refused, never believed.
            _write(file, plan)
            _write(_label(file), json.dumps(label, indent=1).encode())
        except OSError as error:
            raise EngineError(f"plan cache {file}: can't be written ({error})") from error
        return file

    def timing_cache(self, tensorrt: str, gpu: str) -> bytes:
        """Kernels measured by earlier builds on a GPU; empty where there are none."""
        try:
            return self._timing_file(tensorrt, gpu).read_bytes()
        except OSError:
            return b""

    def put_timing_cache(self, tensorrt: str, gpu: str, content: bytes) -> None:
        """Keeps measured kernels; a full disk costs nothing but the next build's time."""
        try:
            _write(self._timing_file(tensorrt, gpu), content)
        except OSError as error:
            _logger.warning("timing cache not kept: %s", error)

    def refusal(self, tensorrt: str, gpu: str) -> str:
        """What TensorRT said when it refused a GPU; "" where it did not, or nobody remembers."""
        try:
            return self._refusal_file(tensorrt, gpu).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def put_refusal(self, tensorrt: str, gpu: str, words: str) -> None:
        """Remembers a refusal; a full disk costs nothing but the next process's time."""
        file = self._refusal_file(tensorrt, gpu)
        try:
            _write(file, f"{words} (remembered in {file}; delete it to try again)".encode())
        except OSError as error:
            _logger.warning("refusal of a GPU not kept: %s", error)

    def _refusal_file(self, tensorrt: str, gpu: str) -> Path:
        digest = hashlib.sha256(f"{tensorrt} {gpu}".encode()).hexdigest()
        return self.folder / f"{digest[:32]}.refused"

    def _timing_file(self, tensorrt: str, gpu: str) -> Path:
        digest = hashlib.sha256(f"{tensorrt} {gpu}".encode()).hexdigest()
        return self.folder / f"{digest[:32]}.timing"


def _refused(file: Path, reason: str) -> bytes | None:
    """No plan, and a log line that says why."""
    _logger.warning("cached plan %s %s: building it anew", file, reason)
    return None


def _plain(key: PlanKey) -> dict[str, Any]:
    """A key as JSON gives it back: lists for tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(key)))
    return plain


def _label(plan_file: Path) -> Path:
    return plan_file.with_suffix(".json")


def _write(file: Path, content: bytes) -> None:
    """Writes a file at once: whoever reads sees all of it or what was there before."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".writing-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
