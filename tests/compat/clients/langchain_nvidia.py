"""LangChain's integration of NVIDIA NIM, whose scores are logits."""

from langchain_core.documents import Document
from langchain_nvidia_ai_endpoints import NVIDIAEmbeddings, NVIDIARerank
from trial import Ask, run


def rerank(ask: Ask, *, truncate: str | None = "END"):
    compressor = NVIDIARerank(
        model=ask.reranker,
        api_key=ask.key,
        base_url=f"{ask.url}/v1",
        top_n=ask.top_n,
        truncate=truncate,
    )
    documents = [
        Document(page_content=text, metadata={"place": place})
        for place, text in enumerate(ask.passages)
    ]
    found = compressor.compress_documents(documents, ask.query)
    return [(hit.metadata["place"], hit.metadata["relevance_score"]) for hit in found]


def embed(ask: Ask):
    embeddings = NVIDIAEmbeddings(model=ask.encoder, api_key=ask.key, base_url=f"{ask.url}/v1")
    return embeddings.embed_documents(ask.texts)


run(
    rerank=rerank,
    embed=embed,
    uncut=lambda ask: rerank(ask, truncate="NONE"),
    scale="logit",
)
