"""Front matter: what stands before a text, in YAML between `---` or in TOML between `+++`."""

import datetime
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

_YAML = re.compile(
    r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)
_TOML = re.compile(r"\+\+\+[ \t]*\r?\n(.*?)^\+\+\+[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
# YAML can name a value and repeat it, and so grow without bounds.
_MAX_VALUES = 10_000
_MAX_DEPTH = 64
_TITLE = "title"
# A document's own fields; front matter's of these names get a prefix.
_TAKEN = frozenset(("id", "text", "path"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """A text parted from its front matter.

    Attributes:
        text: The text after it; all of it where there is none.
        title: Its title; empty without one.
        metadata: Its other fields, as JSON has values: dates are text. Fields called id, text and
            path are called front_matter_id, front_matter_text and front_matter_path.
        problem: Why what looks like front matter is none; empty where nothing is wrong.
    """

    text: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def split_front_matter(text: str) -> FrontMatter:
    """Parts a text from its front matter."""
    if found := _YAML.match(text):
        name, parse = "YAML", _parse_yaml
    elif found := _TOML.match(text):
        name, parse = "TOML", _parse_toml
    else:
        return FrontMatter(text=text)
    try:
        parsed = parse(found[1])
        if parsed is not None and not isinstance(parsed, dict):
            return FrontMatter(text=text)  # a line between two paragraphs
        fields = _Plain().value(parsed or {})
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        return FrontMatter(text=text, problem=f"front matter that is not {name} ({why})")
    title = fields.pop(_TITLE, None)
    metadata = {
        f"front_matter_{key}" if key in _TAKEN else key: value for key, value in fields.items()
    }
    return FrontMatter(
        text=text[found.end() :], title="" if title is None else str(title), metadata=metadata
    )


def _parse_yaml(text: str) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, loader)  # noqa: S506, the loader is safe
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "damaged"
        # The first line of the front matter is the second of its file, and marks count from 0.
        raise ValueError(f"{problem}, line {mark.line + 2}" if mark else problem) from error
    except RecursionError:
        raise
    except Exception as error:
        # Values that are no such thing as their tags say: PyYAML's constructors raise what Python
        # happens to raise then, AttributeError for `!!timestamp x`, KeyError for `!!bool x`.
        raise ValueError(f"a value that its tag doesn't fit, {_told(error)}") from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _parse_toml(text: str) -> dict[str, Any]:
    # A line before it, so that errors count lines as the file does.
    return tomllib.loads("\n" + text.replace("\r\n", "\n"))


class _Plain:
    """Turns values into those of JSON, and counts them."""

    def __init__(self) -> None:
        self._num_values = 0

    def value(self, value: Any, depth: int = 0) -> Any:
        """The value as JSON has it.

        Raises:
            ValueError: It holds too many values, or itself.
        """
        self._num_values += 1
        if self._num_values > _MAX_VALUES:
            raise ValueError(f"more than {_MAX_VALUES:,} values")
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested deeper than {_MAX_DEPTH}")
        if isinstance(value, dict):
            return {
                key if isinstance(key, str) else str(self.value(key, depth + 1)): self.value(
                    item, depth + 1
                )
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, datetime.date | datetime.time):
            return value.isoformat()
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return value
