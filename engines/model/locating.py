"""Finds a model's folder: a shipped name, a local path, or a hub id, perhaps with a revision."""

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

from twopass.engines.errors import ModelError
from twopass.engines.installing import how_to_install

# What is read beside weights: settings of every kind, a chat template. Weights are chosen by
# `_wanted`, so that of ten exports in a repository none is downloaded where none is read.
_SETTINGS = ("*.json", "*.jinja")
_WEIGHTS = ("model.safetensors", "model-*.safetensors")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def shipped_models() -> dict[str, Path]:
    """Models of the distributions twopass-models and twopass-models-l6, by name."""
    try:
        root = Path(str(files("twopass.models").joinpath("__init__.py"))).parent
    except ModuleNotFoundError:
        return {}
    return {p.parent.name: p.parent for p in sorted(root.glob("*/twopass.json"))}


def locate(name: str) -> Path:
    """Finds a model's folder: a shipped name, a local path, or a hub id, in this order.

    Args:
        name: A hub id may be followed by `@` and a branch, a tag or a commit.

    Raises:
        ModelError: No model of that name was found; says where it was looked for.
    """
    shipped = shipped_models()
    if name in shipped:
        return shipped[name]
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise ModelError(f"model {name!r}: a file; give the folder it lies in")
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        hub_id, _, revision = name.partition("@")
        return _download(hub_id, revision or None)
    near = get_close_matches(name, shipped, 3)
    meant = f"; {' or '.join(near)} may be meant" if near else ""
    raise ModelError(
        f"model {name!r}: no folder of that name, and not among the shipped models "
        f"({', '.join(shipped) or 'none: install twopass-models'})"
        f"{meant}; `twopass models recommend` lists public ones by size"
    )


def _download(hub_id: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ModuleNotFoundError as error:
        raise ModelError(
            f"model {hub_id!r}: a hub id needs huggingface_hub; {how_to_install('hub')}, "
            "or give a folder"
        ) from error
    try:
        names = HfApi().list_repo_files(hub_id, revision=revision)
    except Exception as refusal:  # the hub client raises requests', its own and OS errors alike
        try:
            return Path(snapshot_download(hub_id, revision=revision, local_files_only=True))
        except Exception:
            at = f" at revision {revision!r}" if revision else ""
            raise ModelError(
                f"model {hub_id!r}{at}: not in the local hub cache and the hub did not give it "
                f"({refusal}); download its folder elsewhere and give its path"
            ) from refusal
    wanted = _wanted(names)
    if not any(fnmatch(name, "*.safetensors") or ".onnx" in name for name in wanted):
        pickles = [name for name in names if any(fnmatch(name, p) for p in _PICKLES)]
        raise ModelError(
            f"model {hub_id!r}: the hub has neither model.safetensors nor model.onnx of it"
            + (
                f"; {pickles[0]} is a pickle, which can run code when it is opened and is never "
                "read: look for a revision (org/name@refs/pr/N) with safetensors, or download and "
                "convert it"
                if pickles
                else ""
            )
        )
    try:
        folder = snapshot_download(hub_id, revision=revision, allow_patterns=wanted)
    except Exception as error:
        raise ModelError(
            f"model {hub_id!r}: the hub did not give all of it ({error}); download its folder "
            "elsewhere and give its path"
        ) from error
    return Path(folder)


def _wanted(names: Sequence[str]) -> list[str]:
    """Of a repository's files those that are read: settings, and safetensors or else one graph."""
    settings = [name for name in names if any(fnmatch(name, p) for p in _SETTINGS)]
    settings = [name for name in settings if name.count("/") <= 1]
    tensors = [name for name in names if any(fnmatch(_last(name), p) for p in _WEIGHTS)]
    # Of the model itself, or of a module: a folder named by its number.
    tensors = [name for name in tensors if "/" not in name or name[0].isdigit()]
    if any("Dense" not in name for name in tensors):
        return settings + tensors
    graphs = [name for name in names if name.endswith(".onnx") and name.count("/") <= 1]
    for graph in ("model.onnx", "onnx/model.onnx"):
        if graph in graphs:
            return settings + tensors + _graph(graph, names)
    return settings + tensors + [file for graph in graphs for file in _graph(graph, names)]


def _graph(graph: str, names: Sequence[str]) -> list[str]:
    """A graph and what may hold its large tensors: files beside it that are nothing else.

    Exporters name them as they like: model.onnx_data, model.onnx.data, Constant_7_attr__value.
    """
    folder = graph.rpartition("/")[0]
    beside = [name for name in names if name.rpartition("/")[0] == folder and name != graph]
    data = [name for name in beside if name.startswith((f"{graph}_data", f"{graph}.data"))]
    constants = [name for name in beside if "Constant" in _last(name)]
    return [graph, *data, *constants]


def _last(name: str) -> str:
    return name.rpartition("/")[2]
