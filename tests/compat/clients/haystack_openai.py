"""Haystack's embedders of OpenAI."""

from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.utils import Secret
from trial import Ask, run


def embed(ask: Ask):
    embedder = OpenAIDocumentEmbedder(
        api_key=Secret.from_token(ask.key),
        model=ask.encoder,
        api_base_url=f"{ask.url}/v1",
        progress_bar=False,
        max_retries=2,
        raise_on_failure=True,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.texts)]
    return [each.embedding for each in embedder.run(documents)["documents"]]


def embed_one_by_one(ask: Ask):
    embedder = OpenAITextEmbedder(
        api_key=Secret.from_token(ask.key), model=ask.encoder, api_base_url=f"{ask.url}/v1"
    )
    return [embedder.run(text)["embedding"] for text in ask.texts]


run(embed=embed, more={"embed: text": embed_one_by_one}, foreign="text-embedding-ada-002")
