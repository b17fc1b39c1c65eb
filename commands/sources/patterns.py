"""Patterns of files, as shells and Git have them."""

import re
from collections.abc import Iterable

_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^\]/]*\]|.", re.DOTALL)


class Patterns:
    """Patterns that a path below a folder may match.

    `*` and `?` stand for any characters but `/`, and for no dot at the beginning of a name; `[a-z]`
    stands for one of some, `**` for any folders. A pattern without `/` is one of names, at any
    depth; another is one of paths from the folder.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Reads patterns; blank ones match nothing."""
        self._of_names: list[re.Pattern[str]] = []
        self._of_paths: list[re.Pattern[str]] = []
        for pattern in patterns:
            bare = pattern.removeprefix("./").strip("/")
            if bare:
                is_of_names = "/" not in bare and not pattern.startswith(("/", "./"))
                (self._of_names if is_of_names else self._of_paths).append(_compiled(bare))

    def __bool__(self) -> bool:
        return bool(self._of_names or self._of_paths)

    def match(self, path: str) -> bool:
        """Whether a path, from the folder and with `/` between its parts, matches one of them."""
        name = path.rpartition("/")[2]
        return any(one.fullmatch(name) for one in self._of_names) or any(
            one.fullmatch(path) for one in self._of_paths
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    expression = ""
    for part in _PARTS.findall(pattern):
        begins_name = not expression or expression.endswith(("/", "/)?"))
        expression += r"(?!\.)" if begins_name and part in ("*", "?") else ""
        expression += _expression(part)
    return re.compile(expression, re.DOTALL)


def _expression(part: str) -> str:
    match part:
        case "**/":
            return "(?:.*/)?"
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if len(part) > 1 and part.startswith("["):
        inner = part[1:-1].replace("\\", r"\\").replace("[", r"\[")
        negated = inner.startswith(("!", "^"))
        inner = inner[1:] if negated else inner
        return f"[{'^' if negated else ''}{inner.replace('^', chr(92) + '^')}]"
    return re.escape(part)
