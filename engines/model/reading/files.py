"""The JSON files of a model folder, and the notes of what was read from them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twopass.engines.errors import ModelError


@dataclass(frozen=True, slots=True)
class Reading:
    """A setting as it was understood.

    Attributes:
        setting: Its name: "pooling", "query_prefix", ….
        value: For people.
        source: The file it comes from, relative to the folder, or why it is so without one.
    """

    setting: str
    value: str
    source: str


class FolderFiles:
    """A folder whose files are read one after the other.

    Attributes:
        path: The folder.
        readings: What was read so far, in order.
        warnings: What a user should know and that refuses nothing.
    """

    def __init__(self, path: Path, root: "FolderFiles | None" = None) -> None:
        """Reads nothing yet.

        Args:
            path: The folder.
            root: The folder that this one is part of, which then keeps the notes of both.
        """
        self.path = path
        self._root = root or self
        self.readings: list[Reading] = root.readings if root else []
        self.warnings: list[str] = root.warnings if root else []

    def within(self, name: str) -> "FolderFiles":
        """A folder of this folder, "" for itself."""
        return FolderFiles(self.path / name, self._root) if name else self

    def note(self, setting: str, value: object, source: str) -> None:
        """Keeps what a setting is and where it comes from."""
        file = self.path / source
        if self is not self._root and file.exists():
            source = file.relative_to(self._root.path).as_posix()
        self.readings.append(Reading(setting, str(value), source))

    def warn(self, sentence: str) -> None:
        """Keeps a sentence for the log and for `twopass models check`."""
        self.warnings.append(sentence)

    def json(self, name: str) -> dict[str, Any]:
        """Reads a JSON object.

        Raises:
            ModelError: The file is missing, or holds something else.
        """
        content = self._content(name)
        if not isinstance(content, dict):
            raise ModelError(f"{self.path / name}: holds a {type(content).__name__}, not an object")
        return content

    def optional_json(self, name: str) -> dict[str, Any]:
        """The same; empty where there is no such file."""
        return self.json(name) if (self.path / name).exists() else {}

    def json_list(self, name: str) -> list[Any]:
        """Reads a JSON list.

        Raises:
            ModelError: The file is missing, or holds something else.
        """
        content = self._content(name)
        if not isinstance(content, list):
            raise ModelError(f"{self.path / name}: holds a {type(content).__name__}, not a list")
        return content

    def refuse(self, name: str, problem: str) -> ModelError:
        """The error that names a file of the folder; the caller raises it."""
        return ModelError(f"{self.path / name}: {problem}")

    def require_known(self, name: str, content: Mapping[str, Any], known: frozenset[str]) -> None:
        """Refuses what could change the output and is not understood.

        Raises:
            ModelError: A key that is not `known` has a value.
        """
        unknown = [
            key
            for key, value in content.items()
            if key not in known and value not in (None, False, [], {}, "")
        ]
        if unknown:
            raise self.refuse(
                name,
                f"{unknown[0]} is {content[unknown[0]]!r}, which is not understood and may change "
                "the output; delete the key if it does not",
            )

    def _content(self, name: str) -> Any:
        file = require_file(self.path / name)
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ModelError(f"{file}: not valid JSON ({error})") from error


def require_file(file: Path) -> Path:
    """The file.

    Raises:
        ModelError: It is missing.
    """
    if not file.is_file():
        raise ModelError(
            f"{file}: missing; a model folder holds config.json, tokenizer.json and weights"
        )
    return file
