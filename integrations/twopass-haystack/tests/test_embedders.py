"""Embeddings of queries and of documents."""

import logging
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from haystack import Document
from haystack_integrations.components.embedders.twopass import (
    TwopassDocumentEmbedder,
    TwopassTextEmbedder,
)

from twopass.client import AsyncClient, Client, InvalidArgumentError, OverloadedError

from .corpus import ANSWER, DOCUMENTS, QUESTION


def test_a_query_is_embedded_as_the_first_pass_does(target: str, client: Client) -> None:
    query = f"{QUESTION} {secrets.token_hex(4)}"  # of a known query no token is read again
    answer = TwopassTextEmbedder(target=target).run(query)
    result = client.embed([query], role="query")
    assert answer["embedding"] == list(result.vectors[0])
    assert answer["meta"]["model"] == result.model
    assert answer["meta"]["usage"]["total_tokens"] > 6
    assert answer["meta"]["truncated"] is False
    assert answer["meta"]["timings"]["total_ms"] > 0


def test_documents_are_embedded_as_passages_in_their_order(target: str, client: Client) -> None:
    for batch_size in (1, 3, 32):
        embedder = TwopassDocumentEmbedder(batch_size=batch_size, progress_bar=False, target=target)
        answer = embedder.run(DOCUMENTS)
        result = client.embed([document.content or "" for document in DOCUMENTS])
        assert [document.id for document in answer["documents"]] == [each.id for each in DOCUMENTS]
        assert [document.embedding for document in answer["documents"]] == [
            list(vector) for vector in result.vectors
        ]
        assert answer["meta"]["usage"]["total_tokens"] == result.num_tokens
        assert answer["meta"]["num_truncated"] == 0
    assert all(document.embedding is None for document in DOCUMENTS)


def test_prefix_suffix_and_fields_of_meta_are_read_too(target: str, client: Client) -> None:
    wanted = client.embed(["<datetime; 2003; strptime>"]).vectors[0]
    embedder = TwopassDocumentEmbedder(
        prefix="<",
        suffix=">",
        meta_fields_to_embed=["module", "year", "unknown"],
        embedding_separator="; ",
        progress_bar=False,
        target=target,
    )
    document = Document(content="strptime", meta=ANSWER.meta)
    assert embedder.run([document])["documents"][0].embedding == list(wanted)
    queried = TwopassTextEmbedder(prefix="<", suffix=">", target=target).run("strptime")
    assert queried["embedding"] == list(client.embed(["<strptime>"], role="query").vectors[0])


def test_embeddings_are_cut_where_that_is_asked_for(target: str) -> None:
    assert len(TwopassTextEmbedder(dimensions=8, target=target).run("x")["embedding"]) == 8
    embedder = TwopassDocumentEmbedder(dimensions=8, progress_bar=False, target=target)
    assert len(embedder.run([ANSWER])["documents"][0].embedding) == 8


def test_what_is_too_long_is_told(target: str) -> None:
    long = "word " * 2_000
    assert TwopassTextEmbedder(target=target).run(long)["meta"]["truncated"] is True
    embedder = TwopassDocumentEmbedder(progress_bar=False, target=target)
    assert embedder.run([Document(content=long), ANSWER])["meta"]["num_truncated"] == 1
    with pytest.raises(InvalidArgumentError):
        TwopassTextEmbedder(query_truncation="reject", target=target).run(long)


def test_documents_without_text_get_no_embedding(
    target: str, caplog: pytest.LogCaptureFixture
) -> None:
    empty = Document(id="empty", content=None)
    embedder = TwopassDocumentEmbedder(prefix="> ", progress_bar=False, target=target)
    with caplog.at_level(logging.WARNING):
        documents = embedder.run([empty, ANSWER, empty])["documents"]
    assert [document.embedding is None for document in documents] == [True, False, True]
    assert "2 of 3 documents have no text" in caplog.text


def test_blank_documents_fail_no_batch(target: str) -> None:
    embedder = TwopassDocumentEmbedder(progress_bar=False, target=target)
    given = [
        Document(content=" \n\u00a0"),
        Document(content="\0"),
        Document(content="a\0b"),
        ANSWER,
    ]
    documents = embedder.run(given)["documents"]
    assert [document.embedding is None for document in documents] == [True, True, False, False]


def test_no_documents_make_no_call() -> None:
    answer = TwopassDocumentEmbedder(target="localhost:1").run([])
    assert answer["documents"] == []


def test_the_other_embedder_is_named_for_what_is_its(target: str) -> None:
    with pytest.raises(TypeError, match="TwopassDocumentEmbedder"):
        TwopassTextEmbedder(target=target).run(DOCUMENTS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="TwopassTextEmbedder"):
        TwopassDocumentEmbedder(target=target).run(QUESTION)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch_size: 0"):
        TwopassDocumentEmbedder(batch_size=0)


async def test_async_answers_are_those_of_sync(target: str) -> None:
    text, documents = (
        TwopassTextEmbedder(target=target),
        TwopassDocumentEmbedder(batch_size=2, progress_bar=False, target=target),
    )
    assert (await text.run_async(QUESTION))["embedding"] == text.run(QUESTION)["embedding"]
    answered = await documents.run_async(DOCUMENTS)
    assert answered["documents"] == documents.run(DOCUMENTS)["documents"]
    for each in (text, documents):
        await each.close_async()
        each.close()


async def test_batches_wait_for_room(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = TwopassDocumentEmbedder(batch_size=2, progress_bar=False, target=target)
    expected = embedder.run(DOCUMENTS)["documents"]
    refused: list[type] = []
    for kind in (Client, AsyncClient):
        monkeypatch.setattr(kind, "embed", _refusing_first(kind, refused))
    assert embedder.run(DOCUMENTS)["documents"] == expected
    assert (await embedder.run_async(DOCUMENTS))["documents"] == expected
    assert refused == [Client, AsyncClient]
    embedder.close()
    await embedder.close_async()


def _refusing_first(kind: type, refused: list[type]) -> Callable[..., Any]:
    """A method `embed` that finds no room when it is first called."""
    embed = kind.embed

    def tried(client: Any, *args: Any, **kwargs: Any) -> Any:
        if kind not in refused:
            refused.append(kind)
            raise OverloadedError("queue full", retry_after=0.01)
        return embed(client, *args, **kwargs)

    return tried
