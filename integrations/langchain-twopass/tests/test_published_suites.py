"""The tests that LangChain publishes for its integrations, against a server."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_twopass import TwopassEmbeddings, TwopassRetriever, TwopassVectorStore
from twopass.client import Client

FACTS = (
    "Canberra is the capital of Australia.",
    "Bees make honey from nectar.",
    "The moon pulls at the sea.",
    "Glass is made of sand.",
    "Lightning is hotter than the sun.",
)


class TestVectorStoreOfLangChainsEmbeddings(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, target: str, name: str) -> Iterator[VectorStore]:
        store = TwopassVectorStore(self.get_embeddings(), collection_name=name, target=target)
        yield store
        store.close()


class TestVectorStoreThatTheServerEmbeds(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, target: str, name: str) -> Iterator[VectorStore]:
        store = TwopassVectorStore(collection_name=name, target=target)
        yield store
        store.close()


class TestVectorStoreOfTwopassEmbeddings(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, target: str, name: str) -> Iterator[VectorStore]:
        embeddings = TwopassEmbeddings(target=target)
        store = TwopassVectorStore(embeddings, collection_name=name, target=target)
        yield store
        store.close()
        embeddings.close()


class _Retrievers(RetrieversIntegrationTests):
    retriever_constructor = TwopassRetriever
    retriever_query_example = "What is the capital of Australia?"

    @pytest.fixture(autouse=True)
    def arguments(self, target: str, client: Client, name: str) -> None:
        """Five documents; the suite asks for the arguments outside of fixtures."""
        client.create_collection(name)
        client.upsert(name, ({"id": str(i), "text": text} for i, text in enumerate(FACTS)))
        self._arguments = {"target": target, "collection_name": name}

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return self._arguments


class TestRetriever(_Retrievers):
    pass


class TestRetrieverOfOnePass(_Retrievers):
    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return self._arguments | {"rerank": False, "mode": "lexical"}

    # The suite wants three documents of any query, and words alone find those that have them.
    retriever_query_example = "the capital sun sea sand honey"


class TestRetrieverOverTLSWithAKey(RetrieversIntegrationTests):
    retriever_constructor = TwopassRetriever
    retriever_query_example = "What is the capital of Australia?"

    @pytest.fixture(autouse=True)
    def arguments(self, secure_server, new_name: Callable[[], str]) -> Iterator[None]:
        name = new_name()
        with secure_server.client() as client:
            client.create_collection(name)
            client.upsert(name, ({"id": str(i), "text": text} for i, text in enumerate(FACTS)))
            self._arguments = {
                "target": secure_server.target,
                "api_key": secure_server.api_key,
                "ca": str(secure_server.certificate),
                "collection_name": name,
            }
            yield
            client.delete_collection(name)

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return self._arguments


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    embeddings_class = TwopassEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "all-MiniLM-L6-v2"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        variables = {
            "TWOPASS_TARGET": "retrieval.example:443",
            "TWOPASS_API_KEY": "secret",
            "TWOPASS_CA": "system",
        }
        attributes = {"target": "retrieval.example:443", "api_key": "secret", "ca": "system"}
        return variables, {"model": "all-MiniLM-L6-v2"}, attributes


class TestEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = TwopassEmbeddings

    @pytest.fixture(autouse=True)
    def arguments(self, target: str) -> None:
        self._arguments = {"target": target}

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return self._arguments
