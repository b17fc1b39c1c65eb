"""Names of metadata fields: dotted parts, each a key of an object.

A part that begins with a double quote is a JSON string, so that keys with dots have a name too:
`"a.b".c` is the key `c` inside the key `a.b`. Every other part is the key as it stands.
"""

import json

_DECODER = json.JSONDecoder()


def parse_field_name(name: str) -> tuple[str, ...]:
    """The keys that a field's name stands for, from the outermost.

    Raises:
        ValueError: The name is not a field's; says what is wrong with it.
    """
    keys = []
    start = 0
    while True:
        if name.startswith('"', start):
            key, end = _quoted(name, start)
        else:
            end = name.find(".", start)
            end = len(name) if end < 0 else end
            key = name[start:end]
            if not key:
                raise ValueError(f"{name!r} given, a name of dotted, non-empty parts is needed")
        if "\0" in key:
            raise ValueError(
                f"a NUL at character {key.index(chr(0))} of the key {key!r}, which no field's name "
                "can have here"
            )
        keys.append(key)
        if end == len(name):
            return tuple(keys)
        start = end + 1


def _quoted(name: str, start: int) -> tuple[str, int]:
    """The key of a quoted part, and where the part ends."""
    try:
        key, end = _DECODER.raw_decode(name, start)
    except ValueError:
        end = -1
    if end < 0 or not (end == len(name) or name[end] == "."):
        raise ValueError(
            f"{name!r} given, whose part at character {start} begins with a double quote; such a "
            'part is a JSON string that ends before the next dot or the end, as in "a.b".c'
        )
    return key, end


def field_name_problem(name: str) -> str | None:
    """What is wrong with the name of a metadata field; None where nothing is."""
    try:
        parse_field_name(name)
    except ValueError as error:
        return str(error)
    return None
