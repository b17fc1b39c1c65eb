"""What Schemathesis is told beside the document; it imports this file by itself."""

from typing import Any

import schemathesis

# Longer lists are within the bounds of the document, and take minutes to generate.
_MAX_ITEMS = 40


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Keeps lists short, by bounds that are narrower than those of the document."""
    del context
    left: list[Any] = [raw_schema]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            left += value.values()
            bound = value.get("maxItems")
            if isinstance(bound, int) and bound > _MAX_ITEMS:
                value.pop("maxItems")


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> Any:
    """Has half of the requests use the collection that exists."""
    del context
    if path_parameters and len(str(path_parameters.get("collection", ""))) % 2:
        path_parameters["collection"] = "docs"
    return path_parameters
