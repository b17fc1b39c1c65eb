"""The words for the contract's enum values, and their numbers."""

import functools
import re
from enum import StrEnum
from typing import Any, Literal, TypeAlias, TypeVar

from twopass.client.errors import InvalidArgumentError

RetrieveMode: TypeAlias = Literal["dense", "lexical", "hybrid"]
"""How candidates are found: by nearest embeddings, by BM25 over the words, or by both, fused."""

Truncation: TypeAlias = Literal["truncate", "max_window", "reject"]
"""What happens to a passage too long for the model: it is cut and marked, or read in windows of
which the best counts, or the call fails with InvalidArgumentError."""

QueryTruncation: TypeAlias = Literal["truncate", "reject"]
"""What happens to a query with more tokens than a model reads: its end is cut off and the result
says so, or the call fails with InvalidArgumentError."""

SpanUnit: TypeAlias = Literal["sentence", "window"]
"""What a hit's text is cut into to find what answers: sentences, or whole sentences in a row."""

EmbedRole: TypeAlias = Literal["passage", "query"]
"""What a text is. Some encoders read the two differently."""


OnConflict: TypeAlias = Literal["replace", "skip", "fail"]
"""What becomes of a document to write whose id is known: it replaces the earlier one, it is not
written, or the chunk that it is in fails with AlreadyExistsError."""


class Metric(StrEnum):
    """How the nearness of two embeddings is measured."""

    COSINE = "cosine"
    INNER_PRODUCT = "inner_product"
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class FieldType(StrEnum):
    """What the values of an indexed metadata field are."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    TIME = "time"
    """Texts that tell a time, as in "2024-01-31T23:59:59Z"."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class LexicalTokenizer(StrEnum):
    """How text is cut into words for lexical search."""

    UNICODE = "unicode"
    """Words as they stand, case and accents folded."""
    PORTER = "porter"
    """Words without English endings, case and accents folded."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class ModelKind(StrEnum):
    """What a model computes."""

    ENCODER = "encoder"
    """One embedding for each text."""
    RERANKER = "reranker"
    """One logit for each pair of query and passage."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class FeedbackKind(StrEnum):
    """What a piece of feedback is."""

    CLICK = "click"
    """Someone chose the document among those that were shown."""
    JUDGEMENT = "judgement"
    """Someone read the document and graded it."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class FeedbackRefusalReason(StrEnum):
    """Why feedback was not recorded."""

    SEARCH_UNKNOWN = "search_unknown"
    """The server does not know the search, or no longer, and no `query_id` was given."""
    NOT_SHOWN = "not_shown"
    """The search did not show the clicked document."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class ShadowMeasure(StrEnum):
    """What a shadow is measured by, and on which feedback."""

    JUDGED_NDCG_10 = "judged_ndcg_10"
    """nDCG@10 by judgements."""
    JUDGED_RR_10 = "judged_rr_10"
    """The reciprocal rank of the first document judged relevant."""
    CLICKED_RR_10 = "clicked_rr_10"
    """That of the first one clicked: it speaks for a shadow and never against it."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class RetrieveStatus(StrEnum):
    """What became of the first pass."""

    COMPLETE = "complete"
    """It ran as asked for."""
    LEXICAL_DEADLINE = "lexical_deadline"
    """Lexical only: the query's embedding or its neighbours came too late."""
    LEXICAL_OVERLOAD = "lexical_overload"
    """Lexical only: the encoder's queue was full."""
    LEXICAL_FAILED = "lexical_failed"
    """Lexical only: the encoder or the vector index failed."""
    DENSE_DEADLINE = "dense_deadline"
    """Dense only: the lexical search came too late."""
    DENSE_OVERLOAD = "dense_overload"
    """Dense only: too many lexical searches and filters were waiting."""
    DENSE_FAILED = "dense_failed"
    """Dense only: the lexical index could not be read."""
    FUSED_DEADLINE = "fused_deadline"
    """Both lists, but the similarities of documents found by words alone came too late."""
    FUSED_OVERLOAD = "fused_overload"
    """Both lists, but there was no room for the similarities of documents found by words alone."""
    FUSED_FAILED = "fused_failed"
    """Both lists, but the similarities of documents found by words alone could not be read."""
    NO_WINDOWS_DEADLINE = "no_windows_deadline"
    """Lexical as asked for, but the windows for the second pass came too late."""
    NO_WINDOWS_OVERLOAD = "no_windows_overload"
    """Lexical as asked for, but there was no room to find the windows for the second pass."""
    NO_WINDOWS_FAILED = "no_windows_failed"
    """Lexical as asked for, but the encoder or what finds windows failed."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class RerankStatus(StrEnum):
    """What became of the second pass."""

    COMPLETE = "complete"
    """Every candidate up to `depth` was reranked."""
    PARTIAL = "partial"
    """The first `num_reranked` hits are reranked; the others follow in first-pass order."""
    DISABLED = "disabled"
    """No second pass was asked for."""
    SKIPPED_DEADLINE = "skipped_deadline"
    """First-pass order: the time budget would not have sufficed, or ran out."""
    SKIPPED_OVERLOAD = "skipped_overload"
    """First-pass order: the reranker's queue was full."""
    FAILED = "failed"
    """First-pass order: the reranker failed."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class AdviceKind(StrEnum):
    """What advice of a report is about."""

    FEW_SEARCHES = "few_searches"
    """Too few searches to tell."""
    LOWER_DEPTH = "lower_depth"
    """A lower depth would have given the same first hits."""
    LITTLE_CHANGE = "little_change"
    """The second pass hardly changes the first hits."""
    HIGHER_DEPTH = "higher_depth"
    """First hits often come from the last candidates that are read."""
    TRUNCATED_PASSAGES = "truncated_passages"
    """Many passages are not read to their end."""
    TRUNCATED_QUERIES = "truncated_queries"
    """Many queries are not read to their end."""
    LATE = "late"
    """Many second passes are left out or cut short for want of time."""
    OVERLOADED = "overloaded"
    """Many second passes are left out for want of room."""
    FAILING = "failing"
    """The reranker fails."""
    RETRIEVAL_INCOMPLETE = "retrieval_incomplete"
    """Many first passes lack one of their lists."""
    LEFT_EMPTY = "left_empty"
    """Many searches are left without a hit by `min_score`."""
    SHADOW_BETTER = "shadow_better"
    """Feedback says that a shadow orders better than the live second pass."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class SpansStatus(StrEnum):
    """What became of the spans that were asked for."""

    COMPLETE = "complete"
    """Every hit that was to have spans was looked at."""
    PARTIAL = "partial"
    """The time budget sufficed for the first hits; the others come without."""
    SKIPPED_DEADLINE = "skipped_deadline"
    """Hits come without spans: time would not have sufficed, or ran out."""
    SKIPPED_OVERLOAD = "skipped_overload"
    """Hits come without spans: the reranker's queue was full."""
    FAILED = "failed"
    """Hits come without spans: the reranker failed."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class ArrangeStatus(StrEnum):
    """What became of `collapse` and `diversity`."""

    COMPLETE = "complete"
    """Both, as far as they were asked for."""
    SKIPPED_DEADLINE = "skipped_deadline"
    """Hits stand as both passes ordered them: the time budget ran out."""
    SKIPPED_OVERLOAD = "skipped_overload"
    """Hits stand as both passes ordered them: too much else was to be read or compared."""
    FAILED = "failed"
    """Hits stand as both passes ordered them: the candidates could not be read."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


class CollapseReason(StrEnum):
    """Why a document is within a better hit."""

    EQUAL_TEXT = "equal_text"
    """Its title and text are those of the hit."""
    NEAR_DUPLICATE = "near_duplicate"
    """Its vector is near the hit's."""
    SAME_VALUE = "same_value"
    """Its value of the field is the hit's."""
    UNKNOWN = "unknown"
    """A value that this client is too old to know."""


MetricName: TypeAlias = Metric | Literal["cosine", "inner_product"]
FieldTypeName: TypeAlias = FieldType | Literal["text", "number", "bool", "time"]
LexicalTokenizerName: TypeAlias = LexicalTokenizer | Literal["unicode", "porter"]

Word = TypeVar("Word", bound=StrEnum)
_UNSPECIFIED = "unspecified"


def number_of(values: Any, word: str | None, field: str) -> Any:
    """The contract's number for a word; None gives the unspecified value, the default.

    Args:
        values: The generated enum, such as `search_pb2.RetrieveMode`.
        word: A name of a value, without the prefix, in lower case.
        field: The field's name in errors.

    Raises:
        InvalidArgumentError: The contract has no such word.
    """
    numbers = _numbers(values)
    number = numbers.get(_UNSPECIFIED if word is None else word)
    if number is None or word == _UNSPECIFIED:
        words = ", ".join(known for known in numbers if known != _UNSPECIFIED)
        raise InvalidArgumentError(
            f"{field}: {word!r} given, one of {words} needed", metadata={"field": field}
        )
    return number


def word_of(words: type[Word], values: Any, number: int) -> Word:
    """The word for a number of the contract; `unknown` for a number of a later contract."""
    name = values.DESCRIPTOR.values_by_number.get(number)
    known = name is not None and name.name.removeprefix(_prefix(values)).lower()
    return words(known if known in list(words) else "unknown")


def known_word_of(values: Any, number: int) -> Any:
    """The word for a number of the contract; None for the unspecified one, or of a later contract.

    Args:
        values: The generated enum.
        number: The number.
    """
    words = {known: word for word, known in _numbers(values).items() if word != _UNSPECIFIED}
    return words.get(number)


@functools.cache
def _numbers(values: Any) -> dict[str, int]:
    """The numbers of an enum by their words."""
    return {name.removeprefix(_prefix(values)).lower(): number for name, number in values.items()}


@functools.cache
def _prefix(values: Any) -> str:
    """What the values' names begin with: RETRIEVE_MODE_ for RetrieveMode."""
    words: list[str] = re.findall("[A-Z][a-z]*", values.DESCRIPTOR.name)
    return "".join(f"{word.upper()}_" for word in words)
