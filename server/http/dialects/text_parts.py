"""Texts that come as objects."""

from collections.abc import Sequence
from typing import Any

import msgspec

from twopass.server.errors import InvalidRequestError


class TextPart(msgspec.Struct):
    """A text in an object, as Jina's and NIM's queries are."""

    text: str


def text_of(document: dict[str, Any], rank_fields: Sequence[str], field: str) -> str:
    """The text of a document that is an object.

    Args:
        document: It has its text under `text`, in the fields that the request names, or in parts
            under `content`, as vLLM's documents of several media have it.
        rank_fields: The fields that are read, one after the other; none for the text alone.
        field: The document's path in the request, for messages.

    Raises:
        InvalidRequestError: There is no text.
    """
    if rank_fields:
        values = [document[name] for name in rank_fields if document.get(name) is not None]
        if not values:
            raise InvalidRequestError(
                f"{field}: it has none of the rank_fields ({', '.join(rank_fields)[:128]}); give "
                "one of them, or leave rank_fields out to read text"
            )
        return " ".join(value if isinstance(value, str) else str(value) for value in values)
    text = document.get("text")
    if isinstance(text, str):
        return text
    if isinstance(parts := document.get("content"), list):
        return _text_of_parts(parts, field)
    stated = "missing" if text is None else f"a {type(text).__name__} given"
    raise InvalidRequestError(
        f"{field}.text: {stated}, a text is needed; give the passage there, or name its fields by "
        "rank_fields"
    )


def _text_of_parts(parts: list[Any], field: str) -> str:
    texts = []
    for i, part in enumerate(parts):
        text = part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise InvalidRequestError(
                f"{field}.content[{i}]: {str(kind)[:32]!r} given, models here read text alone; "
                "send its text"
            )
        texts.append(text)
    return " ".join(texts)
