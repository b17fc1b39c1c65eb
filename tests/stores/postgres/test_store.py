"""What is PostgreSQL's own among the stores: statements, sessions, servers that come and go."""

import asyncio
import uuid

import asyncpg
import numpy as np
import pytest

from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.errors import (
    CollectionClosedError,
    CollectionError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidDocumentError,
    InvalidSchemaError,
    StoppedError,
    StorageError,
    StoreUnreachableError,
)
from twopass.index.filters import FieldCondition, Filter, InRange, OneOf
from twopass.index.kinds import Breadth
from twopass.index.postgres import migrations, retrieval, search_sql
from twopass.index.postgres.connections import Connections
from twopass.index.postgres.store import PostgresStore
from twopass.index.retrieved import Expected
from twopass.index.schema import Chunking, CollectionSchema, IndexedField, Metric
from twopass.index.stopping import Stop

from ..servers import PostgresServer, ServerNotInstalledError

DIMENSION = 8
SCHEMA = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind="HNSW16")


@pytest.fixture
async def store(database_url):
    opened = PostgresStore(database_url)
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
async def others(database_url):
    """Three more servers on the same database."""
    opened = [PostgresStore(database_url) for _ in range(3)]
    await asyncio.gather(*(each.start() for each in opened))
    yield opened
    await asyncio.gather(*(each.close() for each in opened))


@pytest.fixture
def statements(monkeypatch):
    """Every statement that is executed, in order."""
    seen = []
    prepare = Connections._prepare

    async def logged(self, connection):
        await prepare(self, connection)
        connection.add_query_logger(lambda record: seen.append(record.query))

    monkeypatch.setattr(Connections, "_prepare", logged)
    return seen


@pytest.fixture
def own_server():
    try:
        server = PostgresServer()
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    with server:
        yield server


def document(name, text="the blue sky", vector=None, **metadata):
    if vector is None:
        drawn = np.random.default_rng([*name.encode()]).standard_normal(DIMENSION)
        vector = drawn.astype(np.float32)
    tokens = np.arange(len(name), dtype=np.int32)
    return IndexedDocument(id=name, text=text, vector=vector, token_ids=tokens, metadata=metadata)


async def collection_of(store, name="notes"):
    return (await store.acquire(name)).collection


async def write(collection, *documents):
    return await (await collection.submit_upsert(documents))


# --- statements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Flat", "HNSW16"])
async def test_a_hybrid_search_with_all_that_is_read_is_one_statement(
    statements, store, kind, monkeypatch
):
    monkeypatch.setattr(retrieval, "CHEAP_COMPONENTS", 0)  # so that the graph is walked
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)
    await store.create("notes", schema)
    collection = await collection_of(store)
    await write(collection, *(document(f"d{n}", f"sky number {n}", year=n) for n in range(100)))
    wanted = Filter(must=(FieldCondition("year", InRange(gte=10)),))
    collection = await collection_of(store)
    statements.clear()

    whole = DocumentFields(vector=True)
    found = collection.retrieval(Expected(token_ids=True, texts=True, fields=whole, num_hits=5))
    members = await collection.members(wanted)
    both = await found.both(document("d50").vector, "number 42", 20, members)
    keys = np.union1d(both.nearest.ranked.keys, both.words.ranked.keys)
    passages = await found.load(keys)
    documents = await found.fetch(keys, whole)
    documents, bare = await found.fetch_first(keys, DocumentFields(), 10**7)

    assert len(statements) == 1
    assert {"d50", "d42"} <= set(passages.ids)
    assert len(documents) == len(passages.ids) == len(keys)
    assert not bare
    assert set(both.beyond.ranked.keys) == set(both.words.ranked.keys) - set(
        both.nearest.ranked.keys
    )


async def test_what_does_not_fit_beside_a_list_is_read_when_it_is_asked_for(statements, store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    long = "sky " * 100_000
    await write(collection, *(document(f"d{n}", f"{long}{n}") for n in range(4)))
    statements.clear()
    found = collection.retrieval()
    words = await found.with_words("sky", 4)
    documents = await found.fetch(words.ranked.keys)
    assert sorted(one.text for one in documents.values()) == [f"{long}{n}" for n in range(4)]
    assert len(statements) == 2


async def test_a_write_of_many_documents_takes_as_many_statements_as_one_of_few(statements, store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    numbers = []
    for count in (1, 200):
        statements.clear()
        await write(collection, *(document(f"d{count}-{n}") for n in range(count)))
        numbers.append(len(statements))
    assert numbers[0] == numbers[1]


# --- searching ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.005, 0.05, 0.5, 1.0], ids="{:.1%}".format)
async def test_a_walk_through_the_graph_finds_the_nearest_whatever_the_filter_leaves(
    store, monkeypatch, share
):
    monkeypatch.setattr(retrieval, "CHEAP_COMPONENTS", 0)
    monkeypatch.setattr(search_sql, "FEW", 20)
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    drawn = np.random.default_rng(7)
    vectors = drawn.standard_normal((1_000, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    places = drawn.random(1_000)
    await write(
        collection,
        *(document(f"d{n}", vector=vectors[n], place=float(places[n])) for n in range(1_000)),
    )
    collection = await collection_of(store)
    members = await collection.members(Filter(must=(FieldCondition("place", InRange(lt=share)),)))
    passing = np.flatnonzero(places < share)
    num_found = num_exact = 0
    for query in vectors[:20]:
        near = await collection.retrieval().nearest(query, 10, members, Breadth(ef_search=100))
        truth = passing[np.argsort(-(vectors[passing] @ query))[:10]]
        scores = vectors[truth] @ query
        assert len(near.ranked.keys) == len(truth)
        num_found += int((near.ranked.scores >= scores[-1] - 1e-5).sum())
        num_exact += near.exact
    assert num_found >= 0.95 * 20 * min(10, len(passing))
    assert num_exact == (20 if len(passing) <= 20 else 0)


async def test_a_filter_far_from_the_query_is_answered_in_full(store, monkeypatch):
    monkeypatch.setattr(retrieval, "CHEAP_COMPONENTS", 0)
    monkeypatch.setattr(search_sql, "FEW", 2)
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    vectors = np.eye(DIMENSION, dtype=np.float32)
    await write(
        collection,
        *(
            document(f"d{n}", vector=vectors[n % 2] + n * 1e-4 * vectors[2], odd=n % 2)
            for n in range(600)
        ),
    )
    collection = await collection_of(store)
    members = await collection.members(Filter(must=(FieldCondition("odd", OneOf((1,))),)))
    near = await collection.retrieval().nearest(vectors[0], 300, members)
    assert len(near.ranked.keys) == 300


@pytest.mark.parametrize("kind", ["SQfp16", "HNSW16,SQfp16"])
async def test_vectors_of_two_bytes_a_component_are_as_near_as_these_can_tell(store, kind):
    schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)
    await store.create("notes", schema)
    collection = await collection_of(store)
    await write(collection, *(document(f"d{n}") for n in range(50)))
    query = document("d7").vector
    found = collection.retrieval(Expected(fields=DocumentFields(vector=True)))
    near = await found.nearest(query, 1)
    (hit,) = (await found.fetch(near.ranked.keys, DocumentFields(vector=True))).values()
    assert hit.id == "d7"
    np.testing.assert_allclose(near.ranked.scores, [1], atol=2e-3)  # 2^-11 each, of eight
    np.testing.assert_allclose(hit.vector, query / np.linalg.norm(query), atol=5e-4)


async def test_a_component_too_large_for_two_bytes_is_refused(store):
    schema = CollectionSchema(
        dimension=2, client_vectors=True, index_kind="SQfp16", metric=Metric.INNER_PRODUCT
    )
    await store.create("notes", schema)
    collection = await collection_of(store)
    with pytest.raises(InvalidDocumentError, match=r"documents\[0\].vector.*65,504"):
        await write(collection, document("large", vector=np.array([1e5, 0], np.float32)))


@pytest.mark.parametrize(
    ("kind", "dimension", "message"),
    [
        ("IVF16,Flat", 8, "HNSW<links>"),
        ("HNSW101", 8, "2 to 100 links"),
        ("HNSW16", 4_001, "at most 4,000 components"),
    ],
)
async def test_an_index_kind_that_pgvector_lacks_is_refused_by_name(
    store, kind, dimension, message
):
    with pytest.raises(InvalidSchemaError, match=message):
        await store.create(
            "notes", CollectionSchema(dimension=dimension, client_vectors=True, index_kind=kind)
        )


async def test_a_word_of_a_text_too_long_for_the_index_of_words_is_found(store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    long = " ".join(f"w{n}" for n in range(100_000))
    await write(collection, document("long", f"{long} very last words"), document("short", "last"))
    from twopass.index.word_query import Phrase, WordClauses

    found = collection.retrieval()
    clauses = WordClauses(required=(Phrase("very last words"),))
    words = await found.with_words("", 5, None, clauses)
    assert [one.id for one in (await found.fetch(words.ranked.keys)).values()] == ["long"]


# --- several servers ----------------------------------------------------------------------------


async def test_servers_that_write_the_same_documents_at_once_all_succeed_one_after_another(
    store, others
):
    await store.create("notes", SCHEMA)
    collections = [await collection_of(each) for each in (store, *others)]
    names = [f"d{n}" for n in range(30)]

    async def write_all(number, collection):
        order = np.random.default_rng(number).permutation(names).tolist()
        return [
            await write(collection, *(document(name, f"by {number}") for name in order))
            for _ in range(5)
        ]

    results = await asyncio.gather(*(write_all(*one) for one in enumerate(collections)))
    positions = [one.sequence.position for each in results for one in each]
    assert sorted(positions) == list(range(1, 21))
    summary = await store.summary("notes")
    assert (summary.num_documents, summary.sequence.position) == (30, 20)
    last = positions.index(20) // 5
    texts = {one.text for one in await collections[0].get(names)}
    assert texts == {f"by {last}"}


async def test_of_servers_that_create_a_collection_at_once_one_does(store, others):
    results = await asyncio.gather(
        *(each.create("notes", SCHEMA) for each in (store, *others)), return_exceptions=True
    )
    assert sum(not isinstance(each, BaseException) for each in results) == 1
    assert sum(isinstance(each, CollectionExistsError) for each in results) == 3


async def test_a_collection_deleted_through_another_server_is_gone_with_its_tables(
    store, others, database_url
):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    await write(collection, document("d"))
    await others[0].delete("notes")
    with pytest.raises(CollectionNotFoundError):
        await store.acquire("notes")
    for call in (
        collection.retrieval().with_words("sky", 3),
        write(collection, document("e")),
        collection.count(Filter(must=(FieldCondition("a", OneOf((1,))),))),
    ):
        with pytest.raises(CollectionClosedError):
            await call
    await others[1].create("notes", SCHEMA)
    assert (await others[1].summary("notes")).num_documents == 0
    tables = await fetched(
        database_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'twopass'"
    )
    assert tables == 3 + 4  # migrations, collections, names, and those of the new collection


async def test_a_deletion_waits_for_no_search_and_breaks_none(store, others):
    for _ in range(5):
        await store.create("notes", SCHEMA)
        collection = await collection_of(store)
        await write(collection, *(document(f"d{n}") for n in range(50)))

        async def search(collection=collection):
            while True:
                try:
                    found = await collection.retrieval().with_words("sky", 50)
                except CollectionClosedError:
                    return
                assert len(found.ranked.keys) == 50

        searches = [asyncio.create_task(search()) for _ in range(4)]
        await asyncio.sleep(0.05)
        await others[0].delete("notes")
        await asyncio.gather(*searches)


async def test_writes_of_one_server_take_effect_in_the_order_of_their_submission(store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    submitted = [await collection.submit_upsert([document("d", f"text {n}")]) for n in range(20)]
    results = await asyncio.gather(*submitted)
    assert [one.sequence.position for one in results] == list(range(1, 21))
    (found,) = await collection.get(["d"])
    assert found.text == "text 19"


# --- sessions -----------------------------------------------------------------------------------


async def test_a_stop_ends_the_statement_in_the_database_too(store, database_url):
    marker = f"stopped {uuid.uuid4()}"
    stop = Stop()

    async def sleep(connection):
        await connection.execute(f"SELECT pg_sleep(60) /* {marker} */")

    running = asyncio.create_task(store._connections.run(sleep, stop))
    await until(database_url, _ACTIVE.format(marker), 1)
    stop.set()
    with pytest.raises(StoppedError):
        await running
    await until(database_url, _ACTIVE.format(marker), 0)


async def test_a_cancelled_caller_ends_the_statement_in_the_database_too(store, database_url):
    marker = f"cancelled {uuid.uuid4()}"

    async def sleep(connection):
        await connection.execute(f"SELECT pg_sleep(60) /* {marker} */")

    running = asyncio.create_task(store._connections.run(sleep))
    await until(database_url, _ACTIVE.format(marker), 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(database_url, _ACTIVE.format(marker), 0)


async def test_what_a_search_sets_for_itself_is_gone_after_it(store, monkeypatch):
    monkeypatch.setattr(retrieval, "CHEAP_COMPONENTS", 0)
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    await write(collection, *(document(f"d{n}") for n in range(30)))
    collection = await collection_of(store)
    found = await collection.retrieval().nearest(
        document("d1").vector, 3, breadth=Breadth(ef_search=777)
    )
    assert not found.exact

    async def setting(connection):
        return await connection.fetchval("SHOW hnsw.ef_search")

    assert await store._connections.run(setting) == "40"


async def test_writes_are_synced_though_the_role_would_not(store, database_url):
    await fetched(database_url, "ALTER ROLE postgres SET synchronous_commit = off")
    try:
        other = PostgresStore(database_url)
        await other.start()
        await other.create("notes", SCHEMA)
        collection = await collection_of(other)
        seen = []
        lock = collection._writer._lock

        async def watched(connection, name):
            counters = await lock(connection, name)
            seen.append(await connection.fetchval("SHOW synchronous_commit"))
            return counters

        collection._writer._lock = watched
        await write(collection, document("d"))
        await other.close()
        assert seen == ["on"]
    finally:
        await fetched(database_url, "ALTER ROLE postgres RESET synchronous_commit")


async def test_a_server_behind_pgbouncer_prepares_nothing_and_sets_nothing_up(database_url):
    opened = PostgresStore(f"{database_url}?pgbouncer=true&schema=other")
    await opened.start()
    try:
        await opened.create("notes", SCHEMA)
        collection = await collection_of(opened)
        await write(collection, document("d"))
        found = await collection.retrieval().both(document("d").vector, "sky", 3)
        assert len(found.words.ranked.keys) == 1

        async def prepared(connection):
            return await connection.fetchval("SELECT count(*) FROM pg_prepared_statements")

        assert await opened._connections.run(prepared) == 0
    finally:
        await opened.close()


# --- servers that come and go -------------------------------------------------------------------


async def test_a_store_lives_through_the_end_of_its_database(own_server):
    store = PostgresStore(own_server.url)
    await store.start()
    try:
        await store.create("notes", SCHEMA)
        collection = await collection_of(store)
        await write(collection, document("d"))
        await asyncio.to_thread(own_server.kill)
        for call in (
            store.acquire("notes"),
            collection.retrieval().with_words("sky", 3),
            write(collection, document("e")),
        ):
            with pytest.raises(StoreUnreachableError) as raised:
                await call
            assert "127.0.0.1" not in str(raised.value)
        assert store.problem
        await asyncio.to_thread(own_server.start)
        assert [one.id for one in await collection.get(["d"])] == ["d"]
        assert store.problem == ""
        await write(collection, document("e"))
    finally:
        await store.close()


async def test_a_store_starts_before_its_database(own_server):
    own_server.stop()
    store = PostgresStore(own_server.url)
    await store.start()
    try:
        assert store.problem
        with pytest.raises(StoreUnreachableError):
            await store.create("notes", SCHEMA)
        await asyncio.to_thread(own_server.start)
        await store.create("notes", SCHEMA)
        assert store.problem == ""
    finally:
        await store.close()


async def test_a_database_that_does_not_let_the_server_in_keeps_it_from_starting(postgres_server):
    store = PostgresStore(postgres_server.url.replace("/postgres", "/nowhere"))
    with pytest.raises(StorageError, match="does not let this server in") as raised:
        await store.start()
    assert not isinstance(raised.value, StoreUnreachableError)
    await store.close()


async def test_a_database_of_a_newer_version_is_left_alone(store, database_url):
    newer = len(migrations.MIGRATIONS) + 1
    await fetched(database_url, f"INSERT INTO twopass.migrations VALUES ({newer})")
    other = PostgresStore(database_url)
    with pytest.raises(StorageError, match="install a newer one"):
        await other.start()
    await other.close()


async def test_tables_of_a_deletion_cut_short_are_dropped_by_the_next_server(store, database_url):
    await store.create("notes", SCHEMA)
    await store._change(
        lambda connection: store._catalogue.mark_deleted(connection, "notes"), Stop()
    )
    other = PostgresStore(database_url)
    await other.start()
    await other.close()
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'twopass'"
    assert await fetched(database_url, count) == 3


async def test_long_passages_are_found_by_their_windows(store):
    from twopass.index.documents import SplitPassage

    schema = CollectionSchema(
        dimension=DIMENSION,
        encoder="e",
        encoder_revision="1",
        chunking=Chunking(16),
        index_kind="HNSW16",
        indexed_fields=(IndexedField("a"),),
    )
    await store.create("notes", schema)
    collection = await collection_of(store)
    axes = np.eye(DIMENSION, dtype=np.float32)
    windows = np.array([[16 * n, 16 * n + 16] for n in range(6)], np.int32)

    def split(name, first):
        passage = SplitPassage(windows, axes[[(first + n) % DIMENSION for n in range(6)]])
        return IndexedDocument(
            id=name, text="sky", vector=passage, token_ids=np.zeros(96, np.int32)
        )

    result = await write(collection, *(split(f"s{n}", n) for n in range(8)), document("whole"))
    assert result.num_split == 8
    found = collection.retrieval()
    near = await found.nearest(axes[3], 9)
    assert len(near.ranked.keys) == 9
    for key in near.ranked.keys[:6].tolist():
        number = int((await found.fetch(np.array([key])))[key].id[1:])
        place = (3 - number) % DIMENSION
        assert near.windows[key] == (16 * place, 16 * place + 16)
    assert await found.num_split_among(near.ranked.keys) == 8
    with pytest.raises(CollectionError):
        await collection.get(["none"])


_ACTIVE = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE query LIKE '%{}%' AND state = 'active' AND pid <> pg_backend_pid()"
)


async def fetched(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def until(url, statement, expected):
    for _ in range(600):
        if await fetched(url, statement) == expected:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(statement)
