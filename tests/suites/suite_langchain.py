"""The tests that LangChain publishes for vector stores and retrievers."""

from collections.abc import Iterator

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_store import TwopassRetriever, TwopassVectorStore
from langchain_tests.integration_tests import (
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)

FACTS = [
    "Canberra is the capital of Australia.",
    "Bees make honey from nectar.",
    "The moon pulls at the sea.",
    "Glass is made of sand.",
    "Lightning is hotter than the sun.",
]


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, target: str, name: str) -> Iterator[VectorStore]:
        store = TwopassVectorStore(target, name, self.get_embeddings())
        yield store
        store.close()


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def collection(self, target: str, client, name: str) -> None:
        """A collection of five documents; the suite asks for the arguments outside of fixtures."""
        client.create_collection(name)
        client.upsert(name, ({"id": str(i), "text": text} for i, text in enumerate(FACTS)))
        self.arguments = {"target": target, "collection": name}

    @property
    def retriever_constructor(self) -> type[TwopassRetriever]:
        return TwopassRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, str]:
        return self.arguments

    @property
    def retriever_query_example(self) -> str:
        return "What is the capital of Australia?"
