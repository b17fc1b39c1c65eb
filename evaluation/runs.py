"""Runs a test collection through a real server."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from twopass.client import (
    Client,
    NotFoundError,
    Rerank,
    RerankStatus,
    Retrieve,
    RetrieveMode,
    Schema,
    SearchResult,
    document_ids,
)
from twopass.evaluation.datasets import Dataset, DatasetError
from twopass.server.config import ServerConfig

Answers: TypeAlias = Mapping[str, SearchResult]
"""Answers of the server, by query id."""

Similarities: TypeAlias = Mapping[str, Mapping[str, float]]
"""Dense scores by document id, by query id."""

Advance: TypeAlias = Callable[[int], None]


class EvaluationError(Exception):
    """The server did not run what is to be measured, such as the second pass."""


def room_for(queries: Iterable[str]) -> tuple[str, ...]:
    """Flags of a server that takes every one of these queries, however long."""
    longest = max((len(query.encode()) for query in queries), default=0)
    return "--max-query-bytes", str(max(longest, ServerConfig().max_query_bytes))


def ensure_apart(folders: Sequence[Path]) -> None:
    """Makes sure that each test collection gets a collection, and a row of figures, of its own.

    Raises:
        DatasetError: Two folders are named alike.
    """
    first_of: dict[str, Path] = {}
    for folder in folders:
        first = first_of.setdefault(_collection_of(folder.name), folder)
        if first is not folder:
            raise DatasetError(
                f"{folder}: test collections are known by the names of their folders, and "
                f"{first} has this one too; rename one of them, or measure one after the other"
            )


def index_dataset(client: Client, dataset: Dataset, advance: Advance, *, language: str = "") -> str:
    """Indexes a corpus into its own collection, unless an earlier run did.

    Args:
        client: Client of the server.
        dataset: What to index.
        advance: Called with the number of documents on disk so far.
        language: Of the texts, an ISO 639-1 code or "none"; "" for the server's default.

    Returns:
        The collection's name.
    """
    name = _collection_of(dataset.name)
    if language:
        name += f"-{language}"
    try:
        if client.get_collection(name).num_documents == len(dataset.documents):
            advance(len(dataset.documents))
            return name
    except NotFoundError:
        client.create_collection(name, Schema(language=language))
    client.upsert(
        name,
        dataset.documents,
        chunk_size=64,
        on_conflict="skip",  # an interrupted run goes on where it was
        on_progress=lambda done: advance(done.num_documents),
    )
    return name


def _collection_of(name: str) -> str:
    return "eval-" + "".join(c if c.isalnum() else "-" for c in name.lower())


def search_dataset(
    client: Client,
    collection: str,
    dataset: Dataset,
    *,
    mode: RetrieveMode | None,
    depth: int,
    rerank: Rerank | None,
    concurrency: int,
    advance: Advance,
) -> Answers:
    """Searches every query once and returns all candidates; fallbacks are not allowed.

    Args:
        client: Client of the server.
        collection: The collection with the corpus.
        dataset: Queries and judgements.
        mode: How candidates are found; None for the collection's or the server's default.
        depth: How many candidates are found, and reranked if there is a second pass.
        rerank: The second pass; None for no second pass.
        concurrency: Queries under way at once.
        advance: Called with 1 after each query.

    Raises:
        EvaluationError: The second pass did not run on a query.
    """
    wanted = RerankStatus.COMPLETE if rerank else RerankStatus.DISABLED
    if rerank is not None:  # whatever the collection's default says
        rerank = replace(rerank, enabled=True)

    def search(query: str) -> SearchResult:
        result = client.search(
            collection,
            query,
            top_n=depth,
            retrieve=Retrieve(mode=mode, k=depth),
            rerank=rerank or False,
            allow_fallback=False,
            timeout=600,
        )
        if result.rerank_status != wanted:
            raise EvaluationError(f"the second pass was {result.rerank_status} on {query!r}")
        advance(1)
        return result

    with ThreadPoolExecutor(concurrency) as threads:
        answers = threads.map(search, dataset.queries.values())
        return dict(zip(dataset.queries, answers, strict=True))


def search_beyond(
    client: Client, collection: str, dataset: Dataset, dense: Answers, lexical: Answers
) -> Similarities:
    """Looks up the similarities of the documents that words alone have found.

    Args:
        client: Client of the server.
        collection: The collection with the corpus.
        dataset: Queries and judgements.
        dense: Answers by meaning.
        lexical: Answers by words.
    """

    def beyond(query: str) -> dict[str, float]:
        known = {hit.id for hit in dense[query].hits}
        missing = [hit.id for hit in lexical[query].hits if hit.id not in known]
        if not missing:
            return {}
        result = client.search(
            collection,
            dataset.queries[query],
            top_n=len(missing),
            retrieve="dense",
            rerank=False,
            filter=document_ids(missing),
            allow_fallback=False,
            timeout=600,
        )
        return {hit.id: hit.dense_score for hit in result.hits if hit.dense_score is not None}

    return {query: beyond(query) for query in dataset.queries}


def write_run(file: Path, answers: Answers, name: str) -> None:
    """Writes the orders of the answers as a TREC run: query, Q0, document, rank, score, name.

    Scores only repeat the ranks, since a blended order follows no single score: by them, not by the
    ranks, do programs order what they read.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as lines:
        for query, result in answers.items():
            for rank, hit in enumerate(result.hits, 1):
                lines.write(f"{query} Q0 {hit.id} {rank} {len(result.hits) - rank + 1} {name}\n")
