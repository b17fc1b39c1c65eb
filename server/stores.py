"""Opens the store that the settings name: the one module that knows the kinds of stores."""

from collections.abc import Callable
from dataclasses import dataclass

from twopass.engines.installing import how_to_install
from twopass.index.base.store import Store
from twopass.index.collection.opening import CurrentRevision
from twopass.index.lanes import Lane, Lanes
from twopass.index.sqlite.store import SqliteStore
from twopass.index.store.store import CollectionStore
from twopass.index.vectors.gpu_device import find_gpu
from twopass.index.vectors.merging import MergePolicy
from twopass.index.words.flushing import MIN_DOCUMENTS, FlushPolicy
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_values import VectorDevice
from twopass.server.data_folder import ensure_writable
from twopass.server.open_files import max_open_collections, raise_open_files_limit
from twopass.server.store_url import kind_of, without_password


@dataclass(frozen=True, slots=True)
class _Package:
    """What a kind of store needs installed.

    Attributes:
        name: The package, as Python imports it.
        extra: The extra of twopass that installs it.
    """

    name: str
    extra: str


_PACKAGES = {
    "postgresql": _Package("asyncpg", "postgres"),
    "milvus": _Package("pymilvus", "milvus"),
}


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store that is to be started.

    Attributes:
        store: The store.
        discard: Releases what it holds already, where the server can't start.
    """

    store: Store
    discard: Callable[[], None]


def check_store(config: ServerConfig) -> None:
    """Makes sure that the settings of the store go together, and that its folder can be written.

    Raises:
        ConfigError: They don't, or it can't.
    """
    if not config.store:
        ensure_writable(config.data)
        return
    if config.vector_device is VectorDevice.GPU:
        raise ConfigError(
            "vector_device: gpu given together with store, which searches vectors itself; leave "
            "one of them out"
        )


def open_store(
    config: ServerConfig,
    lanes: Lanes,
    encoding: Lane,
    *,
    num_threads: int,
    current_revision: CurrentRevision,
) -> OpenedStore:
    """Opens the data folder, or makes ready to connect to the store of `config.store`.

    Args:
        config: The settings.
        lanes: Lanes for what blocks; used until the store is closed.
        encoding: A lane of one thread for encoding documents.
        num_threads: Most threads of one search of vectors.
        current_revision: By what a collection's encoder is known now.

    Raises:
        ConfigError: The package of the store is not installed, or its URL is malformed.
        GpuUnavailableError: Vectors are to be searched on a GPU, and there is none.
        FolderInUseError: Another server holds the data folder.
        StorageError: The data folder can't be created or read.
    """
    num_files = raise_open_files_limit()  # connections of clients are files too
    if config.store:
        return OpenedStore(_remote_store(config.store), lambda: None)
    folder = CollectionStore(
        config.data,
        lanes,
        max_open=max_open_collections(config.max_open_collections, num_files),
        num_search_threads=num_threads,
        merge_policy=MergePolicy(
            min_changes=config.merge_changes, num_threads=max(1, num_threads // 2)
        ),
        device=find_gpu() if config.vector_device is VectorDevice.GPU else None,
        flush_policy=FlushPolicy(min_documents=min(MIN_DOCUMENTS, config.merge_changes)),
        current_revision=current_revision,
        opens_collections=False,
    )
    return OpenedStore(SqliteStore(folder, lanes, encoding), folder.close)


def _remote_store(url: str) -> Store:
    kind, told = kind_of(url), without_password(url)
    package = _PACKAGES[kind]
    try:
        return _postgres(url) if kind == "postgresql" else _milvus(url)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package.name:
            raise
        raise ConfigError(
            f"store: {told} needs the package {package.name}, which is not installed: "
            f"{how_to_install(package.extra)}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"store: {told}: {error}") from error


def _postgres(url: str) -> Store:
    from twopass.index.postgres.store import PostgresStore

    return PostgresStore(url)


def _milvus(url: str) -> Store:
    from twopass.index.milvus.store import MilvusStore

    return MilvusStore(url)
