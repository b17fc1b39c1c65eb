"""Sequence tokens: which state of which life of a collection."""

import re
from dataclasses import dataclass

from twopass.index.errors import MalformedSequenceError

_TOKEN = re.compile(r"([0-9a-f]{32})\.(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class SequenceToken:
    """A state of a collection. Its string is what clients hold, and is opaque to them.

    Attributes:
        incarnation: 32 hexadecimal digits, drawn when the collection is created: one that is
            deleted and created again under the same name has another.
        position: Writes so far; 0 is the empty collection.
    """

    incarnation: str
    position: int

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.position}"

    @classmethod
    def parse(cls, token: str) -> "SequenceToken":
        """Reads what `str` wrote.

        Raises:
            MalformedSequenceError: It is no such token.
        """
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise MalformedSequenceError(token)
        return cls(match[1], int(match[2]))
