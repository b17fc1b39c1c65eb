"""LangChain's integration of Cohere."""

from langchain_cohere import CohereEmbeddings, CohereRerank
from trial import Ask, run


def rerank(ask: Ask):
    compressor = CohereRerank(
        base_url=ask.url, cohere_api_key=ask.key, model=ask.reranker, top_n=ask.top_n
    )
    found = compressor.rerank(ask.passages, ask.query)
    return [(hit["index"], hit["relevance_score"]) for hit in found]


def embed(ask: Ask):
    embeddings = CohereEmbeddings(base_url=ask.url, cohere_api_key=ask.key, model=ask.encoder)
    return embeddings.embed_documents(ask.texts)


run(rerank=rerank, embed=embed, foreign="rerank-v3.5")
