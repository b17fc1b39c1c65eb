"""Near duplicates: a passage nearly the same as an answer must not count as a wrong answer."""

from dataclasses import dataclass

_WORDS_IN_A_RUN = 5
_BEGINNING = 60
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The features by which a passage is recognised.

    Attributes:
        runs: Hashes of all runs of five words; of a shorter text, the hash of all of it.
        beginning: The first 60 characters.
    """

    runs: frozenset[int]
    beginning: str


def fingerprint(text: str) -> Fingerprint:
    """Takes the fingerprint of a passage, ignoring case and white space."""
    words = text.lower().split()
    num_runs = max(len(words) - _WORDS_IN_A_RUN + 1, 1)
    runs = frozenset(hash(tuple(words[i : i + _WORDS_IN_A_RUN])) for i in range(num_runs))
    return Fingerprint(runs, " ".join(words)[:_BEGINNING])


def is_near_duplicate(a: Fingerprint, b: Fingerprint) -> bool:
    """Whether two passages share half of their runs (Broder 1997), or begin alike.

    The beginning counts because long passages are often one text cut at different ends.
    """
    if a.beginning == b.beginning:
        return True
    common = len(a.runs & b.runs)
    return common >= _ALIKE * (len(a.runs) + len(b.runs) - common)
