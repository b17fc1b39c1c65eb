"""Sessions: what ends with its caller, what is set, servers that come and go."""

import asyncio
import signal
import socket
import subprocess
import time
import uuid
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest

from twopass.index.errors import (
    StoppedError,
    StorageError,
    StoreUnreachableError,
)
from twopass.index.kinds import Breadth
from twopass.index.postgres import connections, migrations, retrieval
from twopass.index.postgres.store import PostgresStore
from twopass.index.stopping import Stop

from .opened import SCHEMA, collection_of, document, fetched, until, write


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
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'twopass'"
    before = await fetched(database_url, count)
    await store.create("notes", SCHEMA)
    await store._change(
        lambda connection: store._catalogue.mark_deleted(connection, "notes"), Stop()
    )
    assert await fetched(database_url, count) > before
    other = PostgresStore(database_url)
    await other.start()
    await other.close()
    assert await fetched(database_url, count) == before


async def test_a_role_that_may_create_schemas_needs_no_more(store, database_url):
    await fetched(database_url, "DROP SCHEMA twopass CASCADE")
    await fetched(database_url, "DROP EXTENSION intarray")
    name = f"role_{uuid.uuid4().hex[:8]}"
    await fetched(database_url, f"CREATE ROLE {name} LOGIN")
    await fetched(
        database_url, f"GRANT CREATE ON DATABASE {database_url.rpartition('/')[2]} TO {name}"
    )
    other = PostgresStore(database_url.replace("postgres@", f"{name}@"))
    await other.start()
    try:
        await other.create("notes", SCHEMA)
        collection = await collection_of(other)
        await write(collection, document("d"))
        assert len((await collection.retrieval().with_words("sky", 3)).ranked.keys) == 1
        await other.delete("notes")
    finally:
        await other.close()
    await fetched(database_url, f"DROP OWNED BY {name} CASCADE")
    await fetched(database_url, f"DROP ROLE {name}")


async def test_a_standby_takes_no_writes_until_it_is_promoted(
    own_server,
):
    primary = PostgresStore(own_server.url)
    await primary.start()
    await primary.create("notes", SCHEMA)
    written = await collection_of(primary)
    with standby_of(own_server) as url:
        follower = PostgresStore(url)
        await follower.start()
        try:
            for number in range(20):
                result = await write(written, document(f"d{number}"))
                collection = await collection_of(follower)
                await collection.ensure_reached(str(result.sequence))
                assert await collection.known_ids([f"d{number}"]) == {f"d{number}"}
            assert "standby" in (await follower.summary("notes")).read_only_reason
            found = await collection.retrieval().both(document("d3").vector, "sky", 5)
            assert found.nearest.sequence == result.sequence
            for change in (write(collection, document("late")), follower.create("more", SCHEMA)):
                with pytest.raises(StorageError, match="standby"):
                    await change
            await fetched(url, "SELECT pg_promote()")
            assert (await follower.summary("notes")).read_only_reason == ""
            assert (await write(collection, document("late"))).num_inserted == 1
        finally:
            await follower.close()
            await primary.close()


@contextmanager
def standby_of(server):
    """A hot standby of a server; its URL."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    folder = server.folder / "standby"
    of_server = ["-h", "127.0.0.1", "-U", "postgres", "-p", str(server.port)]
    copy = [server.programs / "pg_basebackup", *of_server, "-D", folder, "-R", "-c", "fast"]
    subprocess.run([*server._as_user, *copy], check=True)
    settings = [f"--port={port}", "--listen_addresses=127.0.0.1", "--unix_socket_directories="]
    process = subprocess.Popen(
        [*server._as_user, server.programs / "postgres", "-D", folder, *settings],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ready = [server.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, check=False).returncode:
            assert process.poll() is None
            time.sleep(0.05)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


_ACTIVE = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE query LIKE '%{}%' AND state = 'active' AND pid <> pg_backend_pid()"
)


class _Silent:
    """Stands between a server and its database, and passes nothing on once it is told so."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._passes = asyncio.Event()
        self._passes.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()

    def fall_silent(self) -> None:
        self._passes.clear()

    async def _join(self, reader, writer):
        there, here = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target in ((reader, here), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pass(source, target)))

    async def _pass(self, source, target):
        while piece := await source.read(2**16):
            await self._passes.wait()
            target.write(piece)
        await self._passes.wait()
        target.close()


async def test_a_stopped_write_ends_where_its_database_answers_no_more(database_url, monkeypatch):
    """Not even to the cancellation, nor to the end of the transaction."""
    monkeypatch.setattr(connections, "_CONNECT_SECONDS", 0.5)
    parts = urlsplit(database_url)
    async with _Silent(parts.port) as between:
        host = f"{parts.netloc.rpartition(':')[0]}:{between.port}"
        store = PostgresStore(urlunsplit(parts._replace(netloc=host)))
        await store.start()
        begun, stop = asyncio.Event(), Stop()

        async def sleep(connection):
            begun.set()
            await connection.execute("SELECT pg_sleep(60)")

        running = asyncio.create_task(store._connections.change(sleep, stop))
        await begun.wait()
        between.fall_silent()
        stop.set()
        with pytest.raises((StoppedError, StoreUnreachableError)):
            await running
        await store.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone has them all")
async def test_the_system_ends_connections_to_a_database_that_has_vanished(store):
    async def options(connection):
        sock = connection._transport.get_extra_info("socket")
        tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        return (
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            *(sock.getsockopt(socket.IPPROTO_TCP, each) for each in tcp),
            sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        )

    assert await store._connections.run(options) == (1, 10, 5, 2, 20_000)


async def test_calls_do_not_wait_in_turn_for_a_database_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(connections, "_CONNECT_SECONDS", 0.5)
    tries = []
    async with await asyncio.start_server(
        lambda _, writer: tries.append(writer), "127.0.0.1", 0
    ) as listening:
        port = listening.sockets[0].getsockname()[1]
        store = PostgresStore(f"postgresql://me@127.0.0.1:{port}/notes?sslmode=disable")
        await store.start()
        answers = await asyncio.gather(
            *(store.summary("notes") for _ in range(40)), return_exceptions=True
        )
        await store.close()
        for writer in tries:
            writer.close()
    assert {type(answer) for answer in answers} == {StoreUnreachableError}
    assert len(tries) < 10
