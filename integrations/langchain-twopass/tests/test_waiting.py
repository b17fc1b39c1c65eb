"""Many texts wait for a server that has no room for them all at once."""

import pytest

from langchain_twopass import TwopassEmbeddings
from twopass.client import AsyncClient, Client, OverloadedError


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other call of embed finds no room."""
    embed, embed_async, calls = Client.embed, AsyncClient.embed, [0]

    def refuse() -> None:
        calls[0] += 1
        if calls[0] % 2:
            raise OverloadedError("queue full", retry_after=0.01)

    def sometimes(client, *args, **kwargs):
        refuse()
        return embed(client, *args, **kwargs)

    async def sometimes_async(client, *args, **kwargs):
        refuse()
        return await embed_async(client, *args, **kwargs)

    monkeypatch.setattr(Client, "embed", sometimes)
    monkeypatch.setattr(AsyncClient, "embed", sometimes_async)


@pytest.mark.usefixtures("full")
async def test_documents_wait_for_room_and_a_query_does_not(target):
    embeddings = TwopassEmbeddings(target=target, chunk_size=2)
    texts = ["Bees.", "Canberra.", "The sea.", "Glass.", "Dates."]
    vectors = embeddings.embed_documents(texts)
    assert len(vectors) == len(texts)
    assert await embeddings.aembed_documents(texts) == vectors
    with pytest.raises(OverloadedError):
        embeddings.embed_query("Bees?")
    await embeddings.aclose()
