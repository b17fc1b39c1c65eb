"""What was measured, and what machines cost: `constants.json` and `prices.json`."""

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
CONSTANTS_FILE = _HERE / "constants.json"
PRICES_FILE = _HERE / "prices.json"
_KINDS = {"measured", "published", "arithmetic", "assumed"}


class ConstantsError(ValueError):
    """A file of constants or prices lacks something; the message names the file and the field."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One figure.

    Attributes:
        value: The figure.
        unit: Its unit.
        kind: How it is known: measured, published, arithmetic or assumed.
        command: What measured it; empty where nothing here did.
        where: The machine and the commit, or the source.
    """

    value: float
    unit: str
    kind: str
    command: str
    where: str


@dataclass(frozen=True, slots=True)
class Constants:
    """All figures of the model.

    Attributes:
        all: By name.
        first_pass: Core-milliseconds of a search without a second pass: numbers of documents,
            ascending, each with its cost by mode.
    """

    all: Mapping[str, Constant]
    first_pass: Sequence[tuple[float, Mapping[str, float]]]

    def __getitem__(self, name: str) -> float:
        """The value of a constant.

        Raises:
            ConstantsError: There is none of that name.
        """
        try:
            return self.all[name].value
        except KeyError:
            raise ConstantsError(f"constants: {name} is missing") from None

    def words_core_ms(self, documents: float) -> float:
        """Core-milliseconds to find the list by words in one index of so many documents.

        Between measurements on a straight line of logarithms; beyond the largest, by their number:
        what frequent words have to be compared with grows as the collection does.
        """
        return self._of("lexical", documents, beyond=lambda times: times)

    def nearest_core_ms(self, documents: float) -> float:
        """Core-milliseconds to find the nearest vectors by one graph of so many.

        Beyond the largest measurement by the logarithm, as the depth of a graph grows.
        """
        largest = self.first_pass[-1][0]
        return self._of(
            "dense",
            documents,
            beyond=lambda times: 1 + math.log(times) / math.log(largest),
        )

    def _of(self, mode: str, documents: float, *, beyond: Callable[[float], float]) -> float:
        """A list's own cost: without what every search takes of the front."""
        front = self["front_core_ms"]
        points: list[tuple[float, float]] = [
            (n, max(0.1, cost[mode] - front)) for n, cost in self.first_pass
        ]
        if documents <= points[0][0]:
            return points[0][1]
        for (low, less), (high, more) in itertools.pairwise(points):
            if documents <= high:
                part = math.log(documents / low) / math.log(high / low)
                return float(less * (more / less) ** part)
        largest, most = points[-1]
        return float(most * beyond(documents / largest))


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that can be rented.

    Attributes:
        name: As its provider calls it.
        hour: Price of an hour.
        cores: Cores, not hyper-threads.
        memory_bytes: Memory.
        gpus: GPUs.
    """

    name: str
    hour: float
    cores: int
    memory_bytes: float
    gpus: int


@dataclass(frozen=True, slots=True)
class Prices:
    """A price list.

    Attributes:
        machines: What can be rented.
        disk_gb_month: Price of a gigabyte of disk for a month.
        hours_a_month: Hours of a month.
        currency: Of all prices.
        source: Who says so, where and of which day.
    """

    machines: Sequence[Machine]
    disk_gb_month: float
    hours_a_month: float
    currency: str
    source: str


def load_constants(file: Path = CONSTANTS_FILE) -> Constants:
    """Reads figures.

    Raises:
        ConstantsError: One lacks a field, or says of itself what nobody knows.
    """
    read = _json(file)
    try:
        figures = {name: Constant(**fields) for name, fields in read["constants"].items()}
        points = sorted((row["documents"], row["core_ms"]) for row in read["first_pass"])
    except (KeyError, TypeError) as error:
        raise ConstantsError(f"{file}: {error}") from error
    for name, figure in figures.items():
        if figure.kind not in _KINDS:
            raise ConstantsError(f"{file}: {name}: kind {figure.kind!r}, not of {sorted(_KINDS)}")
        if figure.kind == "measured" and not figure.command:
            raise ConstantsError(f"{file}: {name} was measured, but no command says by what")
    if not points:
        raise ConstantsError(f"{file}: first_pass is empty")
    return Constants(figures, points)


def load_prices(file: Path = PRICES_FILE) -> Prices:
    """Reads a price list.

    Raises:
        ConstantsError: A field is missing.
    """
    read = _json(file)
    try:
        machines = [
            Machine(name, of["hour"], of["cores"], of["memory_gib"] * 2**30, of["gpus"])
            for name, of in read["machines"].items()
        ]
        return Prices(
            machines,
            read["disk_gb_month"],
            read["hours_a_month"],
            read["currency"],
            f"{read['where']}, {read['date']}: {read['source']}",
        )
    except (KeyError, TypeError) as error:
        raise ConstantsError(f"{file}: {error}") from error


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConstantsError(f"{file}: can't be read ({error})") from error
