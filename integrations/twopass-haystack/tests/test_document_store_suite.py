"""The tests that Haystack publishes for document stores: all of them.

The suite leaves it to the store what `DuplicatePolicy.NONE` means; its two tests of that, which
fail until they are overridden, are written here.
"""

import inspect
from collections.abc import Iterator

import haystack.testing.document_store as published
import haystack.testing.document_store_async as published_async
import pytest
from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack_integrations.document_stores.twopass import TwopassDocumentStore


class OfStore:
    """An empty store for each test, whose documents bring their embeddings."""

    @pytest.fixture
    def document_store(self, target: str, name: str) -> Iterator[TwopassDocumentStore]:
        store = TwopassDocumentStore(name, embedding_dim=768, return_embedding=True, target=target)
        yield store
        store.close()

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        """Documents are equal but for embeddings, which come back as float32."""
        assert [document.to_dict() | {"embedding": None} for document in received] == [
            document.to_dict() | {"embedding": None} for document in expected
        ]
        for got, given in zip(received, expected, strict=True):
            assert got.embedding == (given.embedding and pytest.approx(given.embedding, rel=1e-6))


class TestStore(
    OfStore,
    published.DocumentStoreBaseExtendedTests,
    published.CountDocumentsByFilterTest,
    published.CountUniqueMetadataByFilterTest,
    published.GetMetadataFieldMinMaxTest,
    published.GetMetadataFieldUniqueValuesTest,
    published.GetMetadataFieldsInfoTest,
):
    def test_write_documents(self, document_store: TwopassDocumentStore) -> None:
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])
        self.assert_documents_are_equal(document_store.filter_documents(), [document])


class TestAsynchronousStore(
    OfStore,
    published_async.CountDocumentsAsyncTest,
    published_async.CountDocumentsByFilterAsyncTest,
    published_async.CountUniqueMetadataByFilterAsyncTest,
    published_async.DeleteAllAsyncTest,
    published_async.DeleteByFilterAsyncTest,
    published_async.DeleteDocumentsAsyncTest,
    published_async.FilterDocumentsAsyncTest,
    published_async.GetMetadataFieldMinMaxAsyncTest,
    published_async.GetMetadataFieldUniqueValuesAsyncTest,
    published_async.GetMetadataFieldsInfoAsyncTest,
    published_async.UpdateByFilterAsyncTest,
    published_async.WriteDocumentsAsyncTest,
):
    async def test_write_documents_async(self, document_store: TwopassDocumentStore) -> None:
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])


@pytest.mark.parametrize(
    ("module", "tested"),
    [(published, TestStore), (published_async, TestAsynchronousStore)],
    ids=["sync", "async"],
)
def test_no_class_of_the_suite_is_left_out(module: object, tested: type) -> None:
    classes = dict(inspect.getmembers(module, inspect.isclass))
    for name, suite in classes.items():
        if any(method.startswith("test_") for method in dir(suite)):
            assert issubclass(tested, suite), name
