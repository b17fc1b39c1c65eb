"""Removes the endings of words, by Snowball's algorithms."""

import threading
from collections.abc import Callable

import Stemmer

from twopass.index.languages import ALGORITHMS, PORTER


def _unchanged(word: str) -> str:
    return word


def stemmer(language: str) -> Callable[[str], str]:
    """Returns what removes the endings of a language's words; safe to call from several threads.

    Args:
        language: A key of `ALGORITHMS`, `PORTER`, or "" for words as they stand.
    """
    if not language:
        return _unchanged
    algorithm = PORTER if language == PORTER else ALGORITHMS[language]
    own = threading.local()  # an object of Snowball's may be used by one thread at a time

    def stem(word: str) -> str:
        try:
            snowball = own.snowball
        except AttributeError:
            # Words are remembered by the analyser that calls this, with all that they become.
            snowball = own.snowball = Stemmer.Stemmer(algorithm, 0)
        return snowball.stemWord(word) or word  # of "s", Porter's algorithm leaves nothing

    return stem
