"""What the store does beyond what Haystack's suite asks of it."""

import logging
from collections.abc import Callable

import pytest
from haystack import Document
from haystack.dataclasses import ByteStream
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.retrievers.twopass import (
    TwopassEmbeddingRetriever,
    TwopassRetriever,
)
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from twopass.client import Client, InvalidArgumentError, Schema

from .corpus import DOCUMENTS


def test_the_collection_is_created_by_the_first_use(
    empty: TwopassDocumentStore, client: Client
) -> None:
    assert empty.collection not in [each.name for each in client.list_collections()]
    assert empty.count_documents() == 0
    assert client.get_collection(empty.collection).schema.client_vectors is False


def test_a_collection_that_is_there_is_used_as_it_is(
    target: str, name: str, client: Client
) -> None:
    client.create_collection(name, Schema(language="de"))
    client.upsert(name, [{"id": "a", "text": "Text", "title": "Title"}])
    store = TwopassDocumentStore(name, language="en", target=target)
    (document,) = store.filter_documents()
    assert (document.id, document.content, document.meta) == ("a", "Text", {"title": "Title"})
    store.close()


@pytest.mark.parametrize(
    ("schema", "embedding_dim", "way_out"),
    [
        (Schema(dimension=3, client_vectors=True), None, "give embedding_dim=3"),
        (Schema(dimension=3, client_vectors=True), 4, "has 3"),
        (Schema(), 384, "leave embedding_dim out"),
    ],
)
def test_a_collection_of_other_embeddings_is_refused(
    target: str, name: str, client: Client, schema: Schema, embedding_dim: int, way_out: str
) -> None:
    client.create_collection(name, schema)
    store = TwopassDocumentStore(name, embedding_dim=embedding_dim, target=target)
    with pytest.raises(ValueError, match=way_out):
        store.count_documents()


def test_the_server_embeds_what_brings_no_embedding(target: str, name: str) -> None:
    store = TwopassDocumentStore(name, return_embedding=True, target=target)
    store.write_documents(DOCUMENTS)
    embeddings = [document.embedding for document in store.filter_documents()]
    assert {len(embedding or ()) for embedding in embeddings} == {384}
    store.close()


def test_embeddings_are_left_out_unless_asked_for(target: str, name: str) -> None:
    store = TwopassDocumentStore(name, embedding_dim=2, target=target)
    store.write_documents([Document(id="a", content="x", embedding=[1.0, 2.0])])
    assert [document.embedding for document in store.filter_documents()] == [None]
    store.close()


def test_the_application_s_embeddings_come_back_but_for_those_it_lacks(
    target: str, name: str
) -> None:
    store = TwopassDocumentStore(name, embedding_dim=2, return_embedding=True, target=target)
    near, far, without = (
        Document(id="near", content="x", embedding=[1.0, 0.0]),
        Document(id="far", content="x", embedding=[-1.0, 0.0]),
        Document(id="without", content="x", meta={"a": 1}),
    )
    store.write_documents([near, far, without])
    assert sorted(store.filter_documents(), key=lambda each: each.id) == [far, near, without]
    found = TwopassEmbeddingRetriever(store).run([1.0, 0.0])["documents"]
    assert [document.id for document in found] == ["near", "far"]
    found = TwopassRetriever(store).run("x", query_embedding=[1.0, 0.0])["documents"]
    assert {document.id for document in found} == {"near", "far", "without"}
    store.close()


def test_by_cosine_every_document_must_bring_an_embedding(target: str, name: str) -> None:
    store = TwopassDocumentStore(
        name, embedding_dim=2, embedding_similarity_function="cosine", target=target
    )
    with pytest.raises(ValueError, match=r"documents\[0\]\.embedding: none given \(id a\)"):
        store.write_documents([Document(id="a", content="x")])
    store.write_documents([Document(id="a", content="x", embedding=[3.0, 4.0])])
    found = TwopassEmbeddingRetriever(store).run([6.0, 8.0])["documents"]
    assert found[0].score == pytest.approx(1.0)
    store.close()


def test_fields_of_meta_are_read_with_the_content(target: str, name: str) -> None:
    store = TwopassDocumentStore(name, meta_fields_to_embed=["title", "by"], target=target)
    meta = {"title": "Zymurgy", "by": None}
    store.write_documents(
        [Document(id="a", content="On yeast.", meta=meta), Document(id="b", content="On yeast.")]
    )
    (first, _) = TwopassRetriever(store, mode="lexical").run("zymurgy yeast")["documents"]
    assert first.id == "a"
    assert {key: first.meta[key] for key in meta} == meta
    assert len(store.filter_documents()) == 2
    assert all("twopass" not in each.meta for each in store.filter_documents())
    store.close()


def test_what_a_search_told_is_not_written_back(filled: TwopassDocumentStore) -> None:
    found = TwopassRetriever(filled).run("parse a date")["documents"]
    assert all("twopass" in document.meta for document in found)
    filled.write_documents(found, DuplicatePolicy.OVERWRITE)
    assert sorted(filled.filter_documents(), key=lambda each: each.id) == sorted(
        DOCUMENTS, key=lambda each: each.id
    )


def test_a_document_without_text_is_refused_by_name(empty: TwopassDocumentStore) -> None:
    with pytest.raises(ValueError, match=r"documents\[1\]\.content: none given \(id b\)"):
        empty.write_documents([Document(id="a", content="x"), Document(id="b", content="")])
    assert empty.count_documents() == 0


def test_what_is_not_stored_is_logged(
    empty: TwopassDocumentStore, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        empty.write_documents([Document(id="a", content="x", blob=ByteStream(b"x"))])
    assert "Document a has a blob, which twopass does not store" in caplog.text
    assert [document.blob for document in empty.filter_documents()] == [None]


def test_the_server_s_refusal_names_the_document(empty: TwopassDocumentStore) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        empty.write_documents([Document(id="a", content="x"), Document(id="b\n", content="x")])
    assert caught.value.metadata["position"] == "1"


async def test_a_collection_that_somebody_else_deletes_is_made_anew_by_what_is_written(
    filled: TwopassDocumentStore, client: Client
) -> None:
    client.delete_collection(filled.collection)
    assert filled.write_documents(DOCUMENTS) == len(DOCUMENTS)
    client.delete_collection(filled.collection)
    assert await filled.write_documents_async(DOCUMENTS) == len(DOCUMENTS)
    assert filled.count_documents() == len(DOCUMENTS)
    await filled.close_async()


def test_an_id_twice_in_one_list_is_a_duplicate(empty: TwopassDocumentStore) -> None:
    twice = [Document(id="a", content="x"), Document(id="a", content="y")]
    with pytest.raises(DuplicateDocumentError):
        empty.write_documents(twice)
    assert empty.write_documents(twice, DuplicatePolicy.OVERWRITE) == 2
    assert [document.content for document in empty.filter_documents()] == ["y"]


def test_more_documents_than_a_page_are_all_listed(target: str, name: str) -> None:
    store = TwopassDocumentStore(name, embedding_dim=1, target=target)
    ids = {f"{number}" for number in range(2_500)}
    store.write_documents([Document(id=id_, content="x", embedding=[1.0]) for id_ in ids])
    assert {document.id for document in store.filter_documents()} == ids
    store.delete_documents([*ids, *(f"unknown-{number}" for number in range(10_000))])
    assert store.count_documents() == 0
    store.close()


def test_values_that_need_more_than_one_request_are_counted(target: str, name: str) -> None:
    store = TwopassDocumentStore(name, embedding_dim=1, target=target)
    fields = [f"field_{number}" for number in range(20)]
    store.write_documents(
        [
            Document(content="x", meta=dict.fromkeys(fields, 1), embedding=[1.0]),
            Document(content="y", meta=dict.fromkeys(fields, 2), embedding=[1.0]),
        ]
    )
    counts = store.count_unique_metadata_by_filter({}, [f"meta.{field}" for field in fields])
    assert counts == dict.fromkeys(fields, 2)
    store.close()


def test_unique_values_are_paged_by_frequency_with_their_types(
    empty: TwopassDocumentStore,
) -> None:
    metas: list[dict[str, object]] = [
        *({"a": {"b": value}} for value in ("one", "one", 1, 1.0, 2.0, True, "Two")),
        *({"a": {"b": ["one", None]}}, {"a": [{"b": 3}, {"b": "one"}]}, {"other": 1}),
    ]
    empty.write_documents(
        [Document(id=f"{number}", content="x", meta=meta) for number, meta in enumerate(metas)]
    )
    values, total = empty.get_metadata_field_unique_values("meta.a.b", size=100)
    assert [repr(value) for value in values] == [
        *("'one'", "1", "1.0", "None", "True", "2.0", "3", "'Two'")
    ]
    assert total == 8
    assert empty.get_metadata_field_unique_values("a.b", from_=1, size=2) == (values[1:3], 8)
    assert empty.get_metadata_field_unique_values("a.b", search_term="TWO") == (["Two"], 1)


def test_values_beyond_what_is_listed_are_refused(target: str, name: str) -> None:
    store = TwopassDocumentStore(name, embedding_dim=1, target=target)
    store.write_documents(
        [
            Document(id=f"{number}", content="x", meta={"n": f"{number}"}, embedding=[1.0])
            for number in range(10_001)
        ]
    )
    assert store.get_metadata_field_unique_values("n", size=1)[1] == 10_001
    for arguments in ({"search_term": "1"}, {"from_": 10_000}):
        with pytest.raises(ValueError, match="narrow them by filters"):
            store.get_metadata_field_unique_values("n", **arguments)  # type: ignore[arg-type]
    store.close()


@pytest.mark.parametrize(("from_", "size"), [(-1, 10), (0, -1)])
def test_a_page_begins_and_ends_somewhere(
    filled: TwopassDocumentStore, from_: int, size: int
) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        filled.get_metadata_field_unique_values("module", from_=from_, size=size)


def test_fields_are_told_with_haystack_s_names_of_types(empty: TwopassDocumentStore) -> None:
    meta = {"t": "x", "i": 1, "f": 1.0, "b": True, "l": [2], "o": {"x": 1}, "n": None, "e": []}
    empty.write_documents([Document(content="x", meta=meta)])
    assert {name: told["type"] for name, told in empty.get_metadata_fields_info().items()} == {
        "t": "keyword",
        "i": "long",
        "f": "float",
        "b": "boolean",
        "l": "long",
        "o": "object",
    }


def test_min_and_max_of_texts_are_by_code_points(empty: TwopassDocumentStore) -> None:
    empty.write_documents(
        [Document(content=text, meta={"t": text}) for text in ("b", "Z", "ä", "a")]
    )
    assert empty.get_metadata_field_min_max("t") == {"min": "Z", "max": "ä"}


async def test_sync_and_async_are_one_store(
    filled: TwopassDocumentStore, new_name: Callable[[], str]
) -> None:
    assert await filled.count_documents_async() == filled.count_documents() == len(DOCUMENTS)
    await filled.delete_documents_async(["palm"])
    assert filled.count_documents() == len(DOCUMENTS) - 1
    await filled.close_async()
    assert await filled.count_documents_async() == len(DOCUMENTS) - 1
    await filled.close_async()
