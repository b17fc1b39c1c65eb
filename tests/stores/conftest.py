"""Every store that there is, one after the other, and the servers that some of them stand on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from twopass.index.aliases import AliasChange
from twopass.index.base.collection import Collection
from twopass.index.base.store import Store
from twopass.index.documents import IndexedDocument
from twopass.index.schema import CollectionSchema

from .kinds import KINDS, Kind
from .opening import opened
from .servers import MilvusServer, PostgresServer, ServerNotInstalledError, StoreServer

Server = TypeVar("Server", bound=StoreServer)

DIMENSION = 4

Connect = Callable[[], Awaitable[Store]]
MakeDocument = Callable[..., IndexedDocument]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Lets the tests of Milvus run against one that is there; `tests/stores` must be named."""
    parser.addoption(
        "--milvus",
        metavar="URL",
        help="a Milvus that is there, in milvus-lite's stead: milvus://host:19530, which must hold "
        "no collections of twopass, since the tests delete them",
    )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """PostgreSQL with pgvector; nobody stops or kills it."""
    with _running(PostgresServer) as server:
        yield server


@dataclass(frozen=True, slots=True)
class GivenServer:
    """A server that somebody else started, and stops.

    Attributes:
        url: Where it listens.
    """

    url: str


@pytest.fixture(scope="session")
def milvus_server(request: pytest.FixtureRequest) -> Iterator[MilvusServer | GivenServer]:
    """Milvus' wire; nobody stops or kills it."""
    if url := request.config.getoption("--milvus", default=None):
        yield GivenServer(url)
        return
    with _running(MilvusServer) as server:
        yield server


@pytest.fixture
def own_server(kind: Kind, store_url: str) -> Iterator[StoreServer]:
    """A server that a test may stop and kill, of the kind that the store stands on."""
    if not store_url:
        pytest.skip(f"{kind.title} is in a folder")
    of_kind = {"postgres_server": PostgresServer, "milvus_server": MilvusServer}
    with _running(of_kind[kind.server]) as server:
        yield server


@contextmanager
def _running(server: Callable[[], Server]) -> Iterator[Server]:
    try:
        made = server()
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    with made:
        yield made


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] if kind.is_slow else [])
        for kind in KINDS
    ],
)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The kind of store that is tested."""
    found: Kind = request.param
    return found


@pytest.fixture(scope="session")
def store_url(kind: Kind, request: pytest.FixtureRequest) -> str:
    """What `--store` takes; "" for a folder."""
    return kind.url(request)


@pytest.fixture
async def connect(kind: Kind, store_url: str, tmp_path: Path) -> AsyncIterator[Connect]:
    """Opens stores of one place, each as another server would; empties the place in the end."""
    async with AsyncExitStack() as stack:
        places: list[Store] = []

        async def open_another() -> Store:
            places.append(await stack.enter_async_context(opened(store_url, tmp_path)))
            return places[-1]

        yield open_another
        if places:
            await _empty(places[0])


async def _empty(store: Store) -> None:
    aliases = await store.aliases()
    await store.update_aliases([AliasChange(alias, None) for alias, _ in aliases.items()], _any)
    for summary in await store.summaries(lambda _: True):
        await store.delete(summary.name)


def _any(_: str) -> None:
    """Lets every collection be used."""


@pytest.fixture
async def store(connect: Connect) -> Store:
    """An empty store."""
    return await connect()


@pytest.fixture
def schema() -> CollectionSchema:
    return CollectionSchema(dimension=DIMENSION, client_vectors=True)


@pytest.fixture
async def collection(store: Store, schema: CollectionSchema) -> AsyncIterator[Collection]:
    """An empty collection, `notes`."""
    await store.create("notes", schema)
    lease = await store.acquire("notes")
    yield lease.collection
    lease.release()


@pytest.fixture
def make_document() -> MakeDocument:
    """Makes a document whose vector is drawn from its id."""

    def make(name: str, **fields: Any) -> IndexedDocument:
        drawn = np.random.default_rng(list(name.encode())).standard_normal(DIMENSION)
        given = {
            "text": f"text of {name}",
            "vector": drawn.astype(np.float32),
            "token_ids": np.arange(len(name), dtype=np.int32),
        }
        return IndexedDocument(id=name, **given | fields)

    return make
