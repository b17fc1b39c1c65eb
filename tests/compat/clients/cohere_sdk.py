"""Cohere's SDK for Python: both versions of the API."""

import base64
import struct

import cohere
from trial import Ask, run


def rerank(ask: Ask):
    client = cohere.ClientV2(api_key=ask.key, base_url=ask.url)
    answer = client.rerank(
        model=ask.reranker, query=ask.query, documents=ask.passages, top_n=ask.top_n
    )
    return [(hit.index, hit.relevance_score) for hit in answer.results]


def rerank_with_spans(ask: Ask):
    client = cohere.ClientV2(api_key=ask.key, base_url=ask.url)
    answer = client.rerank(
        model=ask.reranker,
        query=ask.query,
        documents=ask.passages,
        top_n=ask.top_n,
        relevant_spans=cohere.RerankRelevantSpans(mode="enabled", threshold=0.0, max_spans=1),
    )
    for hit in answer.results:
        (span,) = hit.relevant_spans
        assert 0 <= span.start < span.end <= len(ask.passages[hit.index])
        assert 0 <= span.score <= 1
    return [(hit.index, hit.relevance_score) for hit in answer.results]


def rerank_v1(ask: Ask):
    client = cohere.Client(api_key=ask.key, base_url=ask.url)
    answer = client.rerank(
        model=ask.reranker,
        query=ask.query,
        documents=[{"text": passage} for passage in ask.passages],
        top_n=ask.top_n,
        return_documents=True,
    )
    assert [hit.document.text for hit in answer.results] == [
        ask.passages[hit.index] for hit in answer.results
    ]
    return [(hit.index, hit.relevance_score) for hit in answer.results]


def embed(ask: Ask):
    client = cohere.ClientV2(api_key=ask.key, base_url=ask.url)
    answer = client.embed(
        model=ask.encoder,
        input_type="search_document",
        texts=ask.texts,
        embedding_types=["float"],
    )
    return answer.embeddings.float_


def embed_base64(ask: Ask):
    client = cohere.ClientV2(api_key=ask.key, base_url=ask.url)
    answer = client.embed(
        model=ask.encoder,
        input_type="search_document",
        texts=ask.texts,
        embedding_types=["base64"],
    )
    return [
        struct.unpack(f"<{len(raw) // 4}f", raw)
        for raw in map(base64.b64decode, answer.embeddings.base64)
    ]


def embed_v1(ask: Ask):
    client = cohere.Client(api_key=ask.key, base_url=ask.url)
    return client.embed(model=ask.encoder, input_type="search_document", texts=ask.texts).embeddings


def uncut(ask: Ask):
    client = cohere.ClientV2(api_key=ask.key, base_url=ask.url)
    return client.embed(
        model=ask.encoder,
        input_type="search_document",
        texts=ask.texts,
        embedding_types=["float"],
        truncate="NONE",
    )


run(
    rerank=rerank,
    embed=embed,
    more={
        "rerank: relevant_spans": rerank_with_spans,
        "rerank: v1": rerank_v1,
        "embed: base64": embed_base64,
        "embed: v1": embed_v1,
    },
    uncut=uncut,
    foreign="rerank-v3.5",
)
