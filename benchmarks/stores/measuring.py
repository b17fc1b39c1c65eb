"""Fills one store with a corpus, and times its searches."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from twopass._core import available_cpus
from twopass.benchmarks.size.corpus import Corpus, nearest
from twopass.engines.base.sequences import Float32s
from twopass.index.base.collection import Collection
from twopass.index.base.retrieval import HybridRetrieval, Members
from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.lanes import Lane, Lanes
from twopass.index.postgres.store import PostgresStore
from twopass.index.retrieved import Expected
from twopass.index.schema import CollectionSchema, FieldType, IndexedField
from twopass.server.config_loading import load_config
from twopass.server.stores import open_store

K = 50
_COLLECTION = "bench-stores"
_BATCH = 256
_TOKENS = np.arange(90, dtype=np.int32)  # as many as 400 characters of English have
_ID = DocumentFields(text=False, metadata=False)
# In `place`, which is spread evenly: these shares of the documents pass.
_SHARES = (0.01, 0.3)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one store costs.

    Attributes:
        place: Where it is.
        documents_a_second: Written, in batches of 256 one after another.
        bytes_a_document: On disk, indexes and all.
        recall: Share of the 50 truly nearest that a search by vectors finds.
        seconds: Of each search, by what was searched.
    """

    place: str
    documents_a_second: float
    bytes_a_document: float
    recall: float
    seconds: Mapping[str, list[float]]

    def p50(self, what: str) -> float:
        """The median of a kind of search, in seconds."""
        return float(np.percentile(self.seconds[what], 50))

    def p95(self, what: str) -> float:
        """The time that 95 of 100 searches of a kind stay below, in seconds."""
        return float(np.percentile(self.seconds[what], 95))


async def measure(
    url: str, folder: Path, corpus: Corpus, index_kind: str, num_queries: int
) -> Measured:
    """Measures one store.

    Args:
        url: The store's; "" for the default one.
        folder: The data folder of the default one.
        corpus: What is written.
        index_kind: Of the collection.
        num_queries: Searches of each kind.
    """
    lanes, encoding = Lanes.for_cpus(available_cpus()), Lane("encoding", 1)
    store = open_store(
        load_config({"store": url} if url else {"data": folder}),
        lanes,
        encoding,
        num_threads=available_cpus(),
        current_revision=lambda _, schema: schema.encoder_revision,
    ).store
    try:
        await store.start()
        await store.create(_COLLECTION, _schema(corpus.dimension, index_kind))
        lease = await store.acquire(_COLLECTION)
        began = time.perf_counter()
        await _write(lease.collection, corpus)
        seconds_written = time.perf_counter() - began
        lease.release()
        num_bytes = await _bytes(store, folder)
        lease = await store.acquire(_COLLECTION)
        recall, seconds = await _search(lease.collection, corpus, num_queries)
        lease.release()
        await store.delete(_COLLECTION)
    finally:
        await store.close()
        encoding.close()
        lanes.close()
    return Measured(
        store.kind, corpus.size / seconds_written, num_bytes / corpus.size, recall, seconds
    )


def _schema(dimension: int, index_kind: str) -> CollectionSchema:
    return CollectionSchema(
        dimension=dimension,
        client_vectors=True,
        index_kind=index_kind,
        language="en",
        indexed_fields=(IndexedField("place", FieldType.NUMBER),),
    )


async def _write(collection: Collection, corpus: Corpus) -> None:
    places = np.random.default_rng(corpus.seed).random(corpus.size)
    texts = corpus.texts()
    for start, vectors in corpus.vector_blocks():
        for first in range(0, len(vectors), _BATCH):
            batch = vectors[first : first + _BATCH]
            of_batch = zip(islice(texts, len(batch)), batch, strict=True)
            written = await collection.submit_upsert(
                [
                    IndexedDocument(
                        id=f"d{number}",
                        text=text,
                        metadata={"place": float(places[number])},
                        vector=vector,
                        token_ids=_TOKENS,
                    )
                    for number, (text, vector) in enumerate(of_batch, start + first)
                ]
            )
            await written


async def _bytes(store: object, folder: Path) -> int:
    """Bytes on disk."""
    if isinstance(store, PostgresStore):
        return await store.num_bytes()
    return await asyncio.to_thread(_bytes_in, folder)


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def _search(
    collection: Collection, corpus: Corpus, num_queries: int
) -> tuple[float, dict[str, list[float]]]:
    queries = corpus.queries(num_queries)
    questions = [corpus.questions[n % len(corpus.questions)].text for n in range(num_queries)]
    truth = nearest(corpus, queries, K)
    recalls = []
    seconds: dict[str, list[float]] = {}
    for number in range(num_queries):
        retrieval = collection.retrieval(Expected(fields=_ID))
        found = await retrieval.nearest(queries[number], K)
        documents = await retrieval.fetch(found.ranked.keys, _ID)
        recalls.append(len({one.id for one in documents.values()} & truth[number]) / K)
    filters: dict[str, Filter | None] = {"": None}
    for share in _SHARES:
        passing = FieldCondition("place", InRange(lt=share))
        filters[f", {share:.0%} pass"] = Filter(must=(passing,))
    for suffix, wanted in filters.items():
        for what, search in _SEARCHES.items():
            taken = []
            for vector, question in zip(queries, questions, strict=True):
                began = time.perf_counter()
                await search(collection, vector, question, wanted)
                taken.append(time.perf_counter() - began)
            seconds[what + suffix] = taken
    return float(np.mean(recalls)), seconds


async def _members(collection: Collection, wanted: Filter | None) -> Members | None:
    return None if wanted is None else await collection.members(wanted)


async def _nearest(
    collection: Collection,
    vector: Float32s,
    question: str,  # noqa: ARG001  # all searches are called alike
    wanted: Filter | None,
) -> None:
    """The nearest, and their token ids."""
    retrieval = collection.retrieval()
    found = await retrieval.nearest(vector, K, await _members(collection, wanted))
    await retrieval.load(found.ranked.keys)


async def _words(
    collection: Collection,
    vector: Float32s,  # noqa: ARG001
    question: str,
    wanted: Filter | None,
) -> None:
    """The best by words, and their token ids."""
    retrieval = collection.retrieval()
    found = await retrieval.with_words(question, K, await _members(collection, wanted))
    await retrieval.load(found.ranked.keys)


async def _both(
    collection: Collection, vector: Float32s, question: str, wanted: Filter | None
) -> None:
    """Both lists, the similarities of what words alone have found, and the token ids of all."""
    retrieval = collection.retrieval()
    members = await _members(collection, wanted)
    if isinstance(retrieval, HybridRetrieval):
        both = await retrieval.both(vector, question, K, members)
        near, words = both.nearest.ranked.keys, both.words.ranked.keys
    else:
        of_vectors, of_words = await asyncio.gather(
            retrieval.nearest(vector, K, members), retrieval.with_words(question, K, members)
        )
        near, words = of_vectors.ranked.keys, of_words.ranked.keys
        await retrieval.similar(vector, np.setdiff1d(words, near))
    await retrieval.load(np.union1d(near, words))


_Search = Callable[[Collection, Float32s, str, "Filter | None"], Awaitable[None]]
_SEARCHES: Mapping[str, _Search] = {"nearest": _nearest, "words": _words, "both": _both}
