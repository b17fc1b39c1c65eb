"""Clauses over the words of documents, from messages."""

from collections.abc import Iterable

from twopass.index.word_query import Phrase, Prefix, WordClause, WordClauses
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_text
from twopass.v1 import search_pb2

MAX_CLAUSES = 64
MAX_PHRASE_BYTES = 1_024
MAX_PREFIX_BYTES = 256


def read_word_clauses(message: search_pb2.WordClauses) -> WordClauses:
    """Reads clauses over words; whether a clause holds a word, the collection's analysis decides.

    Raises:
        InvalidRequestError: There are too many clauses, or one is empty or too long.
    """
    given = len(message.required) + len(message.excluded) + len(message.optional)
    if given > MAX_CLAUSES:
        raise InvalidRequestError(
            f"retrieve.words: {given:,} clauses given, at most {MAX_CLAUSES} in all",
            limit=MAX_CLAUSES,
            value=given,
        )
    return WordClauses(
        required=_clauses("retrieve.words.required", message.required),
        excluded=_clauses("retrieve.words.excluded", message.excluded),
        optional=_clauses("retrieve.words.optional", message.optional),
    )


def _clauses(field: str, messages: Iterable[search_pb2.WordClause]) -> tuple[WordClause, ...]:
    return tuple(_clause(f"{field}[{i}]", message) for i, message in enumerate(messages))


def _clause(field: str, message: search_pb2.WordClause) -> WordClause:
    kind = message.WhichOneof("clause")
    if kind is None:
        raise InvalidRequestError(f"{field}: neither phrase nor prefix given, one is needed")
    if kind == "phrase":
        check_text(f"{field}.phrase", message.phrase, MAX_PHRASE_BYTES)
        return Phrase(message.phrase)
    check_text(f"{field}.prefix", message.prefix, MAX_PREFIX_BYTES)
    if any(character.isspace() for character in message.prefix):
        raise InvalidRequestError(
            f"{field}.prefix: {message.prefix!r} given, which has white space; a prefix is the "
            "beginning of one word, words in a row are a phrase",
            value=message.prefix,
        )
    return Prefix(message.prefix)
