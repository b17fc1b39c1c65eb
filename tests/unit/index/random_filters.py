"""Random metadata and filters: few names and values, so that tests meet what they ask for."""

import json
from random import Random

from twopass.index.filters import (
    Condition,
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    Moment,
    OneOf,
    StartsWith,
    Test,
)

# As odd as JSON and SQL allow.
NAMES = ["year", "tags", "a", "b", "it's", "odd\"'\\ name", "é", "\n", "$", "[0]", "%s", "🙂"]
# Keys that a field's name has to quote.
QUOTED = ["a.b", "", '"', '"a"', ".", "a.", "é.\\"]
TEXTS = [
    "", "a", "ab", "abc", "A", "'", '"', "%", "_", "é", "\ud7ff", "\ue000", "\U0010ffff",
    "a\U0010ffff", "1", "true", "null", "\x00", "\x7f", "🙂", "\\",
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 2, 1.0, 1.5, -0.0, 2**53, 2**53 + 1, -(2**53) - 1, 2**62, 2**63 - 1, -(2**63),
    2.0**53, 2.0**63, -(2.0**63), 1e300, -1e300, 5e-324, 0.1, 1e20,
]  # fmt: skip
# Most tell one of few moments, the others none.
TIMES = [
    "2024-01-31", "2024-01-31T00:00:00Z", "2024-01-31 00:00:00", "2024-01-31t01:30:00.000+01:30",
    "2024-01-30T12:00:00-12:00", "2024-01-31T00:00:00.5Z", "2024-01-31T00:00:00.500000000001",
    "2024-01-31T00:00:00.49999999999999999999z", "2024-02-01", "2023-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "0001-01-01T10:00:00.5+10:00",
    "0001-01-01T14:58:59.9+14:59", "0001-01-01T00:00:00-14:00", "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59-00:01", "9999-12-31T10:00:00+14:00",
    "0000-01-01", "2023-02-29", "2024-02-30T00:00:00Z", "2024-01-31T24:00:00Z", "2024-13-01",
    "2024-01-31T00:00:60Z", "2024-01-31T00:00Z", "2024-01-31T00:00:00.", "2024-01-31T00:00:00.Z",
    "2024-01-31T00:00:00+15:00", "2024-01-31T00:00:00+00:60", "2024-01-31T00:00:00+0000",
    "2024-01-31T00:00:00 Z", "2024-01-31T00:00:00Z ", " 2024-01-31", "2024-01-31T", "2024-1-31",
    "2024-01-31\x00", "2024-01-31T00:00:00Z\x00", "\u0662\u0660\u0662\u0664-01-31", "now",
    "2024-01-31T00:00:00.\u0665Z",
    "2024-01-31T00:00:00.5\x00Z", "2024-01-31T00:00:00..5", "20240131", "2460340.5",
]  # fmt: skip
MOMENTS = [
    Moment(1_706_659_200), Moment(1_706_659_200, 500_000_000), Moment(1_706_659_200, 500_000_001),
    Moment(1_706_659_199, 999_999_999), Moment(1_706_745_600), Moment(1_704_067_199, 999_999_999),
    Moment(-62_135_596_800), Moment(253_402_300_799, 999_999_999),
]  # fmt: skip


class Drawing:
    """Draws documents and filters from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        # The fewer names there are, the more often documents and filters speak of the same.
        self._names = self._random.sample(NAMES + QUOTED, self._random.randint(1, 4))
        # Each seed has a favourite kind of value, so that they meet.
        favourites = [TEXTS, NUMBERS, TIMES, [None, True, False, 0, 1, "true"]]
        self._values = self._random.choice(favourites)

    def metadata(self) -> dict:
        return {name: self._value(3) for name in self._names if self._random.random() < 0.7}

    def filter(self, depth: int = 2) -> Filter:
        return Filter(
            must=self._conditions(depth),
            should=self._conditions(depth),
            must_not=self._conditions(depth),
        )

    def _value(self, depth: int) -> object:
        kind = self._random.random()
        if depth and kind < 0.3:
            return [self._value(depth - 1) for _ in range(self._random.randint(0, 3))]
        if depth and kind < 0.6:
            return {
                name: self._value(depth - 1) for name in self._names if self._random.random() < 0.6
            }
        return self._scalar()

    def _scalar(self) -> str | float | bool | None:
        if self._random.random() < 0.7:
            return self._random.choice(self._values)
        return self._random.choice([None, True, False, *TEXTS, *NUMBERS, *TIMES])

    def _asked(self) -> str | float | bool | Moment | None:
        if self._values is TIMES and self._random.random() < 0.7:
            return self._random.choice(MOMENTS)
        return self._scalar()

    def _conditions(self, depth: int) -> tuple[Condition, ...]:
        count = self._random.choice([0, 0, 1, 1, 2])
        return tuple(self._condition(depth) for _ in range(count))

    def _condition(self, depth: int) -> Condition:
        kind = self._random.random()
        if kind < 0.1:
            return IdCondition(tuple(f"d{self._random.randrange(20)}" for _ in range(5)))
        if depth and kind < 0.3:
            return self.filter(depth - 1)
        levels = self._random.choice([1, 1, 1, 2, 2, 3])
        field = ".".join(self._part(self._random.choice(self._names)) for _ in range(levels))
        return FieldCondition(field, self._test())

    def _part(self, key: str) -> str:
        """A key as a part of a field's name; quoted sometimes even where it need not be."""
        must = key in QUOTED
        return json.dumps(key) if must or self._random.random() < 0.1 else key

    def _test(self) -> Test:
        match self._random.randrange(6):
            case 0:
                return Exists()
            case 1:
                return IsMissing()
            case 2:
                return StartsWith(self._random.choice(TEXTS))
            case 3 | 4:
                kinds = [TEXTS + TIMES, [*NUMBERS, float("inf"), float("-inf")], MOMENTS]
                of_kind = self._random.choice(kinds)
                if self._random.random() < 0.7:
                    of_kind = {id(TEXTS): TEXTS, id(NUMBERS): NUMBERS, id(TIMES): MOMENTS}.get(
                        id(self._values), of_kind
                    )
                bounds = {name: self._bound(of_kind) for name in ("gt", "gte", "lt", "lte")}
                return InRange(**bounds)
            case _:
                return OneOf(tuple(self._asked() for _ in range(self._random.randint(1, 4))))

    def _bound(self, of_kind: list) -> object:
        return None if self._random.random() < 0.6 else self._random.choice(of_kind)
