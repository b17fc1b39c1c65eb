"""Random metadata and filters: few names and values, so that tests meet what they ask for."""

from random import Random

from twopass.index.filters import (
    Condition,
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    OneOf,
    StartsWith,
    Test,
)

# As odd as JSON and SQL allow.
NAMES = ["year", "tags", "a", "b", "it's", "odd\"'\\ name", "é", "\n", "$", "[0]", "%s", "🙂"]
TEXTS = [
    "", "a", "ab", "abc", "A", "'", '"', "%", "_", "é", "\ud7ff", "\ue000", "\U0010ffff",
    "a\U0010ffff", "1", "true", "null", "\x00", "\x7f", "🙂", "\\",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 1.0, 1.5, -0.0, 2**53, 2**53 + 1, 2**62, 1e300, -1e300, 5e-324, 0.1, 10**20]


class Drawing:
    """Draws documents and filters from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        # The fewer names there are, the more often documents and filters speak of the same.
        self._names = self._random.sample(NAMES, self._random.randint(1, 4))

    def metadata(self) -> dict:
        return {name: self._value(2) for name in self._names if self._random.random() < 0.7}

    def filter(self, depth: int = 2) -> Filter:
        return Filter(
            must=self._conditions(depth),
            should=self._conditions(depth),
            must_not=self._conditions(depth),
        )

    def _value(self, depth: int) -> object:
        kind = self._random.random()
        if depth and kind < 0.2:
            return [self._value(depth - 1) for _ in range(self._random.randint(0, 3))]
        if depth and kind < 0.4:
            return {
                name: self._value(depth - 1) for name in self._names if self._random.random() < 0.6
            }
        return self._random.choice([None, True, False, *TEXTS[:6], *NUMBERS[:6], self._rare()])

    def _rare(self) -> object:
        return self._random.choice(TEXTS + NUMBERS)

    def _asked(self) -> str | float | bool | None:
        """A value as a message can carry it: its numbers are doubles."""
        value = self._value(0)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else value

    def _conditions(self, depth: int) -> tuple[Condition, ...]:
        count = self._random.choice([0, 0, 1, 1, 2])
        return tuple(self._condition(depth) for _ in range(count))

    def _condition(self, depth: int) -> Condition:
        kind = self._random.random()
        if kind < 0.1:
            return IdCondition(tuple(f"d{self._random.randrange(20)}" for _ in range(5)))
        if depth and kind < 0.3:
            return self.filter(depth - 1)
        levels = self._random.choice([1, 1, 1, 2, 3])
        field = ".".join(self._random.choice(self._names) for _ in range(levels))
        return FieldCondition(field, self._test())

    def _test(self) -> Test:
        match self._random.randrange(5):
            case 0:
                return Exists()
            case 1:
                return IsMissing()
            case 2:
                return StartsWith(self._random.choice(TEXTS))
            case 3:
                return InRange(**{bound: self._bound() for bound in ("gt", "gte", "lt", "lte")})
            case _:
                return OneOf(tuple(self._asked() for _ in range(self._random.randint(1, 4))))

    def _bound(self) -> float | None:
        if self._random.random() < 0.6:
            return None
        return float(self._random.choice([*NUMBERS, float("inf"), float("-inf")]))
