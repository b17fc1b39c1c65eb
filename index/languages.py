"""The languages whose word endings can be removed."""

from twopass.index.errors import InvalidSchemaError

NONE = "none"
"""Stands for no language, where an empty code would mean a default."""

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
            f"{language!r} given; one of {', '.join(ALGORITHMS)} (ISO 639-1), or "
            f"{NONE!r} for words as they stand, which suits every other language",
            value=language,
        )
