"""LlamaIndex's embeddings by any server that speaks as OpenAI's."""

from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from trial import Ask, run


def embed(ask: Ask):
    embedding = OpenAILikeEmbedding(
        model_name=ask.encoder, api_base=f"{ask.url}/v1", api_key=ask.key, max_retries=2
    )
    return embedding.get_text_embedding_batch(ask.texts)


run(embed=embed, foreign="text-embedding-ada-002")
