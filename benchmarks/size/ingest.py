"""How fast documents with vectors come in, and how fast each stage of their way is alone."""

import asyncio
import itertools
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from twopass.benchmarks.size.corpus import Corpus
from twopass.benchmarks.size.own_store import own_store
from twopass.client import Client, Document, Schema, UpsertSummary
from twopass.client._upsert import Chunker
from twopass.engines.base.tokenizer import Tokenizer
from twopass.engines.loading import load_model
from twopass.index.documents import IndexedDocument
from twopass.index.schema import CollectionSchema
from twopass.index.stopping import NEVER
from twopass.index.writes import UpsertResult
from twopass.server.config import ServerConfig
from twopass.server.models.passages import Limits
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.servicers.documents import read_documents
from twopass.v1 import collection_pb2

_CHUNK = 256
# Enough that the quickest stage runs for a second.
_SAMPLE = 50_000
_MAX_TOKENS = 8_192
# Chunks that wait for the disk, as of a call in the server.
_CHUNKS_AHEAD = 6


@dataclass(frozen=True, slots=True)
class Ingest:
    """Documents a second.

    Attributes:
        through_grpc: From a client's documents to acknowledged, all stages at once.
        seconds: How long that took.
        alone: Each stage with nothing beside it, by name.
    """

    through_grpc: float
    seconds: float
    alone: dict[str, float]

    @property
    def slowest(self) -> str:
        """The stage that is slowest alone."""
        return min(self.alone, key=self.alone.__getitem__)

    @property
    def share(self) -> float:
        """Of the slowest stage's rate that all of them together reach."""
        return self.through_grpc / self.alone[self.slowest]


def ingest(client: Client, collection: str, corpus: Corpus, index_kind: str) -> float:
    """Writes a corpus into a new collection; returns the seconds from first to last."""
    schema = Schema(client_vectors=True, dimension=corpus.dimension, index_kind=index_kind)
    client.create_collection(collection, schema)
    with Progress(
        TextColumn("indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} documents/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task("indexing", total=corpus.size, rate="")
        began = time.perf_counter()

        def show(summary: UpsertSummary) -> None:
            rate = summary.num_documents / (time.perf_counter() - began)
            progress.update(task, completed=summary.num_documents, rate=f"{rate:,.0f}")

        client.upsert(collection, corpus.documents(), chunk_size=_CHUNK, on_progress=show)
        return time.perf_counter() - began


def measure_stages(corpus: Corpus, num_cpus: int) -> dict[str, float]:
    """Runs each stage alone, with as many threads as the server gives it.

    Writing takes more time the more there is, so it writes all documents. The other stages don't
    know what was before, so they have the first ones.
    """
    documents = list(itertools.islice(corpus.documents(), _SAMPLE))
    chunks = [_message(chunk).SerializeToString() for chunk in _chunks(documents)]
    reranker = load_model(ServerConfig().reranker, num_threads=1)
    try:
        tokenizer = reranker.tokenizer
        stages: dict[str, Callable[[], object]] = {
            "client: make messages": lambda: [
                _message(chunk).SerializeToString() for chunk in _chunks(documents)
            ],
            "server: read messages": lambda: [_read(chunk) for chunk in chunks],
            "tokenise": lambda: asyncio.run(_tokenise(documents, tokenizer, num_cpus)),
        }
        rates = {name: len(documents) / _seconds(stage) for name, stage in stages.items()}
    finally:
        reranker.engine.close()
    rates["check, analyse, write, fsync, index"] = corpus.size / _write_seconds(corpus, tokenizer)
    return rates


def _seconds(stage: Callable[[], object]) -> float:
    began = time.perf_counter()
    stage()
    return time.perf_counter() - began


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    left = iter(documents)
    while chunk := list(itertools.islice(left, _CHUNK)):
        yield chunk


def _message(chunk: list[Document]) -> collection_pb2.UpsertDocumentsStreamRequest:
    chunker = Chunker("alone", len(chunk))
    (message,) = chunker.chunks(chunk)
    return message


def _read(content: bytes) -> object:
    config = ServerConfig()
    limits = Limits(
        max_candidates=config.max_candidates,
        max_documents=config.max_documents,
        max_passage_bytes=config.max_passage_bytes,
        max_query_bytes=config.max_query_bytes,
    )
    request = collection_pb2.UpsertDocumentsStreamRequest.FromString(content)
    return read_documents(request.documents, limits, NEVER)


async def _tokenise(documents: list[Document], tokenizer: Tokenizer, num_threads: int) -> None:
    tokenizing = Tokenizing(num_threads)
    texts = ([document.text for document in chunk] for chunk in _chunks(documents))
    await asyncio.gather(*(tokenizing.encode(tokenizer, chunk, _MAX_TOKENS) for chunk in texts))
    tokenizing.close()


def _write_seconds(corpus: Corpus, tokenizer: Tokenizer) -> float:
    """Seconds to write a whole corpus, tokenised before, as many chunks ahead as the server has."""
    chunks = [_indexed(documents, tokenizer) for documents in _chunks(corpus.documents())]
    with tempfile.TemporaryDirectory() as folder, own_store(Path(folder)) as store:
        schema = CollectionSchema(dimension=corpus.dimension, client_vectors=True)
        collection = store.create("alone", schema)
        writes: deque[Future[UpsertResult]] = deque()
        began = time.perf_counter()
        for chunk in chunks:
            if len(writes) == _CHUNKS_AHEAD:
                writes.popleft().result()
            writes.append(collection.upsert(chunk))
        for write in writes:
            write.result()
        return time.perf_counter() - began


def _indexed(documents: Sequence[Document], tokenizer: Tokenizer) -> list[IndexedDocument]:
    token_ids = tokenizer.encode([document.text for document in documents], _MAX_TOKENS)
    return [
        IndexedDocument(
            id=document.id,
            text=document.text,
            vector=np.asarray(document.vector, np.float32),
            token_ids=token_ids[row],
        )
        for row, document in enumerate(documents)
    ]
