"""Loads a vector index: its saved base, brought up to date from the documents."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np

from twopass.index.arrays import Int64s
from twopass.index.collection_name import CollectionName
from twopass.index.kinds import IndexKind
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import Identity
from twopass.index.rows.stored_vectors import vector_blocks, vector_keys
from twopass.index.sequences import SequenceToken
from twopass.index.vectors.base_file import BaseFileError, Header, load_base
from twopass.index.vectors.segments import Segment

_LOG = logging.getLogger("twopass.index")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedVectors:
    """The vectors that an index begins with.

    Attributes:
        base: The base, possibly empty.
        delta: Vectors that the base lacks.
        num_trained: From how many vectors the base was trained; 0 if it was not.
        sequence: The collection's state that base and delta together hold.
    """

    base: Segment
    delta: Segment
    num_trained: int
    sequence: SequenceToken


def load_vectors(
    name: CollectionName,
    connection: apsw.Connection,
    identity: Identity,
    base_path: Path,
    damage: Damage,
) -> LoadedVectors:
    """Reads a collection's vectors: the base from its file, if intact, the rest from the documents.

    Args:
        name: The collection's name, for the log.
        connection: Connection to its documents' file.
        identity: What that file says about the collection.
        base_path: The file of its base.
        damage: Records damaged documents, which searches can't find.

    Raises:
        apsw.Error: The documents can't be read.
    """
    began = time.perf_counter()
    keys = vector_keys(connection)
    dimension = identity.schema.dimension
    try:
        base, header = load_base(base_path)
        _check_fits(base, header, identity, keys)
    except BaseFileError as error:
        reason = str(error)
        base, header = _empty_base(identity), None
    else:
        reason = ""
        base.hide(np.setdiff1d(base.keys, keys, assume_unique=True))
    delta = Segment.empty(dimension)
    later = keys[np.searchsorted(keys, header.last_key, side="right") :] if header else keys
    for block_keys, vectors in vector_blocks(connection, later, dimension, damage):
        delta.add(block_keys, vectors)
    _LOG.log(
        logging.WARNING if reason and base_path.exists() else logging.INFO,
        "index loaded from its file" if header else "index read from the documents",
        extra={
            "collection": str(name),
            **({"reason": f"{base_path}: {reason}"} if reason else {}),
            "num_in_file": base.num_visible,
            "num_from_documents": len(delta),
            "num_gone": base.num_hidden,
            "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
        },
    )
    return LoadedVectors(base, delta, header.num_trained if header else 0, identity.sequence)


def _empty_base(identity: Identity) -> Segment:
    kind = IndexKind.parse(identity.schema.index_kind)
    index = kind.create(identity.schema.dimension)
    return Segment(kind, index, np.empty(0, np.int64), np.empty(0, np.bool_))


def _check_fits(base: Segment, header: Header, identity: Identity, keys: Int64s) -> None:
    """Makes sure that a base has every document that it should, by its header and the table.

    Keys ascend and are never reused: documents in the table with keys up to `last_key` were there
    when the base was built, and those with higher keys came later.

    Raises:
        BaseFileError: The base does not belong to these documents.
    """
    schema, sequence = identity.schema, identity.sequence
    if header.incarnation != sequence.incarnation:
        raise BaseFileError("it is of another life of the collection")
    if header.position > sequence.position:
        raise BaseFileError(
            f"it is of position {header.position:,}, the documents are of {sequence.position:,}: "
            "they were put back from a backup"
        )
    if (header.index_kind, header.dimension) != (schema.index_kind, schema.dimension):
        raise BaseFileError(
            f"it is a {header.index_kind} of dimension {header.dimension:,}, the collection wants "
            f"{schema.index_kind} of {schema.dimension:,}"
        )
    if not len(base.keys) == header.num_vectors == base.index.ntotal:
        raise BaseFileError("it holds another number of vectors than it says")
    then = keys[: np.searchsorted(keys, header.last_key, side="right")]
    if len(missing := np.setdiff1d(then, base.keys, assume_unique=True)):
        raise BaseFileError(f"it lacks {len(missing):,} documents, key {missing[0]} among them")
