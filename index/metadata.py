"""Changes of documents' metadata."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, eq=False)
class MergeMetadata:
    """Changes some fields, as JSON Merge Patch says (RFC 7396).

    Attributes:
        patch: The new values of fields, whatever JSON can say. None removes a field, an object is
            merged with the object that is there, and every other value takes the place of what is
            there; so does a list, whole.
    """

    patch: Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class ReplaceMetadata:
    """Takes the place of all that is there.

    Attributes:
        metadata: The new metadata, whatever JSON can say.
    """

    metadata: Mapping[str, object]


MetadataChange: TypeAlias = MergeMetadata | ReplaceMetadata


def merged(target: Any, patch: Any) -> Any:
    """A JSON value changed by a patch, as RFC 7396 defines `MergePatch`; changes neither."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
