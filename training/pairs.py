"""Training pairs: a question, and a passage that answers it."""

import fnmatch
import hashlib
import json
import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twopass.evaluation.datasets import open_text


class TrainingError(Exception):
    """The training can't go on; the message names the file or option and its fault."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of a file of pairs.

    Attributes:
        query: The question.
        positive: A passage that answers it.
        negatives: Passages known not to answer it; often empty, since negatives are mined.
    """

    query: str
    positive: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The pairs of one file: they share a subject and a style.

    Attributes:
        name: The file's name without its endings.
        pairs: In the file's order.
    """

    name: str
    pairs: tuple[Pair, ...]

    def passages(self) -> list[str]:
        """Every passage once, in order of appearance."""
        return list(
            dict.fromkeys(p for pair in self.pairs for p in (pair.positive, *pair.negatives))
        )


def read_source(file: Path) -> Source:
    """Reads JSON lines of `query`, `positive` and optional `negatives`; `.gz` or not.

    Raises:
        TrainingError: The file is missing, or one of its lines is not a pair.
    """
    pairs = []
    try:
        with open_text(file) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    pair = _pair(row)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise TrainingError(
                        f"{file}:{number}: not a JSON object with query and positive ({error!r})"
                    ) from error
                if pair.query.strip() and pair.positive.strip():
                    pairs.append(pair)
    except OSError as error:
        raise TrainingError(f"{file}: {error.strerror or error}") from error
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise TrainingError(f"{file}: can't be read ({error})") from error
    if not pairs:
        raise TrainingError(f"{file}: holds no pair")
    return Source(file.name.removesuffix(".gz").removesuffix(".jsonl"), tuple(pairs))


def _pair(row: dict[str, Any]) -> Pair:
    """Reads a pair.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: It is none.
    """
    query, positive, negatives = row["query"], row["positive"], row.get("negatives") or []
    if not isinstance(negatives, list):
        raise TypeError("negatives must be a list of texts")
    if not all(isinstance(text, str) for text in (query, positive, *negatives)):
        raise TypeError("query, positive and negatives must be texts")
    return Pair(query, positive, tuple(text for text in negatives if text.strip()))


def share_of(source: Source, shares: Mapping[str, float], seed: int) -> Source:
    """Keeps a random share of the pairs: that of the first pattern that the source's name matches.

    Args:
        source: The source; all of it is kept where no pattern matches.
        shares: Shares from 0 to 1, by pattern (`openstax*`).
        seed: Seed of the random choice.
    """
    share = next((s for p, s in shares.items() if fnmatch.fnmatchcase(source.name, p)), 1.0)
    count = round(share * len(source.pairs))
    chosen = random.Random(seed).sample(range(len(source.pairs)), count)  # noqa: S311  # no secret
    return Source(source.name, tuple(source.pairs[i] for i in sorted(chosen)))


def is_development(query: str, one_in: int) -> bool:
    """Whether a query is kept from training, to measure on; only its text decides."""
    digest = hashlib.sha256(" ".join(query.lower().split()).encode()).digest()
    return int.from_bytes(digest[:4]) % one_in == 0
