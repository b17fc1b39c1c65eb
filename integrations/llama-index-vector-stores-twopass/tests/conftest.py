"""Stores of the tests' own, and a way to call methods for threads and their twins for asyncio."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from llama_index.vector_stores.twopass import TwopassVectorStore

# LlamaIndex's names of the twins of methods.
_TWINS = {"add": "async_add", "close": "aclose"}


@pytest.fixture
def store(target: str, name: str) -> Iterator[TwopassVectorStore]:
    """A store whose nodes bring their embeddings."""
    made = TwopassVectorStore(name, target)
    yield made
    made.close()


@pytest.fixture
def embedding_store(target: str, name: str) -> Iterator[TwopassVectorStore]:
    """A store whose server embeds nodes and queries."""
    made = TwopassVectorStore(name, target, is_embedding_query=False)
    yield made
    made.close()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Awaits a method of a store, or its twin for asyncio."""

    async def called(store: TwopassVectorStore, method: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(store, method)(*args, **kwargs)
        return await getattr(store, _TWINS.get(method, f"a{method}"))(*args, **kwargs)

    return called


@pytest.fixture
def node() -> Callable[..., TextNode]:
    """Makes a node of a source document."""

    def made(id_: str, text: str, *embedding: float, of: str = "", **metadata: Any) -> TextNode:
        source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=of)} if of else {}
        return TextNode(
            id_=id_,
            text=text,
            embedding=list(embedding) or None,
            metadata=metadata,
            relationships=source,
        )

    return made
