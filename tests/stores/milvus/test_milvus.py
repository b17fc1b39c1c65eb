"""What is Milvus' own: its limits, its consistency, what else is in its database."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from pymilvus.client.async_grpc_handler import AsyncGrpcHandler
from pymilvus.grpc_gen.common_pb2 import ConsistencyLevel

from twopass.index.documents import DocumentFields, OnConflict, SplitPassage
from twopass.index.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    DocumentsExistError,
    InvalidDocumentError,
    InvalidQueryError,
    InvalidSchemaError,
    StaleSequenceError,
    StorageError,
    UnsupportedByStoreError,
)
from twopass.index.filters import FieldCondition, Filter, IdCondition, InRange, OneOf, StartsWith
from twopass.index.milvus.layout import MAX_FOUND, Description, fields_of
from twopass.index.milvus.names import name_in_milvus
from twopass.index.retrieved import Expected
from twopass.index.schema import Chunking, CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.word_query import Phrase, WordClauses

from .conftest import DIMENSION

EVERYTHING = Filter()
SCHEMA = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind="FLAT")


async def write(collection, *documents, **more):
    return await (await collection.submit_upsert(documents, **more))


async def made(store, schema=SCHEMA, name="notes"):
    await store.create(name, schema)
    return (await store.acquire(name)).collection


def only(test, field="n"):
    return Filter(must=(FieldCondition(field, test),))


async def test_more_candidates_than_milvus_answers_are_refused(open_store, make_document):
    collection = await made(await open_store())
    await write(collection, make_document("a"))
    retrieval = collection.retrieval()
    found = await retrieval.nearest(make_document("a").vector, MAX_FOUND)
    assert len(found.ranked.keys) == 1
    for search in (
        retrieval.nearest(make_document("a").vector, MAX_FOUND + 1),
        retrieval.with_words("text", MAX_FOUND + 1),
        retrieval.both(make_document("a").vector, "text", MAX_FOUND + 1),
    ):
        with pytest.raises(InvalidQueryError, match="at most 16,384") as caught:
            await search
        assert caught.value.facts["limit"] == MAX_FOUND


async def test_a_text_is_refused_only_where_milvus_can_not_hold_it(open_store, make_document):
    collection = await made(await open_store())
    longest = "é" * 32_767 + "x"
    await write(collection, make_document("a", text=longest))
    (stored,) = await collection.get(["a"])
    assert stored.text == longest
    with pytest.raises(InvalidDocumentError, match="65,536 bytes given, at most 65,535") as caught:
        await collection.submit_upsert([make_document("b", text="é" * 32_768)], places=[3])
    assert caught.value.field == "documents[3].text"
    assert await collection.count(EVERYTHING) == 1


async def test_an_interval_sees_every_value_or_is_refused(open_store, make_document):
    collection = await made(await open_store())
    await write(collection, make_document("few", metadata={"n": list(range(0, 32, 2))}))
    inside = only(InRange(gt=28, lt=30))
    assert await collection.count(inside) == 0
    assert await collection.count(only(InRange(gte=14, lt=15))) == 1
    await write(collection, make_document("many", metadata={"n": list(range(40))}))
    for refused in (inside, only(InRange(gte=29, lte=29)), Filter(must_not=(inside,))):
        for use in (
            collection.members(refused),
            collection.count(refused),
            collection.delete(refused),
            collection.list_page(10, wanted=refused),
        ):
            with pytest.raises(UnsupportedByStoreError, match=r"'n'.*more than 16 distinct"):
                await use
    assert await collection.count(only(InRange(gt=30))) == 1
    assert await collection.count(only(OneOf((29,)))) == 1
    await write(collection, make_document("t", metadata={"t": [f"t{i}" for i in range(20)]}))
    with pytest.raises(UnsupportedByStoreError):
        await collection.count(only(StartsWith("t1"), "t"))


async def test_clauses_of_words_are_refused_and_never_ignored(open_store, make_document):
    collection = await made(await open_store())
    await write(collection, make_document("a"))
    clause = (Phrase("text of"),)
    retrieval = collection.retrieval()
    for name in ("required", "excluded", "optional"):
        clauses = WordClauses(**{name: clause})
        with pytest.raises(UnsupportedByStoreError, match=f"retrieve.words.{name}"):
            await retrieval.with_words("text", 5, None, clauses)
        with pytest.raises(UnsupportedByStoreError, match=f"retrieve.words.{name}"):
            await retrieval.both(make_document("a").vector, "text", 5, None, clauses)
    with pytest.raises(UnsupportedByStoreError):
        await collection.members_with_words(WordClauses(excluded=clause))


async def test_what_is_expected_comes_with_the_lists_and_nothing_is_asked_after_them(
    open_store, make_document, monkeypatch
):
    store = await open_store()
    collection = await made(store)
    await write(collection, *(make_document(f"d{n}", metadata={"n": n}) for n in range(30)))
    fields = DocumentFields(vector=True)
    retrieval = collection.retrieval(Expected(fields=fields))
    verbs = []
    read = store._connection.read

    async def counted(verb, *arguments, **more):
        verbs.append(verb)
        return await read(verb, *arguments, **more)

    monkeypatch.setattr(store._connection, "read", counted)
    both = await retrieval.both(make_document("d3").vector, "text d7", 10)
    await retrieval.load(both.words.ranked.keys)
    documents = await retrieval.fetch(both.words.ranked.keys, fields)
    assert verbs == ["search", "search"]
    assert documents[int(both.words.ranked.keys[0])].id == "d7"
    assert len(both.beyond.ranked.keys) > 0


async def test_a_document_replaced_since_it_was_found_is_left_out_of_what_is_read_later(
    open_store, make_document
):
    collection = await made(await open_store())
    await write(collection, make_document("a"), make_document("b"))
    retrieval = collection.retrieval(Expected(token_ids=False, fields=DocumentFields(text=False)))
    found = await retrieval.nearest(make_document("a").vector, 2)
    await write(collection, make_document("a", text="another text"))
    assert (await retrieval.load(found.ranked.keys)).ids == ("b",)
    assert [d.id for d in (await retrieval.fetch(found.ranked.keys)).values()] == ["b"]


@pytest.mark.parametrize("consistency", ["strong", "bounded", "session"])
async def test_a_server_sees_its_own_writes_and_those_that_a_sequence_names(
    open_store, make_document, consistency
):
    options = f"?consistency={consistency}"
    one, other = await open_store(options), await open_store(options)
    here = await made(one)
    there = (await other.acquire("notes")).collection
    for number in range(3):
        written = await write(here, make_document(f"d{number}"))
        assert await here.count(EVERYTHING) == number + 1
        await there.ensure_reached(str(written.sequence))
        retrieval = there.retrieval(min_sequence=str(written.sequence))
        found = await retrieval.nearest(make_document(f"d{number}").vector, 1)
        assert (await retrieval.load(found.ranked.keys)).ids == (f"d{number}",)
        assert found.sequence.position >= written.sequence.position


async def test_a_sequence_of_another_life_or_of_the_far_future_is_refused(
    open_store, make_document
):
    collection = await made(await open_store())
    written = (await write(collection, make_document("a"))).sequence
    for stale in (
        SequenceToken("0" * 32, written.position),
        SequenceToken(written.incarnation, 2**63 - 1),
    ):
        with pytest.raises(StaleSequenceError):
            await collection.ensure_reached(str(stale))


async def test_what_else_is_in_the_database_is_left_alone(open_store, make_document):
    store = await open_store()
    connection = store._connection
    await connection.change("create_collection", "theirs", schema=fields_of(SCHEMA))
    await connection.change("create_collection", "twopass_odd", schema=fields_of(SCHEMA))
    try:
        await made(store)
        assert [s.name for s in await store.summaries(lambda _: True)] == ["notes"]
        with pytest.raises(CollectionNotFoundError):
            await store.acquire("theirs")
        with pytest.raises(StorageError, match="format"):
            await store.acquire("odd")
    finally:
        for name in ("theirs", "twopass_odd"):
            await connection.change("drop_collection", name)


async def test_what_a_server_left_half_made_is_not_there_and_gives_its_name_away(open_store):
    store = await open_store()
    now = Description.of_new(SCHEMA)
    long_ago = replace(now, create_time=now.create_time - timedelta(hours=1))
    for description, is_left in ((long_ago, True), (now, False)):
        await store._connection.change(
            "create_collection",
            name_in_milvus("half"),
            schema=fields_of(SCHEMA),
            properties=description.properties(),
        )
        with pytest.raises(CollectionNotFoundError):
            await store.acquire("half")
        assert await store.summaries(lambda _: True) == []
        if is_left:
            assert (await store.create("half", SCHEMA)).num_documents == 0
            await store.delete("half")
        else:  # another server may be at it
            with pytest.raises(CollectionExistsError):
                await store.create("half", SCHEMA)
            await store._drop("half")


async def test_a_collection_made_again_by_another_server_is_another_one(open_store, make_document):
    one, other = await open_store(), await open_store()
    collection = await made(one)
    await write(collection, make_document("a"))
    await other.delete("notes")
    await other.create("notes", replace(SCHEMA, dimension=2))
    again = (await one.acquire("notes")).collection
    assert again.incarnation != collection.incarnation
    assert again.schema.dimension == 2
    await write(again, make_document("a", vector=make_document("a").vector[:2]))
    assert await again.count(EVERYTHING) == 1


async def test_two_servers_that_make_one_name_at_once_make_one_collection(open_store):
    stores = [await open_store() for _ in range(4)]
    ended = await asyncio.gather(
        *(store.create("notes", SCHEMA) for store in stores), return_exceptions=True
    )
    errors = [each for each in ended if isinstance(each, BaseException)]
    assert len(errors) == 3
    assert [type(each) for each in errors] == 3 * [CollectionExistsError], errors
    for store in stores:
        assert (await store.acquire("notes")).collection.schema == SCHEMA


async def test_writes_through_one_server_have_their_turn_so_that_one_of_a_new_id_is_told(
    open_store, make_document
):
    collection = await made(await open_store())
    for number in range(5):
        ended = await asyncio.gather(
            *(
                write(collection, make_document(f"d{number}"), on_conflict=OnConflict.FAIL)
                for _ in range(3)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(each, DocumentsExistError) for each in ended) == 2


async def test_windows_that_a_document_has_no_more_are_gone(open_store, make_document):
    schema = CollectionSchema(
        dimension=DIMENSION,
        encoder="e",
        encoder_revision="ab",
        index_kind="FLAT",
        chunking=Chunking(16, 4),
    )
    collection = await made(await open_store(), schema)

    def split(count):
        windows = np.array([[12 * n, 12 * n + 16] for n in range(count)], np.int32)
        return make_document(
            "long", vector=SplitPassage(windows, np.eye(4, dtype=np.float32)[:count])
        )

    for count in (4, 2, 3):
        await write(collection, split(count), make_document("short"))
        summary = await collection.summary()
        assert (summary.num_documents, summary.num_split) == (2, 1)
        rows = await collection._reader.with_ids(["long"], ["id"], id_field="document")
        assert len(rows) == count
    await write(collection, make_document("long"))
    assert (await collection.summary()).num_split == 0
    await collection.delete(Filter(must=(IdCondition(("long",)),)))
    assert await collection._reader.count() == 1


async def test_an_index_kind_passes_through(open_store):
    store = await open_store()
    await store.create("graph", replace(SCHEMA, index_kind="HNSW,16"))
    index = await store._connection.read(
        "describe_index", name_in_milvus("graph"), index_name="vector"
    )
    assert (index["index_type"], index["metric_type"]) == ("HNSW", "IP")
    with pytest.raises(InvalidSchemaError, match="supported: AUTOINDEX"):
        await store.create("other", replace(SCHEMA, index_kind="IVF"))


async def test_a_listing_goes_on_after_a_page_that_a_shard_ended_early(
    open_store, make_document, monkeypatch
):
    """Milvus may answer fewer rows than asked for though others follow; milvus-lite never does."""
    store = await open_store()
    collection = await made(store)
    ids = [f"d{n:02}" for n in range(30)]
    await write(collection, *(make_document(name, metadata={"n": 1}) for name in ids))
    read = store._connection.read

    async def ended_early(verb, *arguments, **more):
        if "iterator" in more:
            more["limit"] = min(more["limit"], 4)
        return await read(verb, *arguments, **more)

    monkeypatch.setattr(store._connection, "read", ended_early)
    page = await collection.list_page(20)
    assert [document.id for document in page.documents] == ids[:20]
    page = await collection.list_page(20, page.next_page_token)
    assert [document.id for document in page.documents] == ids[20:]
    assert page.next_page_token == ""
    assert (await collection.facet(EVERYTHING, "n", 5)).num_documents == 30
    assert (await collection.delete(only(OneOf((1,))))).num_deleted == 30


@pytest.mark.parametrize(
    ("consistency", "level"),
    [("strong", "Strong"), ("bounded", "Customized"), ("session", "Customized")],
)
async def test_milvus_is_told_how_recent_a_search_must_be(
    open_store, make_document, monkeypatch, consistency, level
):
    store = await open_store(f"?consistency={consistency}")
    collection = await made(store)
    written = await write(collection, make_document("a"))
    sent = []
    execute = AsyncGrpcHandler._execute_search

    async def recorded(self, request, *arguments, **more):
        sent.append(request)
        return await execute(self, request, *arguments, **more)

    monkeypatch.setattr(AsyncGrpcHandler, "_execute_search", recorded)
    retrieval = collection.retrieval(min_sequence=str(written.sequence))
    await retrieval.both(make_document("a").vector, "text", 1)
    assert len(sent) == 2
    for request in sent:
        assert not request.use_default_consistency
        assert request.consistency_level == ConsistencyLevel.Value(level)
        position = 0 if consistency == "strong" else written.sequence.position
        assert request.guarantee_timestamp == position  # 0: after all that was acknowledged


async def test_a_bounded_search_waits_for_nothing_where_nothing_was_written_here(
    open_store, make_document, monkeypatch
):
    written = await write(await made(await open_store()), make_document("a"))
    there = (await (await open_store("?consistency=bounded")).acquire("notes")).collection
    sent = []
    execute = AsyncGrpcHandler._execute_search

    async def recorded(self, request, *arguments, **more):
        sent.append(ConsistencyLevel.Name(request.consistency_level))
        return await execute(self, request, *arguments, **more)

    monkeypatch.setattr(AsyncGrpcHandler, "_execute_search", recorded)
    for min_sequence in ("", str(written.sequence)):
        await there.retrieval(min_sequence=min_sequence).nearest(make_document("a").vector, 1)
    assert sent == ["Bounded", "Customized"]
