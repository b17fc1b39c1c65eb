"""What can be wrong with a value of JSON, and what is known while a message is read."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

MAX_DEPTH = 100
"""Messages inside messages that protobuf itself encodes and decodes."""

SHOWN = 60
"""Most characters of a value or a name that a message repeats."""

_LONGEST_PLACE = 200


@dataclass(slots=True)
class Reading:
    """What is known while one message is read.

    Attributes:
        ignores_unknown: Whether unknown fields are passed over.
        num_keys: Keys of the objects that were read.
    """

    ignores_unknown: bool
    num_keys: int = 0


class MisreadError(Exception):
    """A value that can't be read; its place grows from the inside out."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.place = ""

    def within(self, name: str | int) -> "MisreadError":
        """The same fault, seen from outside of a field or of an element of a list."""
        part = f"[{name}]" if isinstance(name, int) else name
        dot = "." if self.place and not self.place.startswith("[") else ""
        self.place = f"{part}{dot}{self.place}"
        return self

    def told(self) -> str:
        """The fault with its place."""
        place = self.place or "body"
        if len(place) > _LONGEST_PLACE:
            place = f"{place[:_LONGEST_PLACE]}…"
        return f"{place}: {self.what}"


class RepeatedKey(dict[str, object]):
    """An object that has a key twice."""

    twice = ""


def object_of(items: list[tuple[str, object]]) -> dict[str, object]:
    """An object of its keys and values; a `RepeatedKey` where a key stands twice."""
    read = dict(items)
    if len(read) == len(items):
        return read
    seen: set[str] = set()
    repeated = RepeatedKey(read)
    repeated.twice = next(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


class NoNumber:
    """NaN or Infinity, as a number would be written; JSON has no such numbers."""

    def __init__(self, name: str) -> None:
        self.name = name


def check_object(value: dict[str, Any], depth: int) -> None:
    """Refuses an object that has a key twice, or is nested too deep."""
    check_depth(depth)
    if type(value) is RepeatedKey:
        raise MisreadError("given twice in one object; leave one out").within(value.twice[:SHOWN])


def check_depth(depth: int) -> None:
    """Refuses what is nested deeper than `depth`, of which nothing is left, allows."""
    if depth <= 0:
        raise MisreadError(f"nested deeper than {MAX_DEPTH} messages")


def as_list(value: Any) -> list[Any]:
    """A value that must be a list."""
    if not isinstance(value, list):
        raise MisreadError(f"{shown(value)} given, a list is needed")
    return value


def num_keys(value: object) -> int:
    """The keys of all objects inside a value."""
    if isinstance(value, dict):
        return len(value) + sum(map(num_keys, value.values()))
    if isinstance(value, list):
        return sum(map(num_keys, value))
    return 0


def surrogate() -> MisreadError:
    """The fault of a text that JSON can write and UTF-8 can't."""
    return MisreadError("half of a surrogate pair given, which is no character")


def shown(value: object) -> str:
    """A value as an error message repeats it."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, NoNumber):
        return value.name
    shown = json.dumps(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


Fill: TypeAlias = Callable[[Any, Any, Reading, int], None]
"""Fills in a message, or a field of one: the message, the value of JSON, what is known of the
reading, and how many messages may be nested inside."""
