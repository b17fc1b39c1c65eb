"""Maximal marginal relevance over the hits of a search (Carbonell and Goldstein 1998)."""

from collections.abc import Mapping, Sequence

import numpy as np
from langchain_core.documents import Document
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from langchain_twopass.documents import content_of
from twopass.client import SearchResult


def texts_without_vector(result: SearchResult) -> dict[str, str]:
    """By id, what of a hit is to be embedded, since its answer carries no vector.

    The server splits long documents and embeds the parts, so that such a document has no vector of
    its own; the part that matched best stands for it.
    """
    return {
        hit.id: content_of(hit, "span") or hit.title
        for hit in result.hits
        if hit.vector is None and not hit.content_omitted
    }


def diverse(
    result: SearchResult,
    documents: Sequence[Document],
    embedded: Mapping[str, Sequence[float]],
    query: Sequence[float],
    *,
    k: int,
    lambda_mult: float,
) -> list[Document]:
    """The documents that are similar to a query and unlike each other.

    Args:
        result: What was found, with vectors.
        documents: The same as documents.
        embedded: By id, the vectors of hits that the answer carries none of. A hit that has none
            here either is left out: its document was deleted meanwhile.
        query: The vector of the query.
        k: Most documents to return.
        lambda_mult: 1 for similarity alone, 0 for diversity alone.
    """
    candidates, vectors = [], []
    for hit, document in zip(result.hits, documents, strict=True):
        vector = embedded.get(hit.id) if hit.vector is None else hit.vector
        if vector is not None:
            candidates.append(document)
            vectors.append(list(vector))
    if not candidates:
        return []
    chosen = maximal_marginal_relevance(
        np.asarray(query, dtype=np.float32), vectors, lambda_mult=lambda_mult, k=k
    )
    return [candidates[index] for index in chosen]
