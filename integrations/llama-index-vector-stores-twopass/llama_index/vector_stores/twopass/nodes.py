"""Nodes of LlamaIndex as documents, and documents as nodes.

A node is stored as all of LlamaIndex's stores do it: its text as the document's, its metadata as
the document's, and under keys of LlamaIndex's own what else it has. A document that was written by
other means becomes a `TextNode`.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from twopass.client import Document, SearchHit, SearchResult, Timings

METADATA_KEY = "twopass"
"""The key of a found node's metadata that says how it was found; no model is shown it."""

# What `node_to_metadata_dict` adds to a node's metadata.
_ADDED = frozenset({"_node_content", "_node_type", "document_id", "doc_id", "ref_doc_id"})


def document_of(node: BaseNode, *, with_vector: bool) -> Document:
    """The document that a node is stored as.

    Args:
        node: The node.
        with_vector: Whether the node's embedding is the document's vector; else the server embeds.
    """
    metadata = {key: value for key, value in node.metadata.items() if key != METADATA_KEY}
    if len(metadata) < len(node.metadata):  # found by a search, and now stored again
        node = node.model_copy(update={"metadata": metadata})
    return Document(
        id=node.node_id,
        text=node.get_content(metadata_mode=MetadataMode.NONE),
        metadata=node_to_metadata_dict(node, remove_text=True),
        vector=node.embedding if with_vector else None,
    )


def node_of(found: Document | SearchHit) -> BaseNode:
    """The node that a document is.

    Its metadata is the document's as it is now, even where it was changed since the node was
    stored. A document's title becomes the metadata `title`, unless there is one.
    """
    metadata = dict(found.metadata)
    if "_node_content" not in metadata:
        if found.title:
            metadata.setdefault("title", found.title)
        node: BaseNode = TextNode(id_=found.id, text=found.text, metadata=metadata)
    else:
        node = metadata_dict_to_node(metadata, text=found.text)
        own = {key: value for key, value in node.metadata.items() if key in _ADDED}
        node.metadata = {k: v for k, v in metadata.items() if k not in _ADDED} | own
    if found.vector is not None:
        node.embedding = list(found.vector)
    return node


def found_nodes(
    result: SearchResult, contents: Iterable[Document] = (), *, spans: bool = False
) -> list[tuple[SearchHit, BaseNode]]:
    """The hits of a search and their nodes, with what it knows of each under `METADATA_KEY`.

    Args:
        result: What the search answered.
        contents: The documents of the hits that came without theirs. A hit that has none still is
            left out: its document was deleted meanwhile.
        spans: Whether the text of a node is only the part of its document that matched best.
    """
    content = {document.id: document for document in contents}
    found: list[tuple[SearchHit, BaseNode]] = []
    for rank, hit in enumerate(result.hits, 1):
        if hit.content_omitted and hit.id not in content:
            continue
        document = content.get(hit.id, hit)
        node = node_of(document)
        if spans and hit.span is not None and isinstance(node, TextNode):
            whole = " ".join(filter(None, (document.title, document.text)))
            node.text = whole[hit.span.start : hit.span.end]
        note_passes(node, passes_metadata(result, hit, rank))
        found.append((hit, node))
    return found


def note_passes(node: BaseNode, passes: dict[str, Any]) -> None:
    """Puts what a search or a reranker knows of a node into its metadata, hidden from models."""
    node.metadata = {**node.metadata, METADATA_KEY: passes}
    for name in ("excluded_embed_metadata_keys", "excluded_llm_metadata_keys"):
        keys = getattr(node, name)
        if METADATA_KEY not in keys:
            setattr(node, name, [*keys, METADATA_KEY])


def passes_metadata(result: SearchResult, hit: SearchHit, rank: int) -> dict[str, Any]:
    """What both passes say of a hit; every key is there always, None for what was not computed."""
    return {
        "rank": rank,
        "score": hit.score,
        "logit": hit.logit,
        "blended_score": hit.blended_score,
        "dense_score": hit.dense_score,
        "lexical_score": hit.lexical_score,
        "fused_score": hit.fused_score,
        "first_pass_rank": hit.first_pass_rank,
        "dense_rank": hit.dense_rank,
        "lexical_rank": hit.lexical_rank,
        "truncated": hit.truncated,
        "span": None if hit.span is None else [hit.span.start, hit.span.end],
        "retrieve_status": result.retrieve_status.value,
        "rerank_status": result.rerank_status.value,
        "num_reranked": result.num_reranked,
        "num_candidates": result.num_candidates,
        "num_below_min_score": result.num_below_min_score,
        "encoder": result.encoder,
        "reranker": result.reranker,
        "blend": result.blend,
        "exact": result.exact,
        "query_truncated": result.query_truncated,
        "num_words_dropped": result.num_words_dropped,
        "sequence": result.sequence,
        "timings": timings_metadata(result.timings),
    }


def timings_metadata(timings: Timings) -> dict[str, float]:
    """The milliseconds of each stage that ran, such as `rerank_ms`."""
    return {stage: spent for stage, spent in asdict(timings).items() if spent is not None}
