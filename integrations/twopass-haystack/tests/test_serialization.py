"""Stores and components as dictionaries and as YAML; keys and certificates."""

import copy
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from haystack import Pipeline
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import Secret
from haystack_integrations.components.embedders.twopass import (
    TwopassDocumentEmbedder,
    TwopassTextEmbedder,
)
from haystack_integrations.components.rankers.twopass import TwopassRanker
from haystack_integrations.components.retrievers.twopass import (
    TwopassBM25Retriever,
    TwopassEmbeddingRetriever,
    TwopassRetriever,
)
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from twopass.client import InvalidArgumentError, UnauthenticatedError, UnavailableError

from .corpus import DOCUMENTS, QUESTION

CONNECTION = {
    "target": "example.org:1",
    "api_key": Secret.from_env_var("MY_KEY"),
    "ca": "/ca.pem",
    "client_certificate": "/own.pem",
    "client_key": "/own.key",
    "timeout": 3.0,
}
STORE = {
    "collection": "docs",
    "embedding_dim": 3,
    "embedding_similarity_function": "cosine",
    "meta_fields_to_embed": ["title"],
    "embedding_separator": " ",
    "return_embedding": True,
    "encoder": "encoder",
    "language": "de",
    "index_kind": "HNSW32",
    "indexed_fields": {"year": "number"},
    **CONNECTION,
}
RETRIEVER = {
    "filters": {"field": "meta.year", "operator": ">", "value": 2000},
    "top_k": 3,
    "filter_policy": "merge",
}
ARGUMENTS: list[tuple[type, dict[str, Any]]] = [
    (TwopassDocumentStore, STORE),
    (TwopassBM25Retriever, RETRIEVER),
    (TwopassEmbeddingRetriever, RETRIEVER),
    (
        TwopassRetriever,
        {
            **RETRIEVER,
            "score_threshold": 0.1,
            "mode": "hybrid",
            "num_candidates": 100,
            "fusion": "convex",
            "alpha": 0.5,
            "rerank": False,
            "rerank_depth": 20,
            "reranker": "reranker",
            "blend": 0.2,
            "truncation": "max_window",
            "query_instruction": "Find",
            "rerank_instruction": "Judge",
            "time_budget": 0.2,
            "allow_fallback": False,
        },
    ),
    (
        TwopassRanker,
        {
            "model": "reranker",
            "top_k": 3,
            "score_threshold": 0.1,
            "meta_fields_to_embed": ["title"],
            "embedding_separator": " ",
            "blend": 0.2,
            "truncation": "reject",
            "instruction": "Judge",
            **CONNECTION,
        },
    ),
    (
        TwopassTextEmbedder,
        {
            "model": "encoder",
            "prefix": "a",
            "suffix": "b",
            "dimensions": 8,
            "instruction": "Find",
            "query_truncation": "reject",
            **CONNECTION,
        },
    ),
    (
        TwopassDocumentEmbedder,
        {
            "model": "encoder",
            "prefix": "a",
            "suffix": "b",
            "batch_size": 4,
            "progress_bar": False,
            "meta_fields_to_embed": ["title"],
            "embedding_separator": " ",
            "dimensions": 8,
            **CONNECTION,
        },
    ),
]


def _made(kind: type, arguments: dict[str, Any]) -> Any:
    if "retrievers" in kind.__module__:
        return kind(document_store=TwopassDocumentStore(**STORE), **arguments)
    return kind(**arguments)


@pytest.mark.parametrize(
    ("kind", "arguments"), ARGUMENTS, ids=lambda each: getattr(each, "__name__", "")
)
def test_every_option_survives_serialization(kind: Any, arguments: dict[str, Any]) -> None:
    named = set(inspect.signature(kind.__init__).parameters) - {"self", "document_store"}
    assert set(arguments) == named, "the test leaves an option out"
    written = _made(kind, arguments).to_dict()
    assert written["type"] == f"{kind.__module__}.{kind.__name__}"
    for name, value in arguments.items():
        expected = value.to_dict() if isinstance(value, Secret) else value
        assert written["init_parameters"][name] == expected
    assert kind.from_dict(written).to_dict() == written
    defaults = _made(kind, {}).to_dict()
    assert kind.from_dict(defaults).to_dict() == defaults


def test_pipelines_are_loaded_from_yaml_without_a_server_or_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    pipeline = Pipeline()
    for number, (kind, arguments) in enumerate(ARGUMENTS[1:]):
        pipeline.add_component(f"component_{number}", _made(kind, arguments))
    store = TwopassDocumentStore(**STORE)
    pipeline.add_component("writer", DocumentWriter(store, DuplicatePolicy.OVERWRITE))
    assert Pipeline.loads(pipeline.dumps()).to_dict() == pipeline.to_dict()


def test_a_key_given_in_the_open_is_not_written_down() -> None:
    store = TwopassDocumentStore(api_key=Secret.from_token("secret"))
    with pytest.raises(ValueError, match="Cannot serialize token-based secret"):
        store.to_dict()


@pytest.fixture
def secured(secure_server: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("MY_KEY", secure_server.api_key)
    return {
        "target": secure_server.target,
        "ca": str(secure_server.certificate),
        "api_key": Secret.from_env_var("MY_KEY"),
    }


async def test_keys_and_certificates_are_used_by_everything(
    secured: dict[str, Any], secure_server: Any, name: str
) -> None:
    store = TwopassDocumentStore(name, **secured)
    try:
        store.write_documents(DOCUMENTS)
        retriever = TwopassRetriever.from_dict(TwopassRetriever(store).to_dict())
        for answer in (retriever.run(QUESTION), await retriever.run_async(QUESTION)):
            assert answer["documents"][0].id == "strptime"
        assert TwopassRanker(**secured).run(QUESTION, DOCUMENTS)["documents"][0].id == "strptime"
        assert TwopassTextEmbedder(**secured).run(QUESTION)["embedding"]
        assert TwopassDocumentEmbedder(progress_bar=False, **secured).run(DOCUMENTS)["documents"]
    finally:
        with secure_server.client() as client:
            client.delete_collection(name)


def test_variables_of_the_command_are_read_where_nothing_is_given(
    secure_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWOPASS_TARGET", secure_server.target)
    monkeypatch.setenv("TWOPASS_CA", str(secure_server.certificate))
    with pytest.raises(UnauthenticatedError):
        TwopassTextEmbedder().run(QUESTION)
    monkeypatch.setenv("TWOPASS_API_KEY", secure_server.api_key)
    assert TwopassTextEmbedder().run(QUESTION)["embedding"]


def test_what_can_t_be_reached_or_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="localhost:1"):
        TwopassTextEmbedder(target="localhost:1").run(QUESTION)
    with pytest.raises(InvalidArgumentError, match="ca: "):
        TwopassTextEmbedder(ca=str(tmp_path / "missing.pem")).run(QUESTION)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["copy", "pickle"]
)
async def test_a_copy_connects_anew(
    filled: TwopassDocumentStore, target: str, copied: Callable[[Any], Any]
) -> None:
    retriever, ranker = TwopassRetriever(filled), TwopassRanker(target=target)
    answers = retriever.run(QUESTION), ranker.run(QUESTION, DOCUMENTS)
    await ranker.run_async(QUESTION, DOCUMENTS)
    twins = copied(retriever), copied(ranker)
    retriever.close()
    ranker.close()
    await ranker.close_async()
    again = twins[0].run(QUESTION), await twins[1].run_async(QUESTION, DOCUMENTS)
    for answer, other in zip(answers, again, strict=True):
        assert [each.id for each in other["documents"]] == [each.id for each in answer["documents"]]
    twins[0].close()
    await twins[1].close_async()


async def test_what_is_closed_for_threads_can_still_be_closed_for_asyncio(
    filled: TwopassDocumentStore,
) -> None:
    await filled.count_documents_async()
    client = filled._connection.async_client()
    filled.close()
    await filled.close_async()
    with pytest.raises(RuntimeError, match="closed"):
        await client.list_collections()
    assert await filled.count_documents_async() == len(DOCUMENTS)
    await filled.close_async()
