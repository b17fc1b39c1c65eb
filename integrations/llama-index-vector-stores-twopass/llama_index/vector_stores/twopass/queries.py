"""LlamaIndex's queries as searches, and what searches find as its results."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index.vector_stores.twopass.filters import condition_of
from llama_index.vector_stores.twopass.nodes import found_nodes
from twopass.client import (
    Condition,
    ConvexFusion,
    Document,
    Rerank,
    Retrieve,
    SearchHit,
    SearchResult,
    document_ids,
    field,
)

# The server's limits of values, and of ids, that one test compares with.
_MOST_VALUES, _MOST_IDS = 1_000, 10_000
_LEXICAL = {VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE}
_HYBRID = {VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID}
_ANSWERED = (
    VectorStoreQueryMode.DEFAULT,
    VectorStoreQueryMode.TEXT_SEARCH,
    VectorStoreQueryMode.SPARSE,
    VectorStoreQueryMode.HYBRID,
    VectorStoreQueryMode.SEMANTIC_HYBRID,
)


def arguments_of(
    query: VectorStoreQuery, rerank: Rerank | None, declared: Mapping[str, str]
) -> dict[str, Any]:
    """The arguments of the search that a query stands for.

    Args:
        query: The query.
        rerank: How the second pass of the mode semantic_hybrid runs.
        declared: The collection's declared fields, where its filters need to know them.

    Raises:
        ValueError: No search answers the query's mode, it has nothing to search for, or asks for
            less than one node.
    """
    mode = VectorStoreQueryMode(query.mode)
    if mode not in _ANSWERED:
        modes = ", ".join(each.value for each in _ANSWERED)
        raise ValueError(f"mode: {mode.value!r} given, one of {modes} is needed")
    needs_text = mode is not VectorStoreQueryMode.DEFAULT or query.query_embedding is None
    if needs_text and not query.query_str:
        raise ValueError(f"query_str: none given, the mode {mode.value!r} searches by its words")
    second_pass = mode is VectorStoreQueryMode.SEMANTIC_HYBRID
    return {
        "query": query.query_str if needs_text else "",
        "vector": None if mode in _LEXICAL else query.query_embedding,
        "top_n": _top_n(query, mode),
        "retrieve": _first_pass(query, mode),
        "rerank": (rerank or True) if second_pass else False,
        "filter": _filter_of(query, declared),
    }


def result_of(
    mode: VectorStoreQueryMode, result: SearchResult, contents: Iterable[Document]
) -> VectorStoreQueryResult:
    """What a search has found.

    Args:
        mode: The query's mode.
        result: What the search answered.
        contents: The documents of the hits that came without theirs.
    """
    found = found_nodes(result, contents)
    hits = [hit for hit, _ in found]
    return VectorStoreQueryResult(
        nodes=[node for _, node in found],
        similarities=_similarities(mode, hits),
        ids=[hit.id for hit in hits],
    )


def _top_n(query: VectorStoreQuery, mode: VectorStoreQueryMode) -> int:
    name = "similarity_top_k"
    if mode in _HYBRID and query.hybrid_top_k is not None:
        name = "hybrid_top_k"
    elif mode in _LEXICAL and query.sparse_top_k is not None:
        name = "sparse_top_k"
    top_n: int = getattr(query, name)
    if top_n < 1:  # the server takes 0 for its default
        raise ValueError(f"{name}: {top_n} given, at least 1 is needed")
    return top_n


def _first_pass(query: VectorStoreQuery, mode: VectorStoreQueryMode) -> Retrieve:
    if mode in _LEXICAL:
        return Retrieve("lexical")
    if mode not in _HYBRID:
        return Retrieve("dense")
    fusion = None if query.alpha is None else ConvexFusion(query.alpha)
    k = None  # the server's default, which suits the second pass
    if query.sparse_top_k is not None:
        k = max(query.similarity_top_k, query.sparse_top_k, query.hybrid_top_k or 0)
    return Retrieve("hybrid", k=k, fusion=fusion)


def _filter_of(query: VectorStoreQuery, declared: Mapping[str, str]) -> Condition | None:
    conditions = []
    if query.node_ids:  # VectorStoreIndex gives an empty list where it means all nodes
        groups = _cut(query.node_ids, _MOST_IDS)
        conditions.append(reduce(or_, map(document_ids, groups)))
    if query.doc_ids:
        groups = _cut(query.doc_ids, _MOST_VALUES)
        conditions.append(reduce(or_, map(field("ref_doc_id").is_in, groups)))
    if (condition := condition_of(query.filters, declared)) is not None:
        conditions.append(condition)
    if not conditions:
        return None
    return reduce(and_, conditions)


def _cut(ids: list[str], most: int) -> list[list[str]]:
    return [ids[start : start + most] for start in range(0, len(ids), most)]


def _similarities(mode: VectorStoreQueryMode, hits: Sequence[SearchHit]) -> list[float]:
    """A score for each hit, all of one kind: LlamaIndex takes no list that lacks some."""
    kinds = ["dense_score", "lexical_score"]
    if mode in _LEXICAL:
        kinds = ["lexical_score"]
    elif mode in _HYBRID:  # where one list is missing, as retrieve_status says, nothing is fused
        kinds = ["fused_score", *kinds]
    if mode is VectorStoreQueryMode.SEMANTIC_HYBRID:
        kinds = ["score", *kinds]
    for kind in kinds:
        scores = [getattr(hit, kind) for hit in hits]
        if None not in scores:
            return scores
    return [1 / hit.first_pass_rank for hit in hits]
