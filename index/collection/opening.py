"""Opens a collection: its file, migrated to the current format, its vectors and its words."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import apsw

from twopass.index.collection.collection import Collection
from twopass.index.collection.writer import Writer
from twopass.index.collection_name import CollectionName
from twopass.index.lanes import Lanes
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import (
    Identity,
    open_closed,
    open_for_writing,
    read_identity,
    storage_errors,
)
from twopass.index.rows.migrations import keep_revision, migrate
from twopass.index.rows.window_rows import count_split
from twopass.index.schema import CollectionSchema
from twopass.index.summary import CollectionSummary
from twopass.index.vectors.gpu_device import GpuDevice
from twopass.index.vectors.loading import load_vectors
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.vector_index import VectorIndex
from twopass.index.words.analysis import Analyser
from twopass.index.words.flushing import FlushPolicy
from twopass.index.words.loading import load_words
from twopass.index.words.word_index import WordIndex

_LOG = logging.getLogger("twopass.index")

_BASE = "vectors.base"

CurrentRevision: TypeAlias = Callable[[str, CollectionSchema], str]
"""By what a collection's encoder is known now, given the collection's name and its schema.

It is the schema's `encoder_revision` or another name of the same encoder: collections that older
servers wrote name it by its weights.
"""


def open_collection(
    name: CollectionName,
    path: Path,
    lanes: Lanes,
    *,
    num_search_threads: int = 1,
    merge_policy: MergePolicy | None = None,
    device: GpuDevice | None = None,
    flush_policy: FlushPolicy | None = None,
    current_revision: CurrentRevision | None = None,
) -> Collection:
    """Opens a collection, and its vectors and words from their files or from the documents.

    Args:
        name: The collection's name.
        path: Its SQLite file; the files of vectors and words stand beside it.
        lanes: Lanes in which the collection works.
        num_search_threads: Most threads of one search of vectors.
        merge_policy: When the index is merged; None for the default.
        device: Copies its base to a GPU; None for no GPU.
        flush_policy: When words are flushed; None for the default.
        current_revision: By what its encoder is known now; None to leave it as it is.

    Raises:
        StorageError: The file is missing, damaged or of a newer format.
    """
    began = time.perf_counter()
    base_path = path.with_name(_BASE)
    damage = Damage(name, path, lanes.maintenance)
    with storage_errors(path, name):
        connection = open_for_writing(path)
        try:
            identity = read_identity(connection, path, name)
            migrate(connection, path, identity.schema)
            if current_revision is not None:
                identity = _known_as(current_revision, name, connection, identity)
            loaded = load_vectors(name, connection, identity, base_path, damage)
            analyser = Analyser(identity.schema.word_language)
            loaded_words = load_words(name, connection, identity, path.parent, analyser, damage)
        except BaseException:
            damage.close()
            connection.close()
            raise
    vectors = VectorIndex(
        name,
        identity.schema,
        loaded,
        base_path,
        lanes,
        num_threads=num_search_threads,
        policy=merge_policy,
        device=device,
    )
    words = WordIndex(
        name,
        path,
        loaded_words,
        analyser,
        damage,
        identity.sequence,
        lanes.flushes,
        flush_policy,
    )
    _LOG.info(
        "collection opened",
        extra={
            "collection": str(name),
            "num_vectors": vectors.num_vectors,
            "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
        },
    )
    writer = Writer(name, connection, path, identity, vectors, words, damage, lanes.writes)
    connections = ReadConnections(name, path, damage)
    return Collection(name, identity, connections, writer, vectors, words, analyser, damage)


def _known_as(
    current_revision: CurrentRevision,
    name: CollectionName,
    connection: apsw.Connection,
    identity: Identity,
) -> Identity:
    """Keeps the revision that the encoder is known by now; durable before it is used."""
    schema = identity.schema
    if not schema.encoder_revision:  # clients bring the vectors
        return identity
    revision = current_revision(str(name), schema)
    if revision == schema.encoder_revision:
        return identity
    renewed = replace(schema, encoder_revision=revision)
    keep_revision(connection, renewed)
    _LOG.info(
        "encoder known by another revision",
        extra={
            "collection": str(name),
            "encoder": schema.encoder,
            "from_revision": schema.encoder_revision,
            "to_revision": revision,
        },
    )
    return replace(identity, schema=renewed)


def read_summary(name: CollectionName, path: Path) -> CollectionSummary:
    """Describes a collection that is closed, in a fraction of the time that opening it takes.

    Args:
        name: The collection's name.
        path: Its SQLite file.

    Raises:
        StorageError: The file is missing, damaged or of a newer format.
    """
    with storage_errors(path, name):
        connection = open_closed(path)
        try:
            identity = read_identity(connection, path, name)
            num_documents = connection.execute("SELECT count(*) FROM documents").get
            num_split = count_split(connection) if identity.schema.chunking else 0
        finally:
            connection.close()
    return CollectionSummary(
        name=str(name),
        schema=identity.schema,
        create_time=identity.create_time,
        num_documents=num_documents,
        num_split=num_split,
        sequence=identity.sequence,
        read_only_reason="",
        settings=identity.settings,
    )
