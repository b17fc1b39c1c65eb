"""Passages that are nearly the same: neither may be called wrong where the other answers."""

from dataclasses import dataclass

_WORDS_IN_A_RUN = 5
_BEGINNING = 60
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a passage is recognised by.

    Attributes:
        runs: Hashes of all runs of five words; one of the whole text where it is shorter.
        beginning: The first 60 characters.
    """

    runs: frozenset[int]
    beginning: str


def fingerprint(text: str) -> Fingerprint:
    """Reduces a passage to what it is recognised by; case and white space don't count."""
    words = text.lower().split()
    num_runs = max(len(words) - _WORDS_IN_A_RUN + 1, 1)
    runs = frozenset(hash(tuple(words[i : i + _WORDS_IN_A_RUN])) for i in range(num_runs))
    return Fingerprint(runs, " ".join(words)[:_BEGINNING])


def is_near_duplicate(a: Fingerprint, b: Fingerprint) -> bool:
    """Whether half of the runs of both are common (Broder 1997), or both begin alike.

    A beginning counts because long passages are often cut from one text at different ends.
    """
    if a.beginning == b.beginning:
        return True
    common = len(a.runs & b.runs)
    return common >= _ALIKE * (len(a.runs) + len(b.runs) - common)
