"""OpenAI's SDK for Python, which asks for base64 unless told otherwise."""

import openai
from trial import Ask, run


def client_of(ask: Ask) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{ask.url}/v1", api_key=ask.key)


def embed(ask: Ask):
    answer = client_of(ask).embeddings.create(model=ask.encoder, input=ask.texts)
    return [each.embedding for each in answer.data]


def embed_float(ask: Ask):
    answer = client_of(ask).embeddings.create(
        model=ask.encoder, input=ask.texts, encoding_format="float"
    )
    return [each.embedding for each in answer.data]


def embed_listed(ask: Ask):
    """By the name that the server lists."""
    client = client_of(ask)
    names = [model.id for model in client.models.list()]
    assert {ask.encoder, ask.reranker} <= set(names), names
    return embed(ask)


run(
    embed=embed,
    more={"embed: float": embed_float, "embed: models": embed_listed},
    foreign="text-embedding-3-small",
)
