"""Hugging Face's client of inference endpoints, pointed at a model's prefix."""

from huggingface_hub import InferenceClient
from trial import Ask, run


def client_of(ask: Ask) -> InferenceClient:
    return InferenceClient(model=f"{ask.url}/models/{ask.encoder}", token=ask.key)


def embed(ask: Ask):
    return client_of(ask).feature_extraction(ask.texts)


def embed_one_by_one(ask: Ask):
    client = client_of(ask)
    return [client.feature_extraction(text)[0] for text in ask.texts]


def similarity(ask: Ask):
    return [client_of(ask).sentence_similarity(ask.texts[0], ask.texts[1:])]


def uncut(ask: Ask):
    return client_of(ask).feature_extraction(ask.texts, truncate=False)


run(
    embed=embed,
    more={"embed: text": embed_one_by_one, "embed: similarity": similarity},
    uncut=uncut,
)
