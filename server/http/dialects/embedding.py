"""What the embedding endpoints of all dialects have in common."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from twopass.engines.base.sequences import Side
from twopass.server.config import ServerConfig
from twopass.server.errors import InvalidRequestError
from twopass.server.http.dialects.text_parts import text_of
from twopass.server.http.vectors import VectorType, as_base64, as_numbers
from twopass.server.models.passages import Cutting, Limits, Overlong
from twopass.server.models.texts import EmbeddedTexts

TRUNCATED = "x-twopass-texts-truncated"
"""Header of an answer: how many of the texts the model did not read whole."""

# In the words of Cohere, Jina, NIM, Voyage and Weaviate. What is not listed is refused.
_QUERIES = frozenset({"query", "search_query", "retrieval.query", "code.query", "nl2code.query"})
_PASSAGES = frozenset(
    {
        "passage",
        "document",
        "search_document",
        "classification",
        "clustering",
        "separation",
        "text-matching",
        "retrieval.passage",
        "code.passage",
        "nl2code.passage",
    }
)
# https://platform.openai.com/docs/api-reference/embeddings/create; Vercel's AI SDK sends so many.
_OPENAIS_TEXTS = 2_048
# What `max_documents` is unless an operator says otherwise.
_USUAL_TEXTS: int = ServerConfig.model_fields["max_documents"].default
# The longest form of a component in JSON with its comma: a float32 has at most nine digits, whole
# numbers three, each with a sign. Base64 makes four bytes of three.
_JSON_BYTES = {VectorType.FLOAT: 16, VectorType.INT8: 5, VectorType.UINT8: 4}
_BASE64_BYTES = {VectorType.FLOAT: 6, VectorType.INT8: 2, VectorType.UINT8: 2}
_BITS_BYTES = 1


def max_texts(limits: Limits) -> int:
    """Most texts in one request: no fewer than OpenAI takes, since clients split lists by that.

    A server whose operator has it take fewer documents than usual takes fewer texts here too.
    """
    if limits.max_documents < _USUAL_TEXTS:
        return limits.max_documents
    return max(limits.max_documents, _OPENAIS_TEXTS)


def read_is_query(field: str, stated: str | None) -> bool:
    """Whether texts are queries, by what a dialect calls their kind; None means passages.

    Args:
        field: The field of the request, for messages.
        stated: Its value.

    Raises:
        InvalidRequestError: The kind is not known.
    """
    if not stated or stated in _PASSAGES:
        return False
    if stated in _QUERIES:
        return True
    raise InvalidRequestError(
        f"{field}: {stated[:32]!r} given, it is query or search_query for queries, and passage, "
        "document or search_document for passages; leave it out for passages"
    )


def read_vector_type(field: str, stated: str | None) -> VectorType:
    """The type of the components that a request asks for; None means float.

    Raises:
        InvalidRequestError: There is no such type.
    """
    if not stated:
        return VectorType.FLOAT
    try:
        return VectorType(stated)
    except ValueError:
        known = ", ".join(VectorType)
        raise InvalidRequestError(
            f"{field}: {stated[:32]!r} given, one of {known} is needed"
        ) from None


def read_cutting(field: str, stated: str | None) -> Cutting:
    """What becomes of texts that are too long, in the words of Cohere and NIM; None means END.

    Raises:
        InvalidRequestError: The word is not known.
    """
    to_cut = f"set {field} to END"
    match (stated or "END").upper():
        case "END":
            return Cutting(to_cut=to_cut)
        case "START":
            return Cutting(side=Side.START, to_cut=to_cut)
        case "NONE":
            return Cutting(overlong=Overlong.REFUSE, to_cut=to_cut)
    raise InvalidRequestError(
        f"{field}: {str(stated)[:32]!r} given, one of NONE, START, END is needed"
    )


def texts_of(field: str, given: Sequence[Any]) -> list[str]:
    """The texts of a list that also has objects with a text each.

    Raises:
        InvalidRequestError: There are token ids among them, or an object has no text.
    """
    texts = []
    for i, item in enumerate(given):
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, dict):
            texts.append(text_of(item, (), f"{field}[{i}]"))
        else:
            raise InvalidRequestError(
                f"{field}[{i}]: token ids given, those of another model's tokenizer mean nothing "
                "here; send texts (LangChain's OpenAIEmbeddings does with "
                "check_embedding_ctx_length=False)"
            )
    return texts


def component_bytes(kind: VectorType, *, is_base64: bool) -> int:
    """Bytes that a component takes in an answer, as an upper bound."""
    return (_BASE64_BYTES if is_base64 else _JSON_BYTES).get(kind, _BITS_BYTES)


async def written(
    embedded: EmbeddedTexts, kind: VectorType, *, is_base64: bool
) -> list[msgspec.Raw]:
    """Each embedding as it stands in an answer."""
    write = as_base64 if is_base64 else as_numbers
    return await write(embedded.vectors, kind)


def told_of_cuts(embedded: EmbeddedTexts) -> tuple[tuple[str, str], ...]:
    """The header that says how many texts were not read whole; none where all were."""
    num_cut = int(np.count_nonzero(embedded.truncated))
    return ((TRUNCATED, str(num_cut)),) if num_cut else ()
