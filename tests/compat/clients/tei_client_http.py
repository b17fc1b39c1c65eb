"""tei-client over HTTP, pointed at a model's prefix. It asks for /info before anything else."""

from tei_client import HttpClient
from trial import Ask, run


def client_of(ask: Ask, model: str) -> HttpClient:
    return HttpClient(f"{ask.url}/models/{model}", headers={"Authorization": f"Bearer {ask.key}"})


def rerank(ask: Ask, *, truncate: bool = True):
    client = client_of(ask, ask.reranker)
    ranks = client.rerank(ask.query, ask.passages, truncate=truncate).ranks
    return [(hit.index, hit.score) for hit in ranks]


def embed(ask: Ask):
    return client_of(ask, ask.encoder).embed(ask.texts)


def embed_tokens(ask: Ask):
    """Of each token: their mean, at length 1, is the text's embedding."""
    means = []
    for tokens in client_of(ask, ask.encoder).embed_all(ask.texts):
        mean = [sum(column) / len(tokens) for column in zip(*tokens, strict=True)]
        length = sum(value * value for value in mean) ** 0.5
        means.append([value / length for value in mean])
    return means


def embed_decoded(ask: Ask):
    """Of the texts that the server makes of the token ids which it makes of the texts."""
    client = client_of(ask, ask.encoder)
    for text in ask.texts[:2]:
        (found,) = client.tokenize(text, add_special_tokens=True)
        ids = [token.id for token in found.tokens]
        assert client.decode([ids]) == [text.lower()], client.decode([ids])
    return client.embed(ask.texts)


run(
    rerank=rerank,
    embed=embed,
    more={"embed: tokens": embed_tokens, "embed: decoded": embed_decoded},
    uncut=lambda ask: rerank(ask, truncate=False),
)
