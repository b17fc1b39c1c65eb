"""LangChain's integration of OpenAI, told to send texts and not another model's token ids."""

from langchain_openai import OpenAIEmbeddings
from trial import Ask, run


def embed(ask: Ask):
    embeddings = OpenAIEmbeddings(
        model=ask.encoder,
        base_url=f"{ask.url}/v1",
        api_key=ask.key,
        check_embedding_ctx_length=False,
    )
    return embeddings.embed_documents(ask.texts)


run(embed=embed, foreign="text-embedding-ada-002")
