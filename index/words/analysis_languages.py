"""The languages whose word endings can be removed, by Snowball's algorithms."""

import threading
from collections.abc import Callable

import Stemmer

from twopass.index.errors import InvalidSchemaError

PORTER = "porter"
"""Stands for English with the stemmer of Porter 1980, in place of a language's code."""

ALGORITHMS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "eo": "esperanto",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "st": "sesotho",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
"""Snowball's algorithm for each ISO 639-1 code."""


def check_language(language: str) -> None:
    """Checks that words of a language can be stemmed.

    Args:
        language: An ISO 639-1 code in lower case, or "" for no stemming.

    Raises:
        InvalidSchemaError: There is no stemmer for it.
    """
    if language and language not in ALGORITHMS:
        raise InvalidSchemaError(
            "schema.language",
            f"{language!r} given; one of {', '.join(ALGORITHMS)} (ISO 639-1), or empty for words "
            "as they stand, which suits every other language",
        )


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
