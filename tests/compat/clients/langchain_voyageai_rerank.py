"""LangChain's integration of Voyage."""

from langchain_core.documents import Document
from langchain_voyageai import VoyageAIEmbeddings, VoyageAIRerank
from trial import Ask, run


def rerank(ask: Ask, *, truncation: bool = True):
    compressor = VoyageAIRerank(
        model=ask.reranker,
        api_key=ask.key,
        base_url=f"{ask.url}/v1",
        top_k=ask.top_n,
        truncation=truncation,
    )
    documents = [
        Document(page_content=text, metadata={"place": place})
        for place, text in enumerate(ask.passages)
    ]
    found = compressor.compress_documents(documents, ask.query)
    return [(hit.metadata["place"], hit.metadata["relevance_score"]) for hit in found]


def embed(ask: Ask):
    embeddings = VoyageAIEmbeddings(
        model=ask.encoder, api_key=ask.key, base_url=f"{ask.url}/v1", batch_size=72
    )
    return embeddings.embed_documents(ask.texts)


run(
    rerank=rerank,
    embed=embed,
    uncut=lambda ask: rerank(ask, truncation=False),
    foreign="rerank-2.5",
    without={"embed": "fetches the tokenizer of a model of Voyage's from the Hub first"},
)
