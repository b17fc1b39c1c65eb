"""What every model reads: texts of one word to more than it takes, the same in every run."""

import random

_VOCABULARY = """
the a of to in is and for with on as by from at it that this are was be an or not which can has
search passage query model index vector token document answer question score river mountain city
capital light scatters short wave sky blue parse date string format machine learn train network
layer head attention window local global position rotary norm gate bank note green paper 2024 3.50
naïve café Zürich don't re-rank C++ e.g. etc. naive, (brackets) "quotes" semi-colon; end. who? why!
"""
_WORDS = _VOCABULARY.split()
_SENTENCE_WORDS = (1, 2, 3, 5, 8, 9, 13, 16, 21, 30, 40, 55, 75, 110, 300)


def _sentence(words: int, generator: random.Random) -> str:
    return " ".join(generator.choice(_WORDS) for _ in range(words))


def _texts() -> list[str]:
    generator = random.Random(20)
    return [_sentence(words, generator) for words in _SENTENCE_WORDS]


TEXTS = _texts()
"""Of 1 to 300 words, ascending; the last is longer than the models' sequences."""

CORPUS = [_sentence(12, random.Random(seed)) for seed in range(200)]
"""What the tokenizers' vocabularies are of."""

_QUERIES = [TEXTS[0], TEXTS[2], TEXTS[4], "why is the sky blue?"]

PAIRS = [(query, passage) for query in _QUERIES for passage in TEXTS[1:]]
"""Every query with every text but the first."""
