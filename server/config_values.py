"""What settings of a server may be: the choices of some, and the checks of others."""

import re
from enum import StrEnum
from typing import Any

from twopass.index.languages import ALGORITHMS, NONE
from twopass.server.shadow_spec import parse_shadow, shadow_text

ALL_GPUS = "all"
"""In `ServerConfig.devices`: every GPU of the machine."""


class UnknownModel(StrEnum):
    """What becomes of a request over HTTP that names a model which the server does not hold."""

    DEFAULT = "default"
    REJECT = "reject"


class ServerRole(StrEnum):
    """What a server does."""

    SERVER = "server"
    ENGINE = "engine"


class VectorDevice(StrEnum):
    """Where the vectors of collections are searched."""

    CPU = "cpu"
    GPU = "gpu"


class RetrieveMode(StrEnum):
    """How candidates are found."""

    DENSE = "dense"
    LEXICAL = "lexical"
    HYBRID = "hybrid"


class FusionChoice(StrEnum):
    """How the dense and the lexical list are joined."""

    RRF = "rrf"
    CONVEX = "convex"


def checked_language(language: str) -> str:
    """The language itself, if words of it can be indexed."""
    if language not in ALGORITHMS and language != NONE:
        raise ValueError(f"one of {', '.join(ALGORITHMS)}, or {NONE}, is needed")
    return language


def checked_devices(devices: tuple[str, ...]) -> tuple[str, ...]:
    """The devices themselves, if each is one, or the only one stands for all."""
    if devices == (ALL_GPUS,):
        return devices
    if ALL_GPUS in devices:
        raise ValueError("all stands for every GPU, and is given alone")
    if not all(re.fullmatch(r"cpu|cuda:\d+", device) for device in devices):
        raise ValueError("cpu, or cuda: and the number of a GPU, or all for every GPU, is needed")
    return devices


def checked_shadows(shadows: tuple[str, ...]) -> tuple[str, ...]:
    """The shadows themselves, if they are well-formed, each of a name of its own."""
    names = [parse_shadow(shadow).name for shadow in shadows]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]}: two shadows have this name; give each its own")
    return shadows


def shadow_texts(shadows: Any) -> Any:
    """Tables of a file as texts, as flags have them."""
    return [shadow_text(each) for each in shadows] if isinstance(shadows, list) else shadows
