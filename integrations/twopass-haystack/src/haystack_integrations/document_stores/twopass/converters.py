"""Documents between Haystack and the client, and what a search has told about them."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from haystack import Document, logging

from twopass import client

logger = logging.getLogger(__name__)

NO_EMBEDDING = "_no_embedding"
"""A field of metadata that marks a document without an embedding where the application makes them:
its vector is all zeros then."""
ANSWER = "twopass"
"""The key of a found document's `meta` under which its scores, ranks, statuses and timings are."""

# What a hit tells beside the document; `None` is left out.
_OF_HIT = (
    *("score", "logit", "dense_score", "lexical_score", "fused_score", "blended_score"),
    *("dense_rank", "lexical_rank", "first_pass_rank", "truncated"),
)
_OF_RESULT = (
    *("num_candidates", "num_reranked", "num_below_min_score", "blend", "encoder", "reranker"),
    *("exact", "query_truncated", "num_words_dropped", "sequence"),
)


def text_of_meta(document: Document, fields: Iterable[str], separator: str) -> str:
    """The values of fields of a document's metadata, joined; missing ones and None are left out."""
    values = (document.meta.get(field) for field in fields)
    return separator.join(str(value) for value in values if value is not None)


def without_nul(text: str) -> str:
    """A text that a model can be given: extraction from PDFs leaves NULs, which servers refuse."""
    return text.replace("\0", " ")


def to_client(
    documents: object,
    *,
    embedding_dim: int | None,
    needs_embedding: bool,
    meta_fields_to_embed: Sequence[str],
    embedding_separator: str,
) -> list[client.Document]:
    """Documents as the client writes them.

    Args:
        documents: A list of Haystack's documents.
        embedding_dim: The dimension of their embeddings; None where the server makes them, but for
            documents that bring their own.
        needs_embedding: Whether a document without an embedding is refused.
        meta_fields_to_embed: Fields of metadata that models read before the text, as its title.
        embedding_separator: What stands between them.

    Raises:
        ValueError: It is no such list, or a document lacks what it needs.
    """
    if not isinstance(documents, list) or not all(isinstance(d, Document) for d in documents):
        raise ValueError("documents: a list of Haystack's Documents is needed")
    written: list[client.Document] = []
    for index, document in enumerate(documents):
        title = text_of_meta(document, meta_fields_to_embed, embedding_separator)
        if not (document.content or title):
            raise ValueError(
                f"documents[{index}].content: none given (id {document.id}), but both passes read "
                "text; leave such documents out"
            )
        for attribute in ("blob", "sparse_embedding"):
            if getattr(document, attribute) is not None:
                logger.warning(
                    "Document {document_id} has a {attribute}, which twopass does not store.",
                    document_id=document.id,
                    attribute=attribute,
                )
        metadata = {key: value for key, value in document.meta.items() if key != ANSWER}
        vector = document.embedding
        if vector is None and embedding_dim is not None:
            if needs_embedding:
                raise ValueError(
                    f"documents[{index}].embedding: none given (id {document.id}); embed documents "
                    'first, or let the store compare by "dot_product", or leave out embedding_dim: '
                    "the server embeds them then"
                )
            metadata[NO_EMBEDDING] = True
            vector = [0.0] * embedding_dim
        written.append(
            client.Document(
                id=document.id,
                text=document.content or "",
                title=title,
                metadata=metadata,
                vector=vector,
            )
        )
    return written


def from_client(
    document: client.Document | client.SearchHit, *, keeps_title: bool, **attributes: Any
) -> Document:
    """A document as Haystack has it.

    Args:
        document: The document.
        keeps_title: Whether a title becomes `meta["title"]`, unless there is one.
        attributes: More of the document's attributes, such as its score.
    """
    meta = dict(document.metadata)
    is_embedded = not meta.pop(NO_EMBEDDING, False)
    if keeps_title and document.title:
        meta.setdefault("title", document.title)
    embedding = list(document.vector) if is_embedded and document.vector else None
    return Document(
        id=document.id, content=document.text, meta=meta, embedding=embedding, **attributes
    )


def found_documents(result: client.SearchResult, *, keeps_title: bool) -> list[Document]:
    """The documents of a search, best first, with what it tells about each in their `meta`.

    A document's `score` is the second pass's where that ran, and None then of documents that it did
    not read, so that no score contradicts the order by being of another scale. Where it did not
    run, it is the score of the first pass that decided: fused, dense or lexical.
    """
    is_reranked = any(hit.score is not None for hit in result.hits)
    of_search = {
        "retrieve_status": str(result.retrieve_status),
        "rerank_status": str(result.rerank_status),
        "timings": milliseconds(result.timings),
    }
    documents: list[Document] = []
    for rank, hit in enumerate(result.hits, 1):
        document = from_client(
            hit, keeps_title=keeps_title, score=hit.score if is_reranked else _first_pass_score(hit)
        )
        told = {name: getattr(hit, name) for name in _OF_HIT if getattr(hit, name) is not None}
        if hit.span is not None:
            told["span"] = dataclasses.asdict(hit.span)
        if hit.content_omitted:
            told["content_omitted"] = True
        document.meta[ANSWER] = {"rank": rank, **told, **of_search}
        documents.append(document)
    return documents


def about_search(result: client.SearchResult) -> dict[str, Any]:
    """What a search tells as a whole: statuses, counts, models and timings."""
    return {
        "retrieve_status": str(result.retrieve_status),
        "rerank_status": str(result.rerank_status),
        **{name: getattr(result, name) for name in _OF_RESULT},
        "timings": milliseconds(result.timings),
    }


def milliseconds(timings: client.Timings) -> dict[str, float]:
    """The milliseconds of each stage that ran."""
    stages = dataclasses.asdict(timings)
    return {stage: spent for stage, spent in stages.items() if spent is not None}


def _first_pass_score(hit: client.SearchHit) -> float | None:
    for score in (hit.fused_score, hit.dense_score, hit.lexical_score):
        if score is not None:
            return score
    return None
