"""What is looked at after each restart: documents, searches against brute force, snapshots."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np
from numpy.typing import NDArray

from twopass.client import Client, Document, Fields

from .documents import text_of, vector_of
from .kinds import Kind
from .ledger import Findings, Ledger
from .touches import FIELD, Touches
from .word_examination import examine_words
from .workload import EVERYWHERE, position_of

_EVERYTHING = Fields(vector=True)
_NUM_QUERIES = 3
# Versions that must not come back: those of the last lives.
_NUM_GONE = 800
_MAX_TOP_N = 2_048
# 16 products of components below 1 in float32, each rounded to 2^-24, twice over.
_TOLERANCE = 4e-6
_ORPHANS = "SELECT count(*) FROM windows WHERE document NOT IN (SELECT key FROM documents)"


def examine(
    client: Client,
    kind: Kind,
    ledger: Ledger,
    touches: Touches,
    drawn: random.Random,
    look_inside: Callable[[Findings], None],
    snapshots: list[str] | None,
) -> Findings:
    """Looks at a collection to which nobody writes, and settles the ledger on what is there.

    Args:
        client: Of the server.
        kind: The collection's.
        ledger: What it may hold.
        touches: What its documents may show beside.
        drawn: For the queries, and for which snapshot is restored.
        look_inside: Looks at what the store keeps of it, and notes what is wrong.
        snapshots: Names of snapshots that must be there; None where the store has none.
    """
    collection = kind.name
    documents = list(client.documents(collection, page_size=500, fields=_EVERYTHING))
    found = _versions(documents)
    findings = ledger.compare(found)
    touched = _touched(documents)
    findings.stale += touches.compare(touched)
    _check_documents(kind, documents, findings)
    described = client.get_collection(collection)
    if described.num_documents != len(documents):
        findings.other.append(
            f"the index holds {described.num_documents} documents, the table {len(documents)}"
        )
    _check_searches(client, kind, documents, drawn, findings)
    gone = ledger.gone(found, _NUM_GONE)
    by_words = examine_words(client, collection, kind.dimension, documents, gone, drawn)
    findings.add(by_words, "by words")
    if snapshots is not None:
        _check_snapshots(client, kind, ledger, snapshots, drawn, findings)
    look_inside(findings)
    ledger.settle(found, position_of(described.sequence))
    touches.settle(touched)
    return findings


def _versions(documents: list[Document]) -> dict[str, int]:
    return {document.id: int(document.metadata["version"]) for document in documents}


def _touched(documents: list[Document]) -> dict[tuple[str, int], int | None]:
    shown: dict[tuple[str, int], int | None] = {}
    for document in documents:
        number = document.metadata.get(FIELD)
        version = int(document.metadata["version"])
        shown[document.id, version] = None if number is None else int(number)
    return shown


def _check_documents(kind: Kind, documents: list[Document], findings: Findings) -> None:
    num_ids = len({document.id for document in documents})
    if num_ids != len(documents):
        findings.other.append(f"{len(documents) - num_ids} documents are there twice")
    for document in documents:
        _check_content(kind, document, findings)


def _check_snapshots(
    client: Client,
    kind: Kind,
    ledger: Ledger,
    expected: list[str],
    drawn: random.Random,
    findings: Findings,
) -> None:
    """Restores one snapshot of the life that ended, compares it with its moment, drops all."""
    collection = kind.name
    snapshots = client.list_snapshots(collection)
    missing = set(expected) - {snapshot.name for snapshot in snapshots}
    findings.missing += [f"snapshot {name}" for name in sorted(missing)]
    if snapshots:
        snapshot = drawn.choice(snapshots)
        restored = client.restore_snapshot(collection, snapshot.name, f"{collection}-restored").name
        documents = list(client.documents(restored, page_size=500, fields=_EVERYTHING))
        compared = ledger.compare(_versions(documents), position_of(snapshot.sequence))
        _check_documents(kind, documents, compared)
        by_words = examine_words(client, restored, kind.dimension, documents, [], drawn)
        compared.add(by_words, "by words")
        findings.add(compared, f"snapshot {snapshot.name}")
        client.delete_collection(restored)
    for snapshot in snapshots:
        client.delete_snapshot(collection, snapshot.name)


def _check_content(kind: Kind, document: Document, findings: Findings) -> None:
    version = int(document.metadata["version"])
    where = f"{document.id} in version {version}"
    if document.text != text_of(document.id, version):
        findings.other.append(f"{where} has the text of another")
    if kind.is_split:
        return
    assert document.vector is not None
    if not np.allclose(document.vector, vector_of(document.id, version), rtol=0, atol=1e-6):
        findings.other.append(f"{where} has the vector of another")


def _check_searches(
    client: Client,
    kind: Kind,
    documents: list[Document],
    drawn: random.Random,
    findings: Findings,
) -> None:
    """Asks for every document, nearest first, and sorts them by hand."""
    vectors = np.array([document.vector or () for document in documents], np.float64)
    for _ in range(_NUM_QUERIES):
        query = np.array([drawn.gauss(0, 1) for _ in range(kind.dimension)])
        hits = client.search(
            kind.name,
            vector=query.tolist(),
            top_n=_MAX_TOP_N,
            retrieve=EVERYWHERE,
            rerank=False,
            fields=Fields(text=False, metadata=False),
        ).hits
        if {hit.id for hit in hits} != {document.id for document in documents}:
            findings.other.append(
                f"a search found {len(hits)} of {len(documents)} documents, or others"
            )
            continue
        if kind.is_split:
            continue
        scores = dict(zip((d.id for d in documents), _cosines(vectors, query), strict=True))
        given = [hit.dense_score or math.nan for hit in hits]
        if not np.allclose(given, [scores[hit.id] for hit in hits], rtol=0, atol=_TOLERANCE):
            findings.other.append("a search's scores are not those of the vectors on disk")
        if sorted(given, reverse=True) != given:
            findings.other.append("a search's hits are not ordered by score")


def _cosines(vectors: NDArray[np.float64], query: NDArray[np.float64]) -> list[float]:
    if not len(vectors):
        return []
    cosines: list[float] = (vectors @ (query / np.linalg.norm(query))).tolist()
    return cosines


def examine_file(database: Path, kind: Kind, findings: Findings) -> None:
    """Looks at a collection's SQLite file."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        answers = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        num_orphans = connection.execute(_ORPHANS).get if kind.is_split else 0
    finally:
        connection.close()
    if answers != ["ok"]:
        findings.other.append(f"SQLite finds its file damaged: {'; '.join(answers)}")
    if num_orphans:
        findings.other.append(f"{num_orphans} windows are of no document")
