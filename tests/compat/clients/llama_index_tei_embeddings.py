"""LlamaIndex's embeddings by text-embeddings-inference, pointed at a model's prefix."""

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
from trial import Ask, run


def embedding_of(ask: Ask, *, truncate: bool = True) -> TextEmbeddingsInference:
    return TextEmbeddingsInference(
        model_name=ask.encoder,
        base_url=f"{ask.url}/models/{ask.encoder}",
        auth_token=ask.key,
        truncate_text=truncate,
    )


def embed(ask: Ask):
    return embedding_of(ask).get_text_embedding_batch(ask.texts)


def embed_one_by_one(ask: Ask):
    return [embedding_of(ask).get_text_embedding(text) for text in ask.texts]


run(
    embed=embed,
    more={"embed: text": embed_one_by_one},
    uncut=lambda ask: embedding_of(ask, truncate=False).get_text_embedding(ask.texts[0]),
)
