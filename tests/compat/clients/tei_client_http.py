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
    """Once the server has made the same text of the token ids which it made of a text."""
    client = client_of(ask, ask.encoder)
    text = ask.texts[0]
    (found,) = client.tokenize(text, add_special_tokens=True)
    decoded = client.decode([[token.id for token in found.tokens]])
    assert decoded == [text.lower()], decoded
    return client.embed(ask.texts)


run(
    rerank=rerank,
    embed=embed,
    more={"embed: tokens": embed_tokens, "embed: decoded": embed_decoded},
    uncut=lambda ask: rerank(ask, truncate=False),
)
