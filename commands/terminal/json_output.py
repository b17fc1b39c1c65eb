"""Results for scripts: one JSON document on stdout, and nothing beside it."""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from twopass.commands.terminal.printable import printable_json


def print_json(content: object) -> None:
    """Prints a JSON document, indented by two spaces."""
    sys.stdout.write(json_document(content) + "\n")
    sys.stdout.flush()


def json_document(content: object) -> str:
    """Content as JSON that any parser reads and no terminal obeys.

    Control characters are escaped. JSON has no NaN and no infinities: they become null.
    """
    document = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    return printable_json(document)


def _finite(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return content
