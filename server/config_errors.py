"""What is wrong with a setting: where it stands, what was given, what is needed there."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from twopass.server.config import ServerConfig
from twopass.server.config_bounds import bounds_of
from twopass.server.store_url import without_password

PREFIX = "TWOPASS_"
# Variables of commands, clients and the core, which are no settings of a server.
_OTHER_VARIABLES = ("API_KEY", "CA", "CLIENT_CERTIFICATE", "CLIENT_KEY", "ISA", "TARGET", "TIMEOUT")
# Names at least this alike, of 1, are likely to be meant.
_ALIKE = 0.6
_SAME_BUT_FOR_A_SLIP = 0.85
_VALUE_OF_PYDANTIC = "Value error, "
_LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Origins:
    """Where settings come from.

    Attributes:
        flags: Names of those that flags set.
        file: The configuration file; None for none.
        text: What is in it.
    """

    flags: Iterable[str] = ()
    file: Path | None = None
    text: str = field(default="", repr=False)

    def place(self, name: str) -> str:
        """Where a setting's value stands: a flag, a variable, or a line of the file."""
        if name in self.flags:
            return f"--{name.replace('_', '-')}"
        if (variable := _variable(name)) is not None:
            return variable
        if self.file is None:
            return name
        line = line_of(name, self.text)
        return f"{self.file}, line {line}: {name}" if line else f"{self.file}: {name}"


def sentences(error: ValidationError, origins: Origins) -> str:
    """What is wrong with each setting, a line for each."""
    return "\n".join(
        dict.fromkeys(
            _sentence(str(each["loc"][0]), each["type"], each["msg"], each["input"], origins)
            for each in error.errors()
        )
    )


def unreadable_variable(name: str) -> str:
    """What is wrong with a variable that should hold a list."""
    variable = _variable(name) or f"{PREFIX}{name.upper()}"
    return f"{variable}: {_shown(os.environ.get(variable))} given; {_needed(name)} is needed"


def line_of(name: str, text: str) -> int:
    """The line of a TOML file on which a key of its top level stands; 0 if it is not found."""
    key = re.escape(name)
    pattern = rf"^[ \t]*(?:\[+[ \t]*)?(?:{key}|\"{key}\"|'{key}')[ \t]*[=.\]]"
    found = re.search(pattern, text, re.M)
    return text.count("\n", 0, found.start()) + 1 if found else 0


def misspelt_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that no setting reads, though their names are almost a setting's: a line each."""
    known = [*(name.upper() for name in ServerConfig.model_fields), *_OTHER_VARIABLES]
    told = []
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if not variable.upper().startswith(PREFIX) or name in known:
            continue
        near = difflib.get_close_matches(name, known, 1, _SAME_BUT_FOR_A_SLIP)
        if near:
            told.append(f"{variable} is no setting and changes nothing; {PREFIX}{near[0]} is one")
    return told


def _sentence(name: str, kind: str, message: str, value: object, origins: Origins) -> str:
    place = origins.place(name)
    if name == "store" and isinstance(value, str):
        value = without_password(value)
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(name.lower(), ServerConfig.model_fields, 3, _ALIKE)
        meant = f"; {' or '.join(near)} may be meant" if near else ""
        if isinstance(value, dict):
            meant = "; settings stand at the top of the file, in no table"
        return f"{place}: {_shown(value)} given, but there is no such setting{meant}"
    needed = _needed(name)
    if message.startswith(_VALUE_OF_PYDANTIC):
        needed = message.removeprefix(_VALUE_OF_PYDANTIC).removesuffix(" is needed")
    return f"{place}: {_shown(value)} given; {needed} is needed"


def _shown(value: object) -> str:
    if isinstance(value, Enum | Path):
        value = str(value)
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"


def _needed(name: str) -> str:
    """What a setting takes."""
    setting = ServerConfig.model_fields[name]
    kind: Any = setting.annotation
    if get_origin(kind) is tuple:
        return 'a list of texts, such as ["one", "two"],'
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(each.value) for each in kind)}"
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return f"{'a whole number' if kind is int else 'a number'}{_bounds(setting)}"
    return "a text" if not get_args(kind) else str(kind)


def _bounds(setting: FieldInfo) -> str:
    bounds = bounds_of(setting)
    if bounds.least is not None and bounds.most is not None:
        return f" from {bounds.least:,} to {bounds.most:,}"
    if bounds.least is not None:
        return f" of at least {bounds.least:,}"
    return f" above {bounds.above:,}" if bounds.above is not None else ""


def _variable(name: str) -> str | None:
    """The variable of the environment that sets a setting, as it is written there."""
    wanted = f"{PREFIX}{name.upper()}"
    return next((each for each in os.environ if each.upper() == wanted), None)
