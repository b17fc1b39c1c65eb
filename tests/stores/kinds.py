"""The stores that are tested, what each lacks, and how one is opened."""

import importlib.util
from dataclasses import dataclass

import pytest

FEATURES = {
    "fronts": "any number of servers at once",
    "snapshots": "snapshots",
    "feedback": "clicks and judgements",
    "transactions": "ids told apart across servers that write at once",
    "default_words": "BM25 by the default store's formula, to the last digits",
    "clauses": "phrases, prefixes, required and excluded words",
    "long_texts": "texts of any length",
    "many_values": "intervals with two ends, and prefixes, on lists of many values",
}
"""What a store may lack, and what docs/stores.md calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of store.

    Attributes:
        name: As the store calls itself.
        title: As docs/stores.md calls it.
        room: The package of its store.
        server: The fixture of the server that it stands on; "" for a folder.
        packages: What it needs that may not be installed, as it is imported.
        graph: An approximate index kind.
        lacks: Those of `FEATURES` that it never has.
        max_unsupported_filters: The greatest share of random filters that it refuses.
        num_many: Documents that are many for it.
        many_components: Components of a vector of theirs.
        num_histories: Random histories that a test has time for.
        is_slow: Whether its tests take minutes.
    """

    name: str
    title: str
    room: str
    server: str = ""
    packages: tuple[str, ...] = ()
    graph: str
    lacks: frozenset[str] = frozenset()
    max_unsupported_filters: float = 0.0
    num_many: int = 2_000
    many_components: int = 16
    num_histories: int = 20
    is_slow: bool = False

    @property
    def is_there(self) -> bool:
        """Whether this tree has it."""
        return importlib.util.find_spec(self.room) is not None

    @property
    def is_installed(self) -> bool:
        """Whether what it needs is installed."""
        return all(importlib.util.find_spec(package) for package in self.packages)

    def url(self, request: pytest.FixtureRequest) -> str:
        """What `--store` takes; starts the server that it stands on."""
        if not self.is_installed:
            pytest.skip(f"not installed: {', '.join(self.packages)}")
        return request.getfixturevalue(self.server).url if self.server else ""

    def has(self, feature: str) -> bool:
        """Whether it has one of `FEATURES`."""
        assert feature in FEATURES
        return feature not in self.lacks


SQLITE = Kind(
    name="sqlite",
    title="SQLite, the default",
    room="twopass.index.store",
    graph="HNSW32",
    lacks=frozenset({"fronts"}),
)
POSTGRESQL = Kind(
    name="postgresql",
    title="PostgreSQL + pgvector",
    room="twopass.index.postgres",
    server="postgres_server",
    packages=("asyncpg",),
    graph="HNSW32",
    lacks=frozenset({"snapshots"}),
    many_components=1_536,
    num_histories=8,
)
MILVUS = Kind(
    name="milvus",
    title="Milvus",
    room="twopass.index.milvus",
    server="milvus_server",
    packages=("pymilvus",),
    graph="HNSW",
    lacks=frozenset(
        {
            *("snapshots", "feedback", "transactions", "default_words", "clauses", "long_texts"),
            "many_values",
        }
    ),
    max_unsupported_filters=0.3,
    num_many=600,
    num_histories=3,
    is_slow=True,
)

KINDS = tuple(kind for kind in (SQLITE, POSTGRESQL, MILVUS) if kind.is_there)
